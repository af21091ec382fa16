//! RebootBroker: a new generation of the nodes, with everything that was staged.

use serde_json::json;

use super::lock;
use crate::{
    app::{App, Caller, audit::Change},
    db,
    error::Error,
    model::{JobId, authorisation::Action, broker::state::Request},
};

impl App {
    /// Accepts a reboot; from here on the broker's state is REBOOT_IN_PROGRESS.
    pub async fn reboot_broker(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        let action = Action::RebootBroker;
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let mut broker = lock(&mut tx, caller, action, id).await?;
        broker
            .state()
            .check(Request::Reboot, self.settings.parity, &broker.id)?;
        broker.check_alarms()?;
        let replicas = JobId(self.entropy.uuid_at(now));
        db::pair_start(&mut tx, &broker, replicas, now).await?;
        broker.next_generation(now);
        let job_id = JobId(self.entropy.uuid_at(now));
        db::broker_reboot(&mut tx, &broker, job_id, Some(caller.origin()), now).await?;
        let change = Change {
            action,
            resource: &broker.arn(),
            response: json!({}),
            now,
        };
        self.audit(&mut tx, caller, change).await?;
        tx.commit().await?;
        Ok(())
    }
}
