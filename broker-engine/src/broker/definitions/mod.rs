//! What describes a broker: the records it keeps in the log, and the document that RabbitMQ exports.

pub mod document;
mod export;
mod import;
pub(super) mod record;

pub use document::Document;
