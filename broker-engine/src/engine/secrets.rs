//! Files with logins and definitions. The monitoring user's is read at the start and again on a reload.

use std::path::Path;

use crate::broker::{Broker, Document};
use crate::error::Error;
use crate::options::Login;

/// The text of a file that the options name.
pub(super) fn read(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|cause| Error::File {
        path: file.to_owned(),
        reason: cause.to_string(),
    })
}

/// Sets the user by which the node is watched; without a file there is none.
pub(super) fn load_monitoring_user(broker: &Broker, file: Option<&Path>) -> Result<(), Error> {
    let Some(file) = file else { return Ok(()) };
    let login = login(file)?;
    broker.set_monitoring_user(Some((&login.name, &login.password)));
    Ok(())
}

pub(super) fn login(file: &Path) -> Result<Login, Error> {
    // The parser's own message could quote the secret.
    serde_json::from_str(&read(file)?).map_err(|_| Error::File {
        path: file.to_owned(),
        reason: "expected {\"name\": …, \"password\": …}".to_owned(),
    })
}

/// A definitions document.
pub(super) fn definitions(file: &Path) -> Result<Document, Error> {
    serde_json::from_str(&read(file)?).map_err(|cause| Error::File {
        path: file.to_owned(),
        reason: cause.to_string(),
    })
}
