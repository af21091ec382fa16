//! Changes of users that act at once, as those that administrators make at the broker itself.
//!
//! Each change is the newest word on its user: afterwards the broker's administrators may change the user again, which is
//! not seen here.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{Postgres, Transaction};

use super::change::user_of;
use crate::{
    app::{App, Caller, audit::Change},
    db,
    error::{Error, Kind},
    model::{
        JobId,
        authorisation::Action,
        broker::{Broker, BrokerUser, user::ChangeUser},
        job::Job,
        quota::Quota,
    },
};

/// One change of one user of a locked broker, in its transaction.
pub(super) struct AtOnce<'a> {
    app: &'a App,
    caller: &'a Caller,
    action: Action,
    tx: Transaction<'static, Postgres>,
    broker: Broker,
    now: DateTime<Utc>,
}

impl<'a> AtOnce<'a> {
    pub(super) fn new(
        app: &'a App,
        caller: &'a Caller,
        action: Action,
        tx: Transaction<'static, Postgres>,
        broker: Broker,
    ) -> Self {
        Self {
            app,
            caller,
            action,
            tx,
            broker,
            now: app.clock.now(),
        }
    }

    pub(super) async fn create(
        mut self,
        username: &str,
        request: &ChangeUser,
    ) -> Result<(), Error> {
        let (engine, entropy) = (self.broker.engine_type, &*self.app.entropy);
        let user = request.create_at_once(username, engine, |password| password.hash(entropy))?;
        let quotas = db::quotas_fetch(&mut self.tx, &self.broker.scope.account_id).await?;
        quotas.allow(Quota::GroupsPerUser, user.groups.len())?;
        let taken = db::broker_user_fetch(&mut self.tx, &self.broker.id, username).await?;
        if taken.is_some() {
            return Err(Error::AlreadyExists {
                kind: Kind::User,
                name: username.to_owned(),
            });
        }
        let count = db::broker_user_count(&mut self.tx, &self.broker.id).await?;
        quotas.allow_one_more(Quota::UsersPerBroker, count)?;
        self.put(user).await
    }

    pub(super) async fn update(
        mut self,
        username: &str,
        request: &ChangeUser,
    ) -> Result<(), Error> {
        let user = user_of(&mut self.tx, &self.broker, username).await?;
        let (engine, entropy) = (self.broker.engine_type, &*self.app.entropy);
        let user = request.update_at_once(user, engine, |password| password.hash(entropy))?;
        let quotas = db::quotas_fetch(&mut self.tx, &self.broker.scope.account_id).await?;
        quotas.allow(Quota::GroupsPerUser, user.groups.len())?;
        self.put(user).await
    }

    /// Takes the user away; its connections are closed.
    pub(super) async fn delete(mut self, username: &str) -> Result<(), Error> {
        let user = user_of(&mut self.tx, &self.broker, username).await?;
        let removed_at = Some(self.now);
        self.put(BrokerUser { removed_at, ..user }).await
    }

    /// Writes the user, the job that has the broker's nodes know, and the audit event.
    async fn put(mut self, user: BrokerUser) -> Result<(), Error> {
        let (app, now) = (self.app, self.now);
        let broker_id = self.broker.id.clone();
        db::broker_user_put(&mut self.tx, &broker_id, &user, now).await?;
        let job = Job::BrokerUsers { broker_id };
        let job_id = JobId(app.entropy.uuid_at(now));
        let origin = self.caller.origin();
        db::job_insert_for(&mut self.tx, job_id, &job, origin, now).await?;
        let change = Change {
            action: self.action,
            resource: &self.broker.arn(),
            response: json!({}),
            now,
        };
        app.audit(&mut self.tx, self.caller, change).await?;
        self.tx.commit().await?;
        Ok(())
    }
}
