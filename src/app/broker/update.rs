//! UpdateBroker: what needs no restart at once, all else staged for the next reboot.

use serde_json::json;

use super::lock;
use crate::{
    app::{App, Caller, audit::Change, caller::RequestTags, configuration},
    db,
    error::Error,
    model::{
        BrokerId,
        authorisation::Action,
        broker::{
            Replication, UpdateBroker,
            request::{Found, Update},
            state::Request,
        },
    },
};

/// What the broker has, or will have, of the members that the request named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateBrokerOutput {
    pub broker_id: BrokerId,
    pub update: Update,
    pub found: Found,
    /// Told when the request named the mode.
    pub replication: Option<Replication>,
}

impl App {
    /// Accepts changes on top of those that are pending already. What repeats them, or the
    /// broker's values, changes nothing.
    pub async fn update_broker(
        &self,
        caller: &Caller,
        id: &str,
        request: UpdateBroker,
    ) -> Result<UpdateBrokerOutput, Error> {
        let action = Action::UpdateBroker;
        let now = self.clock.now();
        let parity = self.settings.parity;
        let mut tx = self.begin().await?;
        let mut broker = lock(&mut tx, caller, action, id).await?;
        broker.state().check(Request::Update, parity, &broker.id)?;
        if request.authentication_strategy.is_some() || request.ldap_server_metadata.is_some() {
            let action = Action::UpdateBrokerAccessConfiguration;
            caller
                .may_on(&mut tx, action, &broker.arn(), RequestTags::None)
                .await?;
        }
        let catalogue = self.catalogue(&mut tx).await?;
        let update = request.check(&broker, &catalogue, parity)?;
        let configuration = match &update.configuration {
            Some(choice) => {
                let engine = broker.engine_type;
                Some(configuration::choose(&mut tx, &caller.scope(), engine, choice).await?)
            }
            None => None,
        };
        let directory = match &update.directory {
            Some(draft) => {
                let next = broker.next().directory;
                let there = (&broker.id, next.as_ref());
                Some(self.directory(&mut tx, there, draft, now).await?)
            }
            None => None,
        };
        let found = Found {
            configuration,
            directory,
        };
        let before = (broker.settings.clone(), broker.staged.clone());
        update.apply(&mut broker, &found);
        if before != (broker.settings.clone(), broker.staged.clone()) {
            broker.updated_at = now;
            db::broker_update(&mut tx, &broker).await?;
        }
        if let Some(mode) = update.replication {
            self.replicate(&mut tx, &mut broker, mode).await?;
        }
        let window = &broker.settings.maintenance_window;
        if before.0.maintenance_window != *window {
            let schedule = self.schedule(&mut tx, &broker).await?.moved(window, now)?;
            db::maintenance_schedule_put(&mut tx, &broker.id, &schedule).await?;
        }
        let change = Change {
            action,
            resource: &broker.arn(),
            response: json!({"brokerId": broker.id.as_str()}),
            now,
        };
        self.audit(&mut tx, caller, change).await?;
        tx.commit().await?;
        Ok(UpdateBrokerOutput {
            broker_id: broker.id,
            replication: broker.replication,
            update,
            found,
        })
    }
}
