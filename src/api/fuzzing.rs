//! What comes over HTTP, in any bytes.

pub use super::{
    audit::fuzzing::parameters, auth::fuzzing::signatures, query::fuzzing::queries,
    sts::fuzzing::forms,
};
