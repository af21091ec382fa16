//! DeleteBroker.

use serde_json::json;

use super::lock;
use crate::{
    app::{App, Caller, audit::Change},
    db,
    error::Error,
    model::{BrokerId, JobId, authorisation::Action, broker::state::Request, job::Job},
};

impl App {
    /// Accepts a deletion; from here on the broker's state is DELETION_IN_PROGRESS. Asking again
    /// while it goes changes nothing.
    pub async fn delete_broker(&self, caller: &Caller, id: &str) -> Result<BrokerId, Error> {
        let action = Action::DeleteBroker;
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let broker = lock(&mut tx, caller, action, id).await?;
        broker
            .state()
            .check(Request::Delete, self.settings.parity, &broker.id)?;
        if broker.deletion_requested_at.is_none() {
            self.part(&mut tx, &broker).await?;
        }
        if !db::broker_request_deletion(&mut tx, &broker.id, now).await? {
            return Ok(broker.id);
        }
        let job = Job::BrokerDelete {
            broker_id: broker.id.clone(),
        };
        let job_id = JobId(self.entropy.uuid_at(now));
        db::job_insert_for(&mut tx, job_id, &job, caller.origin(), now).await?;
        let change = Change {
            action,
            resource: &broker.arn(),
            response: json!({"brokerId": broker.id.as_str()}),
            now,
        };
        self.audit(&mut tx, caller, change).await?;
        tx.commit().await?;
        Ok(broker.id)
    }
}
