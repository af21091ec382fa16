//! Policies: the account's own, what is attached to whom, and what is part of one principal.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{
    App,
    audit::AccessChange,
    principal::{request, unknown},
};
use crate::{
    db::{self, Attached, HeldPolicy, Source},
    error::{Error, Kind},
    model::{
        AccountId, Invalid, inline_policy,
        policy::{MANAGED_CHARACTERS_MAX, Managed, PolicyDocument, characters},
        principal::{Name, Subject},
        principal_tag::PrincipalTags,
        quota::Quota,
    },
};

impl App {
    /// Adds a policy to the account, or replaces its document. It counts from the next request on.
    pub async fn put_policy(
        &self,
        account_id: &AccountId,
        name: &Name,
        document: &str,
    ) -> Result<(), Error> {
        PolicyDocument::parse(document)
            .map_err(|error| Invalid::new("document", error.to_string()))?;
        if characters(document) > MANAGED_CHARACTERS_MAX {
            let text = format!("A policy can have at most {MANAGED_CHARACTERS_MAX} characters.");
            return Err(Invalid::new("document", text).into());
        }
        let mut tx = self.begin().await?;
        self.lock_account(&mut tx, account_id).await?;
        let is_new = db::policy_fetch(&mut tx, account_id, name).await?.is_none();
        if is_new {
            let count = db::policy_list(&mut tx, account_id).await?.len();
            let quotas = db::quotas_fetch(&mut tx, account_id).await?;
            quotas.allow(Quota::IamPoliciesPerAccount, count + 1)?;
        }
        db::policy_put(&mut tx, account_id, name, document, self.clock.now()).await?;
        let change = AccessChange {
            account_id,
            action: match is_new {
                true => "iam:CreatePolicy",
                false => "iam:CreatePolicyVersion",
            }
            .to_owned(),
            resource_arn: arn(account_id, name),
            request: json!({"policyName": name.as_str(), "policyDocument": document}),
        };
        self.audit_access(&mut tx, change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A policy's document: the account's own, or one that every account has.
    pub async fn show_policy(&self, account_id: &AccountId, name: &Name) -> Result<String, Error> {
        let mut conn = self.pool.acquire().await?;
        if let Some(document) = db::policy_fetch(&mut conn, account_id, name).await? {
            return Ok(document);
        }
        match Managed::named(name.as_str()) {
            Some(managed) => Ok(managed.document.to_owned()),
            None => Err(no_policy(name)),
        }
    }

    /// The account's own policies, and how many principals have each.
    pub async fn list_policies(&self, account_id: &AccountId) -> Result<Vec<(String, i64)>, Error> {
        let mut conn = self.pool.acquire().await?;
        Ok(db::policy_list(&mut conn, account_id).await?)
    }

    /// Deletes a policy that nobody has any more.
    pub async fn delete_policy(&self, account_id: &AccountId, name: &Name) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        if db::policy_delete(&mut tx, account_id, name).await? {
            let change = AccessChange {
                account_id,
                action: "iam:DeletePolicy".to_owned(),
                resource_arn: arn(account_id, name),
                request: json!({"policyName": name.as_str()}),
            };
            self.audit_access(&mut tx, change).await?;
            tx.commit().await?;
            return Ok(());
        }
        match db::policy_fetch(&mut tx, account_id, name).await? {
            None => Err(no_policy(name)),
            Some(_) => Err(Error::Conflict {
                attribute: "policy",
                public: format!("Cannot delete policy [{name}]: it is attached to principals."),
            }),
        }
    }

    pub async fn attach_policy(
        &self,
        account_id: &AccountId,
        subject: &Subject,
        policy: &Name,
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        self.lock_principal(&mut tx, account_id, subject).await?;
        let own = db::policy_fetch(&mut tx, account_id, policy).await?;
        let attached = attached(policy, own.is_some()).ok_or_else(|| no_policy(policy))?;
        db::policy_attach(&mut tx, account_id, subject, &attached, self.clock.now()).await?;
        let held = db::policies_held(&mut tx, account_id, subject).await?;
        let is_counted = |held: &&HeldPolicy| {
            held.holder == *subject && matches!(held.source, Source::Attached(_))
        };
        let quotas = db::quotas_fetch(&mut tx, account_id).await?;
        let count = held.iter().filter(is_counted).count();
        quotas.allow(Quota::IamPoliciesPerPrincipal, count)?;
        let change = attachment(account_id, "Attach", subject, &attached);
        self.audit_access(&mut tx, change).await?;
        tx.commit().await?;
        Ok(())
    }

    pub async fn detach_policy(
        &self,
        account_id: &AccountId,
        subject: &Subject,
        policy: &Name,
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        for attached in [true, false]
            .into_iter()
            .filter_map(|own| attached(policy, own))
        {
            if db::policy_detach(&mut tx, account_id, subject, &attached).await? {
                let change = attachment(account_id, "Detach", subject, &attached);
                self.audit_access(&mut tx, change).await?;
                tx.commit().await?;
                return Ok(());
            }
        }
        Err(no_policy(policy))
    }

    /// Makes a policy part of a principal, or replaces its document.
    pub async fn put_inline_policy(
        &self,
        account_id: &AccountId,
        subject: &Subject,
        (name, document): (&Name, &str),
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        self.lock_principal(&mut tx, account_id, subject).await?;
        let there = db::inline_policies(&mut tx, account_id, subject).await?;
        let others = there.iter().filter(|(other, _)| other != name);
        let others = others.map(|(_, document)| document.as_str());
        inline_policy::check(subject, document, others)?;
        let now = self.clock.now();
        db::inline_policy_put(&mut tx, account_id, subject, (name, document), now).await?;
        let more = json!({"policyName": name.as_str(), "policyDocument": document});
        let change = change_of(account_id, "Put", subject, more);
        self.audit_access(&mut tx, change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The document of a policy that is part of a principal.
    pub async fn show_inline_policy(
        &self,
        account_id: &AccountId,
        subject: &Subject,
        name: &Name,
    ) -> Result<String, Error> {
        let mut conn = self.pool.acquire().await?;
        let there = db::inline_policies(&mut conn, account_id, subject).await?;
        let found = there.into_iter().find(|(other, _)| other == name);
        Ok(found.ok_or_else(|| no_policy(name))?.1)
    }

    pub async fn delete_inline_policy(
        &self,
        account_id: &AccountId,
        subject: &Subject,
        name: &Name,
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        if !db::inline_policy_delete(&mut tx, account_id, subject, name).await? {
            return Err(no_policy(name));
        }
        let more = json!({"policyName": name.as_str()});
        let change = change_of(account_id, "Delete", subject, more);
        self.audit_access(&mut tx, change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// All policies that decide over a principal, those of its groups among them, and its tags.
    pub async fn policies_of(
        &self,
        account_id: &AccountId,
        subject: &Subject,
    ) -> Result<(Vec<(HeldPolicy, PolicyDocument)>, PrincipalTags), Error> {
        let mut conn = self.pool.acquire().await?;
        let there = db::principal_fetch(&mut conn, account_id, subject).await?;
        let there = there.ok_or_else(|| unknown(subject))?;
        let held = self.held_policies(&mut conn, account_id, subject).await?;
        Ok((held, there.tags))
    }

    pub(super) async fn held_policies(
        &self,
        conn: &mut PgConnection,
        account_id: &AccountId,
        subject: &Subject,
    ) -> Result<Vec<(HeldPolicy, PolicyDocument)>, Error> {
        let held = db::policies_held(conn, account_id, subject).await?;
        let read = |held: HeldPolicy| {
            let document = document(&held)?;
            Ok((held, document))
        };
        held.into_iter().map(read).collect()
    }
}

/// Documents are checked before they are stored: one that cannot be read is a fault of ours, and
/// lets nobody do anything.
fn document(held: &HeldPolicy) -> Result<PolicyDocument, Error> {
    let text = match &held.source {
        Source::Attached(Attached::Managed(name)) => {
            Managed::named(name).map(|policy| policy.document)
        }
        Source::Attached(Attached::Own(_)) | Source::Inline(_) => held.document.as_deref(),
    };
    let text = text.ok_or_else(|| Error::internal(format!("{:?} has no document", held.source)))?;
    PolicyDocument::parse(text).map_err(Error::internal)
}

/// A policy by its name; the account's own come before those that every account has.
fn attached(name: &Name, is_own: bool) -> Option<Attached> {
    if is_own {
        return Some(Attached::Own(name.clone()));
    }
    Managed::named(name.as_str()).map(|managed| Attached::Managed(managed.name.to_owned()))
}

fn attachment<'a>(
    account_id: &'a AccountId,
    verb: &str,
    subject: &Subject,
    policy: &Attached,
) -> AccessChange<'a> {
    let policy_arn = match policy {
        Attached::Own(name) => arn(account_id, name),
        Attached::Managed(name) => format!("arn:aws:iam::aws:policy/{name}"),
    };
    change_of(account_id, verb, subject, json!({"policyArn": policy_arn}))
}

/// What is told of a policy that a principal gets or loses: `iam:PutUserPolicy`, `iam:DetachRolePolicy`.
fn change_of<'a>(
    account_id: &'a AccountId,
    verb: &str,
    subject: &Subject,
    more: Value,
) -> AccessChange<'a> {
    AccessChange {
        account_id,
        action: format!("iam:{verb}{}Policy", subject.noun()),
        resource_arn: subject.arn(account_id),
        request: request(subject, more),
    }
}

fn arn(account_id: &AccountId, name: &Name) -> String {
    format!("arn:aws:iam::{account_id}:policy/{name}")
}

fn no_policy(name: &Name) -> Error {
    Error::not_found(Kind::Policy, name.as_str())
}
