//! Session tokens: all there is to know of a session, sealed under the master key for the session's
//! access key id.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::{
    App, CallerSession,
    credential::{Credential, CredentialKind, NoCredential},
};
use crate::{
    db,
    error::Error,
    model::{
        AccessKeyId, AccountId,
        policy::{Managed, PolicyDocument},
        principal::{Identity, Name, Principal},
        principal_tag::PrincipalTags,
        session::{Inherited, NoSession},
    },
};

/// What a session token holds.
#[derive(Clone, Serialize, Deserialize)]
pub struct SessionToken {
    pub(super) secret: String,
    pub(super) account_id: String,
    pub(super) role: String,
    /// The unique id of the role, which its namesake does not have.
    pub(super) role_id: String,
    pub(super) session: String,
    pub(super) issued_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    /// Documents that narrow the session; `None` when nothing does.
    pub(super) policies: Option<Vec<String>>,
    /// Policies that narrow it too, as they are when they are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) policy_arns: Vec<String>,
    /// Its tags, beside its role's.
    #[serde(default, skip_serializing_if = "PrincipalTags::is_empty")]
    pub(super) tags: PrincipalTags,
    /// Folded keys of the tags that it hands on.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) transitive: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source_identity: Option<String>,
}

/// A session's policies by ARN, each with its document unless it does not exist.
pub(super) struct SessionPolicies(Vec<(String, Option<String>)>);

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionToken")
            .field("role", &self.role)
            .field("session", &self.session)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl SessionToken {
    /// What whoever uses it brings to his requests.
    pub fn caller_session(&self) -> CallerSession {
        CallerSession {
            issued_at: self.issued_at,
            inherited: Inherited {
                tags: self.tags.only(&self.transitive),
                source_identity: self.source_identity.clone(),
            },
        }
    }

    /// A release that did not know tags, source identities and ARNs in tokens would leave them out
    /// of its decisions: it cannot open a token that has any.
    fn purpose(&self, id: &AccessKeyId) -> String {
        let is_plain =
            self.policy_arns.is_empty() && self.tags.is_empty() && self.source_identity.is_none();
        if is_plain {
            plain_purpose(id)
        } else {
            rich_purpose(id)
        }
    }
}

fn plain_purpose(id: &AccessKeyId) -> String {
    format!("session:{id}")
}

fn rich_purpose(id: &AccessKeyId) -> String {
    format!("session-with-tags:{id}")
}

impl App {
    pub(super) fn seal_session(
        &self,
        id: &AccessKeyId,
        token: &SessionToken,
    ) -> Result<String, Error> {
        let plain = serde_json::to_vec(token).map_err(Error::internal)?;
        let sealed = self.master_key.seal(&token.purpose(id), &plain);
        Ok(STANDARD.encode(sealed.map_err(Error::internal)?))
    }

    /// What a token holds, if it was made for this key and its time is not over.
    pub(super) fn open_session(
        &self,
        id: &AccessKeyId,
        token: &str,
    ) -> Result<Credential, NoCredential> {
        let sealed = STANDARD.decode(token).map_err(|_| NoCredential::Unknown)?;
        let plain = [plain_purpose(id), rich_purpose(id)]
            .iter()
            .find_map(|purpose| self.master_key.open(purpose, &sealed).ok())
            .ok_or(NoCredential::Unknown)?;
        let token: SessionToken =
            serde_json::from_slice(&plain).map_err(|_| NoCredential::Unknown)?;
        if token.expires_at <= self.clock.now() {
            return Err(NoCredential::Expired);
        }
        let identity = Name::parse(&token.role).zip(Name::parse(&token.session));
        let (role, session) = identity.ok_or(NoCredential::Unknown)?;
        let account_id = AccountId::parse(&token.account_id).ok_or(NoCredential::Unknown)?;
        Ok(Credential {
            principal: Principal {
                account_id,
                identity: Identity::Session { role, session },
            },
            secret: token.secret.clone().into_bytes(),
            kind: CredentialKind::Session(Box::new(token)),
        })
    }

    /// The documents that narrow a session; `None` when nothing does. One that was deleted since
    /// allows nothing.
    pub(super) async fn narrowing(
        &self,
        conn: &mut PgConnection,
        account_id: &AccountId,
        token: &SessionToken,
    ) -> Result<Option<Arc<[PolicyDocument]>>, Error> {
        let Some(inline) = &token.policies else {
            return Ok(None);
        };
        let named = self
            .session_policies(conn, account_id, &token.policy_arns)
            .await?;
        let named = named.0.into_iter().filter_map(|(_, document)| document);
        let documents = inline.iter().cloned().chain(named);
        let documents = documents.map(|text| PolicyDocument::parse(&text));
        let documents = documents.collect::<Result<_, _>>();
        Ok(Some(documents.map_err(Error::internal)?))
    }

    /// The policies with these ARNs: those that every account has, and those of the role's account.
    pub(super) async fn session_policies(
        &self,
        conn: &mut PgConnection,
        account_id: &AccountId,
        arns: &[String],
    ) -> Result<SessionPolicies, Error> {
        let prefix = format!("arn:aws:iam::{account_id}:policy/");
        let own = |arn: &String| arn.strip_prefix(&prefix).and_then(Name::parse);
        let names: Vec<Name> = arns.iter().filter_map(own).collect();
        let documents: BTreeMap<String, String> = match names.is_empty() {
            true => BTreeMap::new(),
            false => db::policy_fetch_all(conn, account_id, &names)
                .await?
                .into_iter()
                .collect(),
        };
        let document = |arn: &String| match Managed::by_arn(arn) {
            Some(managed) => Some(managed.document.to_owned()),
            None => documents.get(own(arn)?.as_str()).cloned(),
        };
        let found = arns.iter().map(|arn| (arn.clone(), document(arn)));
        Ok(SessionPolicies(found.collect()))
    }
}

impl SessionPolicies {
    /// Whether all of them are there.
    pub(super) fn check_all(&self) -> Result<(), NoSession> {
        match self.0.iter().find(|(_, document)| document.is_none()) {
            None => Ok(()),
            Some((arn, _)) => Err(NoSession::Invalid(format!("Policy {arn} does not exist."))),
        }
    }
}
