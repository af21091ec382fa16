//! What a caller got wrong in a request.

/// A value that is refused: the member it came in (as spelled on the wire, empty when no single
/// one is to blame) and a sentence for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    pub attribute: &'static str,
    pub message: String,
}

impl Invalid {
    pub fn new(attribute: &'static str, message: impl Into<String>) -> Self {
        Self {
            attribute,
            message: message.into(),
        }
    }

    /// A required member is missing.
    pub fn missing(attribute: &'static str) -> Self {
        Self::new(attribute, format!("[{attribute}] is required."))
    }
}
