//! All that decides over one caller.

use std::sync::Arc;

use super::{Decision, PolicyDocument, Question, decide};

/// What a principal may do in its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grants {
    /// Everything: of the account's root.
    All,
    /// What the policies attached to it allow and, of a session that was given policies of its
    /// own, those allow as well.
    Policies {
        attached: Arc<[PolicyDocument]>,
        session: Option<Arc<[PolicyDocument]>>,
    },
}

/// Whose silence or word a denial rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The resource is another account's, and has no policy of its own here.
    NotInResource,
    NotAttached,
    NotInSession,
    DeniedByAttached,
    DeniedBySession,
}

impl Grants {
    pub fn check(&self, question: &Question<'_>) -> Result<(), Refusal> {
        let Self::Policies { attached, session } = self else {
            return Ok(());
        };
        match decide(&**attached, question) {
            Decision::Allowed => {}
            Decision::ImplicitlyDenied => return Err(Refusal::NotAttached),
            Decision::ExplicitlyDenied => return Err(Refusal::DeniedByAttached),
        }
        match session.as_ref().map(|session| decide(&**session, question)) {
            None | Some(Decision::Allowed) => Ok(()),
            Some(Decision::ImplicitlyDenied) => Err(Refusal::NotInSession),
            Some(Decision::ExplicitlyDenied) => Err(Refusal::DeniedBySession),
        }
    }

    /// Whether a policy says no in so many words, or a session's own policies do not say yes.
    pub fn forbids(&self, question: &Question<'_>) -> bool {
        let Self::Policies { attached, session } = self else {
            return false;
        };
        decide(&**attached, question) == Decision::ExplicitlyDenied
            || session
                .as_ref()
                .is_some_and(|session| decide(&**session, question) != Decision::Allowed)
    }

    /// Whether a decision may need the tags of the resource.
    pub fn asks_for_resource_tags(&self) -> bool {
        match self {
            Self::All => false,
            Self::Policies { attached, session } => attached
                .iter()
                .chain(session.iter().flat_map(|session| session.iter()))
                .any(PolicyDocument::asks_for_resource_tags),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::policy::Context;

    fn policy(effect: &str, action: &str) -> PolicyDocument {
        let text = format!(
            r#"{{"Statement": {{"Effect": "{effect}", "Action": "{action}", "Resource": "*"}}}}"#
        );
        PolicyDocument::parse(&text).unwrap()
    }

    #[test]
    fn a_session_may_only_what_its_role_and_its_own_policies_allow() {
        let attached: Arc<[_]> = [policy("Allow", "mq:*"), policy("Deny", "mq:Promote")].into();
        let session: Arc<[_]> = [
            policy("Allow", "mq:Describe*"),
            policy("Deny", "mq:DescribeUser"),
        ]
        .into();
        let role = Grants::Policies {
            attached: attached.clone(),
            session: None,
        };
        let narrowed = Grants::Policies {
            attached,
            session: Some(session),
        };
        let context = Context::default();
        let ask = |grants: &Grants, action| {
            grants.check(&Question {
                action,
                resource: "*",
                context: &context,
            })
        };
        assert_eq!(ask(&Grants::All, "mq:Promote"), Ok(()));
        assert_eq!(ask(&role, "mq:DeleteBroker"), Ok(()));
        assert_eq!(ask(&role, "mq:Promote"), Err(Refusal::DeniedByAttached));
        assert_eq!(ask(&role, "sts:AssumeRole"), Err(Refusal::NotAttached));
        assert_eq!(ask(&narrowed, "mq:DescribeBroker"), Ok(()));
        assert_eq!(
            ask(&narrowed, "mq:DeleteBroker"),
            Err(Refusal::NotInSession)
        );
        assert_eq!(
            ask(&narrowed, "mq:DescribeUser"),
            Err(Refusal::DeniedBySession)
        );
    }
}
