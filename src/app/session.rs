//! Sessions: AssumeRole, and who is trusted to use it.
//!
//! Nothing is stored of a session: its [token](super::session_token) carries it. It ends when its
//! time is over, its role is deleted, or its role's policies say no.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{App, Caller, caller::RequestTags, session_token::SessionToken};
use crate::{
    db::{self, StoredPrincipal},
    error::Error,
    model::{
        AccessKeyId,
        authorisation::Denied,
        policy::{Context, Question, Trust, TrustPolicy},
        principal::{Identity, Principal, Subject},
        principal_tag::PrincipalTags,
        session::{AssumeRole, Inherited, NoSession, WantedSession},
    },
};

const ASSUME_ROLE: &str = "sts:AssumeRole";
const TAG_SESSION: &str = "sts:TagSession";
const SET_SOURCE_IDENTITY: &str = "sts:SetSourceIdentity";
/// Of session keys, as AWS has it.
const KEY_PREFIX: &str = "ASIA";

/// A session, as it is shown once, to whom it is given.
#[derive(Debug, Clone)]
pub struct Session {
    pub access_key_id: AccessKeyId,
    pub secret: String,
    pub token: String,
    pub expires_at: DateTime<Utc>,
    pub principal: Principal,
    pub unique_id: String,
    pub role_arn: String,
    pub source_identity: Option<String>,
    /// How much of a session's space its policies and tags take; `None` without any.
    pub packed_percent: Option<usize>,
}

/// What a caller brings from the session that he is in.
#[derive(Debug, Clone)]
pub struct CallerSession {
    pub issued_at: DateTime<Utc>,
    /// Its tags that go on to the sessions begun from it.
    pub inherited: Inherited,
}

impl App {
    /// Makes the caller a session of a role, if the role trusts him and his own policies let him.
    pub async fn assume_role(
        &self,
        caller: &Caller,
        request: &AssumeRole,
    ) -> Result<Session, Error> {
        let wanted = request.check(caller.session.is_some())?;
        if caller.principal.identity == Identity::Root {
            return Err(NoSession::Root.into());
        }
        let inherited = caller
            .session
            .as_ref()
            .map(|session| session.inherited.clone())
            .unwrap_or_default();
        let tags = wanted.all_tags(&inherited)?;
        let packed_percent = wanted.packed_percent(&tags)?;
        // A role that is not there, and one that does not trust the caller, are not told apart.
        let subject = Subject::Role(wanted.role.clone());
        let mut conn = self.pool.acquire().await?;
        let stored = db::principal_fetch(&mut conn, &wanted.account_id, &subject).await?;
        let stored = stored.ok_or_else(|| denied(caller, ASSUME_ROLE, &wanted))?;
        check_trust(caller, &stored, &wanted, (&inherited, &tags))?;
        let session_s_max = stored.terms.as_ref().map_or(0, |terms| terms.session_s_max);
        if wanted.duration_s > session_s_max {
            let text =
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
            return Err(NoSession::Invalid(text.to_owned()).into());
        }
        self.session_policies(&mut conn, &wanted.account_id, &wanted.policy_arns)
            .await?
            .check_all()?;
        drop(conn);
        let inherited_keys = inherited.tags.folded_keys().cloned();
        let transitive: BTreeSet<String> = inherited_keys.chain(wanted.transitive).collect();
        let source_identity = wanted.source_identity.map(|name| name.to_string());
        let source_identity = source_identity.or(inherited.source_identity);
        let now = self.clock.now();
        let has_policies = wanted.policy.is_some() || !wanted.policy_arns.is_empty();
        let token = SessionToken {
            secret: self.secret(),
            account_id: wanted.account_id.to_string(),
            role: wanted.role.to_string(),
            role_id: stored.unique_id,
            session: wanted.name.to_string(),
            issued_at: now,
            expires_at: now + TimeDelta::seconds(wanted.duration_s.into()),
            policies: has_policies.then(|| wanted.policy.into_iter().collect()),
            policy_arns: wanted.policy_arns,
            tags,
            transitive,
            source_identity,
        };
        let access_key_id = self.access_key_id(KEY_PREFIX);
        Ok(Session {
            token: self.seal_session(&access_key_id, &token)?,
            access_key_id,
            unique_id: format!("{}:{}", token.role_id, token.session),
            secret: token.secret,
            expires_at: token.expires_at,
            principal: Principal {
                account_id: wanted.account_id,
                identity: Identity::Session {
                    role: wanted.role,
                    session: wanted.name,
                },
            },
            role_arn: wanted.role_arn,
            source_identity: token.source_identity,
            packed_percent,
        })
    }
}

fn denied(caller: &Caller, action: &'static str, wanted: &WantedSession) -> Denied {
    Denied {
        principal_arn: caller.principal.arn(),
        action,
        resource_arn: wanted.role_arn.clone(),
        refusal: None,
    }
}

/// Whether the role's trust policy and the caller's own policies together let him become it, with
/// the tags that the session will have and the name that it keeps of whoever began the chain.
fn check_trust(
    caller: &Caller,
    role: &StoredPrincipal,
    wanted: &WantedSession,
    (inherited, tags): (&Inherited, &PrincipalTags),
) -> Result<(), Error> {
    let trust_policy = role.terms.as_ref().map(|terms| &*terms.trust_policy);
    let trust_policy = trust_policy.ok_or_else(|| denied(caller, ASSUME_ROLE, wanted))?;
    let trust_policy = TrustPolicy::parse(trust_policy).map_err(Error::internal)?;
    let context = context(caller, role, wanted);
    let source_identity = wanted.source_identity.as_ref().map(|name| name.as_str());
    let kept = inherited.source_identity.as_deref();
    for (action, is_asked) in [
        (ASSUME_ROLE, true),
        // What was handed on is set on this session too.
        (TAG_SESSION, !tags.is_empty()),
        (SET_SOURCE_IDENTITY, source_identity.or(kept).is_some()),
    ] {
        let question = Question {
            action,
            resource: &wanted.role_arn,
            context: &context,
        };
        if is_asked && !is_trusted(caller, wanted, &trust_policy, &question) {
            return Err(denied(caller, action, wanted).into());
        }
    }
    // Whoever began a chain is known by one name in all of it.
    if kept.is_some() && source_identity.is_some() && source_identity != kept {
        return Err(denied(caller, SET_SOURCE_IDENTITY, wanted).into());
    }
    Ok(())
}

fn is_trusted(
    caller: &Caller,
    wanted: &WantedSession,
    trust_policy: &TrustPolicy,
    question: &Question<'_>,
) -> bool {
    let own_account = &caller.principal.account_id;
    match trust_policy.decide(&caller.subject_arn(), own_account.as_str(), question) {
        Trust::Denied => false,
        // Within one account being named is enough, unless his own policies forbid it.
        Trust::Named if *own_account == wanted.account_id => !caller.grants.forbids(question),
        Trust::Named | Trust::OfAccount => caller.grants.check(question).is_ok(),
    }
}

/// Keys: Service Authorization Reference, "Condition keys for AWS Security Token Service".
fn context(caller: &Caller, role: &StoredPrincipal, wanted: &WantedSession) -> Context {
    let mut context = caller.context(RequestTags::None);
    context.set("aws:ResourceAccount", wanted.account_id.as_str());
    context.add("sts:RoleSessionName", wanted.name.as_str());
    if let Some(external_id) = &wanted.external_id {
        context.add("sts:ExternalId", external_id.as_str());
    }
    if let Some(name) = &wanted.source_identity {
        context.add("sts:SourceIdentity", name.as_str());
    }
    for (key, value) in wanted.tags.iter() {
        context.add(&format!("aws:RequestTag/{key}"), value);
        context.add("aws:TagKeys", key);
    }
    for (key, _) in wanted.tags.only(&wanted.transitive).iter() {
        context.add("sts:TransitiveTagKeys", key);
    }
    for (key, value) in role.tags.iter() {
        context.add(&format!("aws:ResourceTag/{key}"), value);
        context.add(&format!("iam:ResourceTag/{key}"), value);
    }
    context
}
