//! DeleteConfiguration.

use serde_json::json;

use super::lock;
use crate::{
    app::{App, Caller, audit::Change},
    db,
    error::Error,
    model::{ConfigurationId, authorisation::Action},
};

impl App {
    /// Removes a configuration with all revisions, unless a broker runs with one or will after
    /// its next reboot.
    pub async fn delete_configuration(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<ConfigurationId, Error> {
        let action = Action::DeleteConfiguration;
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let configuration = lock(&mut tx, caller, action, id).await?;
        let scope = caller.scope();
        if let Some(broker) = db::configuration_used_by(&mut tx, &scope, &configuration.id).await? {
            return Err(Error::Conflict {
                attribute: "configuration_id",
                public: format!(
                    "Configuration [{}] is in use by broker [{broker}] and can't be deleted.",
                    configuration.id
                ),
            });
        }
        db::configuration_delete(&mut tx, &configuration).await?;
        let change = Change {
            action,
            resource: &configuration.arn(),
            response: json!({"configurationId": configuration.id.as_str()}),
            now,
        };
        self.audit(&mut tx, caller, change).await?;
        tx.commit().await?;
        Ok(configuration.id)
    }
}
