//! Tags on users and roles, set by the installation's operator.

use serde_json::json;

use super::{App, audit::AccessChange, principal::request};
use crate::{
    db,
    error::Error,
    model::{
        AccountId, Invalid,
        constraint::Constraints,
        principal::Subject,
        principal_tag::{AskedTag, COUNT_MAX, PrincipalTags, check_key},
    },
};

const ATTRIBUTE: &str = "tags";

impl App {
    /// Adds tags, replacing those whose keys differ by nothing but case.
    pub async fn tag_principal(
        &self,
        account_id: &AccountId,
        subject: &Subject,
        tags: &[AskedTag],
    ) -> Result<(), Error> {
        let mut constraints = Constraints::default();
        let tags = PrincipalTags::read(tags, &mut constraints);
        let refused = |error: &dyn std::error::Error| Invalid::new(ATTRIBUTE, error.to_string());
        constraints.check().map_err(|error| refused(&error))?;
        let tags = tags.map_err(|error| refused(&error))?;
        let mut tx = self.begin().await?;
        let there = self.lock_principal(&mut tx, account_id, subject).await?;
        if there.tags.overridden_by(&tags).len() > COUNT_MAX {
            let text = format!("A user or a role can have at most {COUNT_MAX} tags.");
            return Err(Error::QuotaExceeded {
                attribute: ATTRIBUTE,
                public: text,
            });
        }
        db::principal_tags_put(&mut tx, account_id, subject, &tags).await?;
        let told: Vec<_> = tags
            .iter()
            .map(|(key, value)| json!({"key": key, "value": value}))
            .collect();
        let change = AccessChange {
            account_id,
            action: format!("iam:Tag{}", subject.noun()),
            resource_arn: subject.arn(account_id),
            request: request(subject, json!({"tags": told})),
        };
        self.audit_access(&mut tx, change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Removes tags, whatever the case of their keys; those that are not there are no error.
    pub async fn untag_principal(
        &self,
        account_id: &AccountId,
        subject: &Subject,
        keys: &[String],
    ) -> Result<(), Error> {
        let mut constraints = Constraints::default();
        for (number, key) in (1..).zip(keys) {
            check_key(&format!("tagKeys.{number}.member"), key, &mut constraints);
        }
        constraints
            .check()
            .map_err(|error| Invalid::new("tagKeys", error.to_string()))?;
        let mut tx = self.begin().await?;
        self.lock_principal(&mut tx, account_id, subject).await?;
        db::principal_tags_remove(&mut tx, account_id, subject, keys).await?;
        let change = AccessChange {
            account_id,
            action: format!("iam:Untag{}", subject.noun()),
            resource_arn: subject.arn(account_id),
            request: request(subject, json!({"tagKeys": keys})),
        };
        self.audit_access(&mut tx, change).await?;
        tx.commit().await?;
        Ok(())
    }
}
