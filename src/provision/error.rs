//! What asking a provisioner can fail with.

/// The provisioner could not be asked, or gave no answer. Asking again may help; a definite no is
/// [`super::Progress::Failed`] instead.
#[derive(Debug, thiserror::Error)]
#[error("the provisioner does not answer: {0}")]
pub struct Error(pub String);
