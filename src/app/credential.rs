//! What a request is signed with: an access key, or the credentials of a session.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::{App, session_token::SessionToken};
use crate::{
    db,
    error::Error,
    model::{
        AccessKeyId,
        access_key::AccessKey,
        policy::Grants,
        principal::{Identity, Principal},
        principal_tag::PrincipalTags,
    },
};

/// `last_used_at` is good to this granularity, so that requests need not write.
const USE_GRANULARITY: TimeDelta = TimeDelta::minutes(1);

/// What verifies a signature, and for whom it then speaks.
#[derive(Clone)]
pub struct Credential {
    pub principal: Principal,
    pub secret: Vec<u8>,
    pub kind: CredentialKind,
}

#[derive(Debug, Clone)]
pub enum CredentialKind {
    Key {
        /// To the minute.
        last_used_at: Option<DateTime<Utc>>,
    },
    Session(Box<SessionToken>),
}

/// What decides over those who sign with a credential.
#[derive(Debug, Clone)]
pub struct Standing {
    pub grants: Grants,
    /// The account's id, or the unique id of the user or of the role and its session.
    pub unique_id: String,
    /// Of a session those of its role too, where it has none of its own with their keys.
    pub tags: PrincipalTags,
    /// To the minute; of a session its role's, of root never.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Why there is no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoCredential {
    /// Unknown and disabled ones are not told apart.
    Unknown,
    Expired,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

impl App {
    /// The credential with this id; with a token, the one that the token holds.
    pub async fn credential(
        &self,
        id: &AccessKeyId,
        token: Option<&str>,
    ) -> Result<Result<Credential, NoCredential>, Error> {
        if let Some(token) = token {
            return Ok(self.open_session(id, token));
        }
        let mut conn = self.pool.acquire().await?;
        let Some(key) = db::access_key_fetch(&mut conn, id)
            .await?
            .filter(|key| key.enabled)
        else {
            return Ok(Err(NoCredential::Unknown));
        };
        let secret = self
            .master_key
            .open(&AccessKey::purpose(id), &key.secret_sealed)
            .map_err(Error::internal)?;
        let last_used_at = key.last_used_at;
        Ok(Ok(Credential {
            principal: key.principal,
            secret,
            kind: CredentialKind::Key { last_used_at },
        }))
    }

    /// Who the credential's principal is and may do; `None` when the principal is no more.
    pub async fn standing(&self, credential: &Credential) -> Result<Option<Standing>, Error> {
        let principal = &credential.principal;
        let Some(subject) = principal.subject() else {
            return Ok(Some(Standing {
                grants: Grants::All,
                unique_id: principal.account_id.to_string(),
                tags: PrincipalTags::default(),
                last_used_at: None,
            }));
        };
        let mut conn = self.pool.acquire().await?;
        let account_id = &principal.account_id;
        let Some(stored) = db::principal_fetch(&mut conn, account_id, &subject).await? else {
            return Ok(None);
        };
        let (session, unique_id, tags) = match (&credential.kind, &principal.identity) {
            (CredentialKind::Session(token), Identity::Session { session, .. }) => {
                // A role that was deleted and made again is another one.
                if token.role_id != stored.unique_id {
                    return Ok(None);
                }
                let narrowing = self.narrowing(&mut conn, account_id, token).await?;
                let unique_id = format!("{}:{session}", stored.unique_id);
                (narrowing, unique_id, stored.tags.overridden_by(&token.tags))
            }
            _ => (None, stored.unique_id, stored.tags),
        };
        let held = self.held_policies(&mut conn, account_id, &subject).await?;
        let attached = held.into_iter().map(|(_, document)| document).collect();
        Ok(Some(Standing {
            grants: Grants::Policies { attached, session },
            unique_id,
            tags,
            last_used_at: stored.last_used_at,
        }))
    }

    /// Notes that a key, or a session of a role, verified a request; to the minute, so that most
    /// requests write nothing.
    pub async fn note_use(
        &self,
        id: &AccessKeyId,
        credential: &Credential,
        standing: &Standing,
    ) -> Result<(), Error> {
        let last_used_at = match credential.kind {
            CredentialKind::Key { last_used_at } => last_used_at,
            CredentialKind::Session(_) => standing.last_used_at,
        };
        let now = self.clock.now();
        if last_used_at.is_some_and(|last| now - last < USE_GRANULARITY) {
            return Ok(());
        }
        let mut conn = self.pool.acquire().await?;
        let principal = &credential.principal;
        match (&credential.kind, principal.subject()) {
            (CredentialKind::Session(_), Some(role)) => {
                let account_id = &principal.account_id;
                db::principal_touch(&mut conn, account_id, &role, USE_GRANULARITY, now).await?;
            }
            (CredentialKind::Session(_), None) | (CredentialKind::Key { .. }, _) => {
                db::access_key_touch(&mut conn, id, USE_GRANULARITY, now).await?;
            }
        }
        Ok(())
    }
}
