//! Tags on brokers and configurations, by ARN. A resource of another account or region does not
//! exist for the caller.

use serde_json::json;
use sqlx::PgConnection;

use super::{App, Caller, audit::Change, caller::RequestTags};
use crate::{
    db,
    error::{Error, Kind},
    model::{
        Invalid,
        arn::{Resource, ResourceArn},
        authorisation::Action,
        quota::Quota,
        tag::{self, Tags},
    },
};

impl App {
    /// Adds tags, replacing the values of keys that are there already.
    pub async fn create_tags(&self, caller: &Caller, arn: &str, tags: Tags) -> Result<(), Error> {
        tag::check(&tags)?;
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let arn = find(
            &mut tx,
            caller,
            Action::CreateTags,
            arn,
            RequestTags::Set(&tags),
        )
        .await?;
        db::tags_lock(&mut tx, &arn).await?;
        db::tags_put(&mut tx, &arn, &tags).await?;
        let count = db::tags_fetch(&mut tx, &arn).await?.len();
        let quotas = db::quotas_fetch(&mut tx, &arn.scope.account_id).await?;
        quotas.allow(Quota::TagsPerResource, count)?;
        let change = Change {
            action: Action::CreateTags,
            resource: &arn,
            response: json!({}),
            now,
        };
        self.audit(&mut tx, caller, change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Removes tags; keys that are not there are no error.
    pub async fn delete_tags(
        &self,
        caller: &Caller,
        arn: &str,
        keys: &[String],
    ) -> Result<(), Error> {
        if keys.is_empty() {
            return Err(Invalid::missing("tagKeys").into());
        }
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let arn = find(
            &mut tx,
            caller,
            Action::DeleteTags,
            arn,
            RequestTags::Remove(keys),
        )
        .await?;
        db::tags_remove(&mut tx, &arn, keys).await?;
        let change = Change {
            action: Action::DeleteTags,
            resource: &arn,
            response: json!({}),
            now,
        };
        self.audit(&mut tx, caller, change).await?;
        tx.commit().await?;
        Ok(())
    }

    pub async fn list_tags(&self, caller: &Caller, arn: &str) -> Result<Tags, Error> {
        let mut conn = self.pool.acquire().await?;
        let arn = find(&mut conn, caller, Action::ListTags, arn, RequestTags::None).await?;
        Ok(db::tags_fetch(&mut conn, &arn).await?)
    }
}

/// The caller's resource with this ARN.
async fn find(
    conn: &mut PgConnection,
    caller: &Caller,
    action: Action,
    text: &str,
    tags: RequestTags<'_>,
) -> Result<ResourceArn, Error> {
    let not_found = || Error::not_found(Kind::Resource, text);
    let scope = caller.scope();
    let arn = ResourceArn::parse(text)
        .filter(|arn| arn.scope == scope)
        .ok_or_else(not_found)?;
    let exists = match &arn.resource {
        Resource::Broker { name, id } => {
            let broker = db::broker_fetch(conn, &scope, id).await?;
            broker.is_some_and(|broker| broker.name == *name)
        }
        Resource::Configuration { id } => {
            db::configuration_fetch(conn, &scope, id).await?.is_some()
        }
        Resource::All => false,
    };
    if !exists {
        return Err(not_found());
    }
    caller.may_on(conn, action, &arn, tags).await?;
    Ok(arn)
}
