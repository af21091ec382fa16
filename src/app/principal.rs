//! Users, roles and groups: made by the installation's operator, not through the API.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{App, audit::AccessChange};
use crate::{
    db::{self, HeldPolicy, StoredPrincipal, Unique},
    error::{Error, Kind},
    model::{
        AccountId,
        principal::{Name, Subject},
        principal_tag::PrincipalTags,
        quota::Quota,
        role::{Role, RoleTerms},
    },
};

/// A principal, and what it has.
#[derive(Debug, Clone)]
pub struct PrincipalDescription {
    pub principal: StoredPrincipal,
    /// Its own policies, without those of its groups.
    pub policies: Vec<HeldPolicy>,
    /// The groups of a user, or the users of a group.
    pub related: Vec<Subject>,
}

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

    pub async fn create_group(&self, account_id: &AccountId, name: Name) -> Result<(), Error> {
        self.create_principal(account_id, Subject::Group(name), None)
            .await
    }

    async fn create_principal(
        &self,
        account_id: &AccountId,
        subject: Subject,
        terms: Option<RoleTerms>,
    ) -> Result<(), Error> {
        // What AWS's unique ids begin with.
        let (prefix, quota) = match subject {
            Subject::User(_) => ("AIDA", Quota::IamUsersPerAccount),
            Subject::Role(_) => ("AROA", Quota::IamRolesPerAccount),
            Subject::Group(_) => ("AGPA", Quota::IamGroupsPerAccount),
        };
        let principal = StoredPrincipal {
            subject,
            unique_id: self.identifier(prefix),
            terms,
            tags: PrincipalTags::default(),
            created_at: self.clock.now(),
            last_used_at: None,
        };
        let mut tx = self.begin().await?;
        self.lock_account(&mut tx, account_id).await?;
        let count = db::principal_count(&mut tx, account_id, &principal.subject).await?;
        let quotas = db::quotas_fetch(&mut tx, account_id).await?;
        quotas.allow_one_more(quota, count)?;
        match db::principal_create(&mut tx, account_id, &principal).await {
            Ok(()) => {}
            Err(db::Error::Taken(Unique::PrincipalName)) => {
                return Err(Error::AlreadyExists {
                    kind: Kind::Principal,
                    name: principal.subject.path(),
                });
            }
            Err(error) => return Err(error.into()),
        }
        let change = AccessChange {
            account_id,
            action: format!("iam:Create{}", principal.subject.noun()),
            resource_arn: principal.subject.arn(account_id),
            request: request(&principal.subject, terms_told(principal.terms.as_ref())),
        };
        self.audit_access(&mut tx, change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Replaces who may assume a role, and for how long.
    pub async fn update_role(&self, account_id: &AccountId, role: &Role) -> Result<(), Error> {
        let subject = role.subject();
        let mut tx = self.begin().await?;
        if !db::role_update(&mut tx, account_id, role).await? {
            return Err(unknown(&subject));
        }
        let change = AccessChange {
            account_id,
            action: "iam:UpdateAssumeRolePolicy".to_owned(),
            resource_arn: subject.arn(account_id),
            request: request(&subject, terms_told(Some(&role.terms))),
        };
        self.audit_access(&mut tx, change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The account's users, roles and groups, each with what it has.
    pub async fn list_principals(
        &self,
        account_id: &AccountId,
    ) -> Result<Vec<PrincipalDescription>, Error> {
        let mut conn = self.pool.acquire().await?;
        let members = db::group_members(&mut conn, account_id).await?;
        let mut principals = Vec::new();
        for principal in db::principal_list(&mut conn, account_id).await? {
            let subject = &principal.subject;
            let mut policies = db::policies_held(&mut conn, account_id, subject).await?;
            policies.retain(|policy| policy.holder == *subject);
            let related = members.iter().filter_map(|(group, user)| match subject {
                subject if subject == group => Some(user.clone()),
                subject if subject == user => Some(group.clone()),
                _ => None,
            });
            principals.push(PrincipalDescription {
                related: related.collect(),
                policies,
                principal,
            });
        }
        Ok(principals)
    }

    /// Deletes a user, a role or a group: keys, sessions and memberships end with it.
    pub async fn delete_principal(
        &self,
        account_id: &AccountId,
        subject: &Subject,
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        if !db::principal_delete(&mut tx, account_id, subject).await? {
            return Err(unknown(subject));
        }
        let change = AccessChange {
            account_id,
            action: format!("iam:Delete{}", subject.noun()),
            resource_arn: subject.arn(account_id),
            request: request(subject, json!({})),
        };
        self.audit_access(&mut tx, change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Finds a principal and keeps others from changing what it has.
    pub(super) async fn lock_principal(
        &self,
        conn: &mut PgConnection,
        account_id: &AccountId,
        subject: &Subject,
    ) -> Result<StoredPrincipal, Error> {
        let there = db::principal_lock(conn, account_id, subject).await?;
        there.ok_or_else(|| unknown(subject))
    }

    /// Keeps others from changing who and what there is in an account.
    pub(super) async fn lock_account(
        &self,
        conn: &mut PgConnection,
        account_id: &AccountId,
    ) -> Result<(), Error> {
        match db::account_lock(conn, account_id).await? {
            true => Ok(()),
            false => Err(Error::not_found(Kind::Account, account_id.as_str())),
        }
    }
}

/// The parameters of a change to a principal, as IAM's operations name them.
pub(super) fn request(subject: &Subject, mut more: Value) -> Value {
    let member = format!("{}Name", subject.noun().to_lowercase());
    more[member] = json!(subject.name().as_str());
    more
}

fn terms_told(terms: Option<&RoleTerms>) -> Value {
    match terms {
        None => json!({}),
        Some(terms) => json!({
            "assumeRolePolicyDocument": terms.trust_policy,
            "maxSessionDuration": terms.session_s_max,
        }),
    }
}

pub(super) fn unknown(subject: &Subject) -> Error {
    Error::not_found(Kind::Principal, subject.path())
}
