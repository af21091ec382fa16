//! CreateUser, UpdateUser and DeleteUser. For ActiveMQ every change waits for the next start of the
//! broker; RabbitMQ's and LavinMQ's act [at once](super::at_once).

use serde_json::json;
use sqlx::PgConnection;

use super::{at_once::AtOnce, refuse_to_manage};
use crate::{
    app::{App, Caller, audit::Change, broker::lock},
    db,
    error::{Error, Kind},
    model::{
        Invalid,
        authorisation::Action,
        broker::{
            Broker, BrokerUser, PendingUser, UserChange,
            state::Request,
            user::{self, ChangeUser},
        },
        quota::Quota,
    },
};

impl App {
    /// Adds a user; one that waits to be deleted is changed instead.
    pub async fn create_broker_user(
        &self,
        caller: &Caller,
        broker_id: &str,
        username: &str,
        request: ChangeUser,
    ) -> Result<(), Error> {
        let action = Action::CreateUser;
        let (mut tx, broker) = match self.begin_change(caller, action, broker_id).await? {
            Begun::AtOnce(work) => return work.create(username, &request).await,
            Begun::Staged(tx, broker) => (tx, broker),
        };
        user::check_username(username, broker.engine_type)?;
        let password = request.password.as_ref();
        let password = password.ok_or_else(|| Invalid::missing("password"))?;
        request.check()?;
        let next = PendingUser {
            change: UserChange::Create,
            password_hash: password.hash(&*self.entropy),
            console_access: request.console_access.unwrap_or(false),
            replication_user: request.replication_user.unwrap_or(false),
            groups: request.groups.clone().unwrap_or_default(),
        };
        user::check_roles(next.replication_user, next.console_access)?;
        let quotas = db::quotas_fetch(&mut tx, &broker.scope.account_id).await?;
        quotas.allow(Quota::GroupsPerUser, next.groups.len())?;
        match db::broker_user_fetch(&mut tx, &broker.id, username).await? {
            Some(mut there) if is_going(&there) => {
                there.stage(PendingUser {
                    change: UserChange::Update,
                    ..next
                });
                db::broker_user_stage(&mut tx, &broker.id, &there).await?;
            }
            Some(_) => {
                return Err(Error::AlreadyExists {
                    kind: Kind::User,
                    name: username.to_owned(),
                });
            }
            None => {
                let count = db::broker_user_count(&mut tx, &broker.id).await?;
                quotas.allow_one_more(Quota::UsersPerBroker, count)?;
                let user = BrokerUser::new(username.to_owned(), next);
                db::broker_user_create(&mut tx, &broker.id, &user, self.clock.now()).await?;
            }
        }
        self.end_change(tx, caller, action, &broker).await
    }

    /// Changes what the request names of a user.
    pub async fn update_broker_user(
        &self,
        caller: &Caller,
        broker_id: &str,
        username: &str,
        request: ChangeUser,
    ) -> Result<(), Error> {
        let action = Action::UpdateUser;
        let (mut tx, broker) = match self.begin_change(caller, action, broker_id).await? {
            Begun::AtOnce(work) => return work.update(username, &request).await,
            Begun::Staged(tx, broker) => (tx, broker),
        };
        let mut user = user_of(&mut tx, &broker, username).await?;
        if is_going(&user) {
            let text = format!("User [{username}] waits to be deleted.");
            return Err(Error::Conflict {
                attribute: "username",
                public: text,
            });
        }
        request.check()?;
        let next = user.next();
        let password_hash = match &request.password {
            // The password it has, or will have, is no change.
            Some(password) if !password.matches(&next.password_hash) => {
                password.hash(&*self.entropy)
            }
            Some(_) | None => next.password_hash,
        };
        let next = PendingUser {
            change: UserChange::Update,
            password_hash,
            console_access: request.console_access.unwrap_or(next.console_access),
            replication_user: request.replication_user.unwrap_or(next.replication_user),
            groups: request.groups.unwrap_or(next.groups),
        };
        user::check_roles(next.replication_user, next.console_access)?;
        let quotas = db::quotas_fetch(&mut tx, &broker.scope.account_id).await?;
        quotas.allow(Quota::GroupsPerUser, next.groups.len())?;
        user.stage(next);
        db::broker_user_stage(&mut tx, &broker.id, &user).await?;
        self.end_change(tx, caller, action, &broker).await
    }

    /// Removes a user; one that no start has made yet at once.
    pub async fn delete_broker_user(
        &self,
        caller: &Caller,
        broker_id: &str,
        username: &str,
    ) -> Result<(), Error> {
        let action = Action::DeleteUser;
        let (mut tx, broker) = match self.begin_change(caller, action, broker_id).await? {
            Begun::AtOnce(work) => return work.delete(username).await,
            Begun::Staged(tx, broker) => (tx, broker),
        };
        let mut user = user_of(&mut tx, &broker, username).await?;
        let waits = user.pending.as_ref().map(|pending| pending.change);
        if waits == Some(UserChange::Create) {
            db::broker_user_delete(&mut tx, &broker.id, username).await?;
        } else {
            let next = PendingUser {
                change: UserChange::Delete,
                ..user.next()
            };
            user.stage(next);
            db::broker_user_stage(&mut tx, &broker.id, &user).await?;
        }
        self.end_change(tx, caller, action, &broker).await
    }

    /// Locks the broker, if its users can be changed here and now.
    async fn begin_change<'a>(
        &'a self,
        caller: &'a Caller,
        action: Action,
        broker_id: &str,
    ) -> Result<Begun<'a>, Error> {
        let mut tx = self.begin().await?;
        let broker = lock(&mut tx, caller, action, broker_id).await?;
        let parity = self.settings.parity;
        if parity.is_strict() {
            refuse_to_manage(&broker)?;
        }
        broker.state().check(Request::Update, parity, &broker.id)?;
        Ok(match broker.engine_type.is_rabbitmq_like() {
            true => Begun::AtOnce(AtOnce::new(self, caller, action, tx, broker)),
            false => Begun::Staged(tx, broker),
        })
    }

    /// Tells of a staged change, and makes it count.
    async fn end_change(
        &self,
        mut tx: db::Transaction,
        caller: &Caller,
        action: Action,
        broker: &Broker,
    ) -> Result<(), Error> {
        let change = Change {
            action,
            resource: &broker.arn(),
            response: json!({}),
            now: self.clock.now(),
        };
        self.audit(&mut tx, caller, change).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// A change whose broker is locked: one that acts at once, or waits for the next start.
enum Begun<'a> {
    AtOnce(AtOnce<'a>),
    Staged(db::Transaction, Broker),
}

fn is_going(user: &BrokerUser) -> bool {
    let change = user.pending.as_ref().map(|pending| pending.change);
    change == Some(UserChange::Delete)
}

/// A user of a broker that the caller has already found.
pub(super) async fn user_of(
    conn: &mut PgConnection,
    broker: &Broker,
    username: &str,
) -> Result<BrokerUser, Error> {
    // A name that no user can have is not looked for: the database takes no zero bytes.
    let user = match user::check_username(username, broker.engine_type) {
        Ok(()) => db::broker_user_fetch(conn, &broker.id, username).await?,
        Err(_) => None,
    };
    user.ok_or_else(|| Error::not_found(Kind::User, username))
}
