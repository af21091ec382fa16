//! Files with logins, read at the start and again on a reload.

use std::path::Path;

use crate::broker::Broker;
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
    // The parser's own message could quote the secret.
    let login: Login = serde_json::from_str(&read(file)?).map_err(|_| Error::File {
        path: file.to_owned(),
        reason: "expected {\"name\": …, \"password\": …}".to_owned(),
    })?;
    broker.set_monitoring_user(Some((&login.name, &login.password)));
    Ok(())
}
