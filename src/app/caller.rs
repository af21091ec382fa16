//! Who calls, from where, in which region, and what that lets him do.

use std::net::IpAddr;

use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::PgConnection;
use trace::TraceParent;

use super::{CallerSession, audit::CallNote};
use crate::{
    db::{self, JobOrigin},
    error::Error,
    model::{
        AccessKeyId, Region, RequestId, Scope,
        arn::ResourceArn,
        authorisation::{Action, Denied, authorise},
        policy::{Context, Grants},
        principal::{Identity, Principal},
        principal_tag::PrincipalTags,
        tag::Tags,
    },
};

#[derive(Debug, Clone)]
pub struct Caller {
    pub principal: Principal,
    pub grants: Grants,
    /// The account's id, or the unique id of the user or of the role and its session.
    pub unique_id: String,
    pub access_key_id: AccessKeyId,
    pub tags: PrincipalTags,
    /// The session he is in, if he is in one.
    pub session: Option<CallerSession>,
    /// The region that the request is for.
    pub region: Region,
    pub request_id: RequestId,
    /// What the request is traced as, if it is.
    pub trace: Option<TraceParent>,
    pub source_address: Option<IpAddr>,
    /// Whether nobody on the way could read the request.
    pub is_secure: bool,
    pub user_agent: Option<String>,
    pub received_at: DateTime<Utc>,
    /// What the audit log will say of the call.
    pub note: CallNote,
}

/// The tags that a request would set or remove.
#[derive(Debug, Clone, Copy)]
pub(super) enum RequestTags<'a> {
    None,
    Set(&'a Tags),
    Remove(&'a [String]),
}

impl Caller {
    /// Whose resources the caller sees, and in which region.
    pub fn scope(&self) -> Scope {
        Scope {
            account_id: self.principal.account_id.clone(),
            region: self.region.clone(),
        }
    }

    /// What the jobs say that his call leads to.
    pub(super) fn origin(&self) -> JobOrigin {
        JobOrigin {
            request_id: self.request_id,
            trace: self.trace,
        }
    }

    /// Whether the caller may do what names no resource: create, or list.
    pub(super) fn may(&self, action: Action, tags: RequestTags<'_>) -> Result<(), Denied> {
        let everything = ResourceArn::all(&self.scope());
        self.check(action, &everything, self.context(tags))
    }

    /// Whether the caller may do it to this resource. Its tags are looked up when a policy asks.
    pub(super) async fn may_on(
        &self,
        conn: &mut PgConnection,
        action: Action,
        resource: &ResourceArn,
        tags: RequestTags<'_>,
    ) -> Result<(), Error> {
        let mut context = self.context(tags);
        if self.grants.asks_for_resource_tags() {
            for (key, value) in db::tags_fetch(conn, resource).await? {
                // The guide names both spellings.
                context.add(&format!("aws:ResourceTag/{key}"), value.clone());
                context.add(&format!("mq:ResourceTag/{key}"), value);
            }
        }
        Ok(self.check(action, resource, context)?)
    }

    fn check(
        &self,
        action: Action,
        resource: &ResourceArn,
        context: Context,
    ) -> Result<(), Denied> {
        authorise((&self.principal, &self.grants), action, resource, &context)
    }

    /// The condition keys of the request. Keys and values: IAM User Guide, "AWS global condition
    /// context keys".
    pub(super) fn context(&self, tags: RequestTags<'_>) -> Context {
        let account = self.principal.account_id.to_string();
        let (kind, arn) = match &self.principal.identity {
            Identity::Root => ("Account", self.principal.arn()),
            Identity::User(_) => ("User", self.principal.arn()),
            Identity::Session { .. } => ("AssumedRole", self.subject_arn()),
        };
        let seconds = self.received_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut context = Context::default()
            .with("aws:PrincipalAccount", account.clone())
            .with("aws:ResourceAccount", account)
            .with("aws:PrincipalArn", arn)
            .with("aws:PrincipalType", kind)
            .with("aws:userid", self.unique_id.clone())
            .with("aws:RequestedRegion", self.region.to_string())
            .with("aws:SecureTransport", self.is_secure.to_string())
            .with("aws:CurrentTime", seconds)
            .with("aws:EpochTime", self.received_at.timestamp().to_string());
        if let Identity::User(name) = &self.principal.identity {
            context.add("aws:username", name.as_str());
        }
        if let Some(address) = self.source_address {
            context.add("aws:SourceIp", address.to_string());
        }
        if let Some(agent) = &self.user_agent {
            context.add("aws:UserAgent", agent.clone());
        }
        for (key, value) in self.tags.iter() {
            context.add(&format!("aws:PrincipalTag/{key}"), value);
        }
        if let Some(session) = &self.session {
            let issued_at = session.issued_at;
            let issued_at = issued_at.to_rfc3339_opts(SecondsFormat::Secs, true);
            context.add("aws:TokenIssueTime", issued_at);
            context.add("aws:MultiFactorAuthPresent", "false");
            if let Some(name) = &session.inherited.source_identity {
                context.add("aws:SourceIdentity", name.as_str());
            }
        }
        match tags {
            RequestTags::None => {}
            RequestTags::Set(tags) => {
                for (key, value) in tags {
                    context.add(&format!("aws:RequestTag/{key}"), value.clone());
                    context.add("aws:TagKeys", key.clone());
                }
            }
            RequestTags::Remove(keys) => {
                for key in keys {
                    context.add("aws:TagKeys", key.clone());
                }
            }
        }
        context
    }

    /// The ARN that policies know the caller by: of a session, its role's.
    pub(super) fn subject_arn(&self) -> String {
        match self.principal.subject() {
            Some(subject) => subject.arn(&self.principal.account_id),
            None => self.principal.arn(),
        }
    }
}
