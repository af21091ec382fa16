//! Users, roles and their policies: made by the installation's operator, not through the API.

use super::App;
use crate::{
    db::{self, Attached, StoredPrincipal, Unique},
    error::{Error, Kind},
    model::{
        AccountId, Invalid,
        policy::{Managed, PolicyDocument},
        principal::{Name, Subject},
        principal_tag::PrincipalTags,
        role::{Role, RoleTerms},
    },
};

/// What AWS's unique ids of users and roles begin with.
const USER_PREFIX: &str = "AIDA";
const ROLE_PREFIX: &str = "AROA";

impl App {
    pub async fn create_user(&self, account_id: &AccountId, name: Name) -> Result<(), Error> {
        self.create_principal(account_id, Subject::User(name), None)
            .await
    }

    /// Makes a role that the principals its trust policy names can assume.
    pub async fn create_role(&self, account_id: &AccountId, role: Role) -> Result<(), Error> {
        let subject = role.subject();
        self.create_principal(account_id, subject, Some(role.terms))
            .await
    }

    async fn create_principal(
        &self,
        account_id: &AccountId,
        subject: Subject,
        terms: Option<RoleTerms>,
    ) -> Result<(), Error> {
        let prefix = match subject {
            Subject::User(_) => USER_PREFIX,
            Subject::Role(_) => ROLE_PREFIX,
        };
        let principal = StoredPrincipal {
            subject,
            unique_id: self.identifier(prefix),
            terms,
            tags: PrincipalTags::default(),
            created_at: self.clock.now(),
        };
        let mut conn = self.pool.acquire().await?;
        match db::principal_create(&mut conn, account_id, &principal).await {
            Ok(()) => Ok(()),
            Err(db::Error::Taken(Unique::PrincipalName)) => Err(Error::AlreadyExists {
                kind: Kind::Principal,
                name: principal.subject.path(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces who may assume a role, and for how long.
    pub async fn update_role(&self, account_id: &AccountId, role: &Role) -> Result<(), Error> {
        let mut conn = self.pool.acquire().await?;
        match db::role_update(&mut conn, account_id, role).await? {
            true => Ok(()),
            false => Err(unknown(&role.subject())),
        }
    }

    /// The account's users and roles, each with what is attached to it.
    pub async fn list_principals(
        &self,
        account_id: &AccountId,
    ) -> Result<Vec<(StoredPrincipal, Vec<Attached>)>, Error> {
        let mut conn = self.pool.acquire().await?;
        let mut principals = Vec::new();
        for principal in db::principal_list(&mut conn, account_id).await? {
            let attached = db::policies_attached(&mut conn, account_id, &principal.subject).await?;
            let attached = attached.into_iter().map(|(attached, _)| attached).collect();
            principals.push((principal, attached));
        }
        Ok(principals)
    }

    /// Deletes a user or a role: its keys and its sessions end with it.
    pub async fn delete_principal(
        &self,
        account_id: &AccountId,
        subject: &Subject,
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        if !db::principal_delete(&mut tx, account_id, subject).await? {
            return Err(unknown(subject));
        }
        tx.commit().await?;
        Ok(())
    }

    /// Adds a policy to the account, or replaces its document. It counts from the next request on.
    pub async fn put_policy(
        &self,
        account_id: &AccountId,
        name: &Name,
        document: &str,
    ) -> Result<(), Error> {
        PolicyDocument::parse(document)
            .map_err(|error| Invalid::new("document", error.to_string()))?;
        let mut conn = self.pool.acquire().await?;
        Ok(db::policy_put(&mut conn, account_id, name, document, self.clock.now()).await?)
    }

    /// A policy's document: the account's own, or one that every account has.
    pub async fn show_policy(&self, account_id: &AccountId, name: &Name) -> Result<String, Error> {
        let mut conn = self.pool.acquire().await?;
        if let Some(document) = db::policy_fetch(&mut conn, account_id, name).await? {
            return Ok(document);
        }
        match Managed::named(name.as_str()) {
            Some(managed) => Ok(managed.document.to_owned()),
            None => Err(Error::not_found(Kind::Policy, name.as_str())),
        }
    }

    /// The account's own policies, and how many principals have each.
    pub async fn list_policies(&self, account_id: &AccountId) -> Result<Vec<(String, i64)>, Error> {
        let mut conn = self.pool.acquire().await?;
        Ok(db::policy_list(&mut conn, account_id).await?)
    }

    /// Deletes a policy that nobody has any more.
    pub async fn delete_policy(&self, account_id: &AccountId, name: &Name) -> Result<(), Error> {
        let mut conn = self.pool.acquire().await?;
        if db::policy_delete(&mut conn, account_id, name).await? {
            return Ok(());
        }
        if db::policy_fetch(&mut conn, account_id, name)
            .await?
            .is_none()
        {
            return Err(Error::not_found(Kind::Policy, name.as_str()));
        }
        Err(Error::Conflict {
            attribute: "policy",
            public: format!("Cannot delete policy [{name}]: it is attached to principals."),
        })
    }

    pub async fn attach_policy(
        &self,
        account_id: &AccountId,
        subject: &Subject,
        policy: &Name,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let there = db::principal_lock(&mut tx, account_id, subject).await?;
        there.ok_or_else(|| unknown(subject))?;
        let own = db::policy_fetch(&mut tx, account_id, policy).await?;
        let attached = attached(policy, own.is_some())
            .ok_or_else(|| Error::not_found(Kind::Policy, policy.as_str()))?;
        db::policy_attach(&mut tx, account_id, subject, &attached, now).await?;
        tx.commit().await?;
        Ok(())
    }

    pub async fn detach_policy(
        &self,
        account_id: &AccountId,
        subject: &Subject,
        policy: &Name,
    ) -> Result<(), Error> {
        let mut conn = self.pool.acquire().await?;
        for attached in [true, false]
            .into_iter()
            .filter_map(|own| attached(policy, own))
        {
            if db::policy_detach(&mut conn, account_id, subject, &attached).await? {
                return Ok(());
            }
        }
        Err(Error::not_found(Kind::Policy, policy.as_str()))
    }
}

/// A policy by its name; the account's own come before those that every account has.
fn attached(name: &Name, is_own: bool) -> Option<Attached> {
    if is_own {
        return Some(Attached::Own(name.clone()));
    }
    Managed::named(name.as_str()).map(|managed| Attached::Managed(managed.name.to_owned()))
}

pub(super) fn unknown(subject: &Subject) -> Error {
    Error::not_found(Kind::Principal, subject.path())
}
