//! Sessions: AssumeRole, and the tokens that carry what was assumed.
//!
//! A token holds all there is to know of a session, sealed under the master key for its access key
//! id. Nothing is stored: a session ends when its time is over, its role is deleted, or its role's
//! policies say no.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    App, Caller,
    caller::RequestTags,
    credential::{Credential, CredentialKind, NoCredential},
};
use crate::{
    db,
    error::Error,
    model::{
        AccessKeyId, AccountId, Invalid,
        authorisation::Denied,
        policy::{Managed, PolicyDocument, Question, Trust, TrustPolicy},
        principal::{Identity, Name, Principal, Subject},
        role::{SESSION_S_DEFAULT, SESSION_S_MAX, SESSION_S_MIN},
    },
};

const ACTION: &str = "sts:AssumeRole";
/// Of session keys, as AWS has it.
const KEY_PREFIX: &str = "ASIA";
/// Longest session of one who is in a session himself, in seconds.
const CHAINED_S_MAX: u32 = 3_600;
const SESSION_POLICIES_MAX: usize = 10;

#[derive(Debug, Clone, Default)]
pub struct AssumeRole {
    pub role_arn: String,
    pub session_name: String,
    pub duration_s: Option<u32>,
    /// A policy document that the session must satisfy beside its role's.
    pub policy: Option<String>,
    /// ARNs of further such policies.
    pub policy_arns: Vec<String>,
    pub external_id: Option<String>,
}

/// A session, as it is shown once, to whom it is given.
#[derive(Debug, Clone)]
pub struct Session {
    pub access_key_id: AccessKeyId,
    pub secret: String,
    pub token: String,
    pub expires_at: DateTime<Utc>,
    pub principal: Principal,
    pub unique_id: String,
}

/// What a session token holds.
#[derive(Clone, Serialize, Deserialize)]
pub struct SessionToken {
    secret: String,
    account_id: String,
    role: String,
    /// The unique id of the role, which its namesake does not have.
    pub(super) role_id: String,
    session: String,
    pub issued_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    policies: Option<Vec<String>>,
}

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
    /// The documents that narrow the session.
    pub(super) fn policies(&self) -> Result<Option<Arc<[PolicyDocument]>>, Error> {
        let Some(policies) = &self.policies else {
            return Ok(None);
        };
        let documents = policies.iter().map(|text| PolicyDocument::parse(text));
        Ok(Some(
            documents
                .collect::<Result<_, _>>()
                .map_err(Error::internal)?,
        ))
    }

    fn purpose(id: &AccessKeyId) -> String {
        format!("session:{id}")
    }
}

impl App {
    /// Makes the caller a session of a role, if the role trusts him and his own policies let him.
    pub async fn assume_role(
        &self,
        caller: &Caller,
        request: &AssumeRole,
    ) -> Result<Session, Error> {
        let session = Name::parse(&request.session_name)
            .filter(|name| name.as_str().len() >= 2)
            .ok_or_else(|| {
                Invalid::new(
                    "roleSessionName",
                    "RoleSessionName must have 2 to 64 letters, digits or characters of _+=,.@-",
                )
            })?;
        let duration_s = duration_s(caller, request.duration_s)?;
        let policies = self.session_policies(caller, request).await?;
        let denied = || Denied {
            principal_arn: caller.principal.arn(),
            action: ACTION,
            resource_arn: request.role_arn.clone(),
            refusal: None,
        };
        if caller.principal.identity == Identity::Root {
            return Err(
                Invalid::new("roleArn", "Roles may not be assumed by root accounts.").into(),
            );
        }
        // A role that is not there, and one that does not trust the caller, are not told apart.
        let (account_id, role) = parse_role(&request.role_arn)?;
        let subject = Subject::Role(role.clone());
        let mut conn = self.pool.acquire().await?;
        let stored = db::principal_fetch(&mut conn, &account_id, &subject).await?;
        let stored = stored.ok_or_else(denied)?;
        let terms = stored.terms.as_ref().ok_or_else(denied)?;
        if !is_trusted(caller, &account_id, &terms.trust_policy, request)? {
            return Err(denied().into());
        }
        if duration_s > terms.session_s_max {
            return Err(Invalid::new(
                "durationSeconds",
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            )
            .into());
        }
        let now = self.clock.now();
        let token = SessionToken {
            secret: self.secret(),
            account_id: account_id.to_string(),
            role: role.to_string(),
            role_id: stored.unique_id.clone(),
            session: session.to_string(),
            issued_at: now,
            expires_at: now + TimeDelta::seconds(duration_s.into()),
            policies,
        };
        self.issue(
            token,
            Principal {
                account_id,
                identity: Identity::Session { role, session },
            },
        )
    }

    fn issue(&self, token: SessionToken, principal: Principal) -> Result<Session, Error> {
        let access_key_id = self.access_key_id(KEY_PREFIX);
        let plain = serde_json::to_vec(&token).map_err(Error::internal)?;
        let sealed = self
            .master_key
            .seal(&SessionToken::purpose(&access_key_id), &plain)
            .map_err(Error::internal)?;
        Ok(Session {
            access_key_id,
            unique_id: format!("{}:{}", token.role_id, token.session),
            secret: token.secret,
            token: STANDARD.encode(sealed),
            expires_at: token.expires_at,
            principal,
        })
    }

    /// What a token holds, if it was made for this key and its time is not over.
    pub(super) fn open_session(
        &self,
        id: &AccessKeyId,
        token: &str,
    ) -> Result<Credential, NoCredential> {
        let sealed = STANDARD.decode(token).map_err(|_| NoCredential::Unknown)?;
        let plain = self.master_key.open(&SessionToken::purpose(id), &sealed);
        let plain = plain.map_err(|_| NoCredential::Unknown)?;
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
            kind: CredentialKind::Session(token),
        })
    }

    /// The documents that the request names, checked; `None` when it names none.
    async fn session_policies(
        &self,
        caller: &Caller,
        request: &AssumeRole,
    ) -> Result<Option<Vec<String>>, Error> {
        if request.policy.is_none() && request.policy_arns.is_empty() {
            return Ok(None);
        }
        if request.policy_arns.len() > SESSION_POLICIES_MAX {
            let text = format!("A session can have at most {SESSION_POLICIES_MAX} policy ARNs.");
            return Err(Invalid::new("policyArns", text).into());
        }
        let mut documents = Vec::new();
        if let Some(document) = &request.policy {
            PolicyDocument::parse(document)
                .map_err(|error| Invalid::new("policy", error.to_string()))?;
            documents.push(document.clone());
        }
        for arn in &request.policy_arns {
            documents.push(
                self.policy_document(&caller.principal.account_id, arn)
                    .await?,
            );
        }
        Ok(Some(documents))
    }

    /// The document of the policy with this ARN: one that every account has, or one of this one's.
    async fn policy_document(&self, account_id: &AccountId, arn: &str) -> Result<String, Error> {
        if let Some(managed) = Managed::by_arn(arn) {
            return Ok(managed.document.to_owned());
        }
        let unknown = || Invalid::new("policyArns", format!("Policy {arn} does not exist."));
        let name = arn
            .strip_prefix(&format!("arn:aws:iam::{account_id}:policy/"))
            .and_then(Name::parse)
            .ok_or_else(unknown)?;
        let mut conn = self.pool.acquire().await?;
        let document = db::policy_fetch(&mut conn, account_id, &name).await?;
        Ok(document.ok_or_else(unknown)?)
    }
}

fn duration_s(caller: &Caller, asked: Option<u32>) -> Result<u32, Invalid> {
    let is_chained = matches!(caller.principal.identity, Identity::Session { .. });
    let max = if is_chained {
        CHAINED_S_MAX
    } else {
        SESSION_S_MAX
    };
    let duration_s = asked.unwrap_or(SESSION_S_DEFAULT);
    if (SESSION_S_MIN..=max).contains(&duration_s) {
        return Ok(duration_s);
    }
    Err(Invalid::new(
        "durationSeconds",
        if is_chained && duration_s > max {
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by \
             role chaining"
                .to_owned()
        } else {
            format!("DurationSeconds must be between {SESSION_S_MIN} and {max}")
        },
    ))
}

fn parse_role(arn: &str) -> Result<(AccountId, Name), Invalid> {
    let parsed = arn.strip_prefix("arn:aws:iam::").and_then(|rest| {
        let (account, role) = rest.split_once(":role/")?;
        Some((AccountId::parse(account)?, Name::parse(role)?))
    });
    parsed.ok_or_else(|| Invalid::new("roleArn", format!("{arn} is invalid")))
}

/// Whether the role's trust policy and the caller's own policies together let him become it.
fn is_trusted(
    caller: &Caller,
    account_id: &AccountId,
    trust_policy: &str,
    request: &AssumeRole,
) -> Result<bool, Error> {
    let trust_policy = TrustPolicy::parse(trust_policy).map_err(Error::internal)?;
    let mut context = caller.context(RequestTags::None);
    context.add("sts:RoleSessionName", request.session_name.clone());
    if let Some(external_id) = &request.external_id {
        context.add("sts:ExternalId", external_id.clone());
    }
    let question = Question {
        action: ACTION,
        resource: &request.role_arn,
        context: &context,
    };
    let own_account = &caller.principal.account_id;
    let trust = trust_policy.decide(&caller.subject_arn(), own_account.as_str(), &question);
    Ok(match trust {
        Trust::Denied => false,
        // Within one account being named is enough, unless his own policies forbid it.
        Trust::Named if own_account == account_id => !caller.grants.forbids(&question),
        Trust::Named | Trust::OfAccount => caller.grants.check(&question).is_ok(),
    })
}
