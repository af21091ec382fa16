//! The rules of the house, held against the code: who may know whom, how big a file may be, what
//! never comes in. A rule that a compiler lint can hold is a lint instead.

mod crates;
mod imports;
mod migrations;
mod sources;
mod text;
