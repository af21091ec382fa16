//! What policies say to a question. An explicit denial wins; what nobody allows is denied.

use super::{
    context::Context,
    document::{PolicyDocument, Selection, Statement, TrustPolicy, TrustedPrincipal},
};

/// Whether someone may do something to something.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// As in policies, such as `mq:DeleteBroker`.
    pub action: &'a str,
    /// The resource's ARN; `*` for an action that names none.
    pub resource: &'a str,
    pub context: &'a Context,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Allowed,
    /// No statement allows it.
    ImplicitlyDenied,
    /// A statement denies it.
    ExplicitlyDenied,
}

/// What a role's trust policy says to one who would become it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// He is named himself: his own policies need not allow it, if they are of the same account.
    Named,
    /// His account is: his own policies must allow it.
    OfAccount,
    Denied,
}

/// A decision, and the statement that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub decision: Decision,
    /// The policy and the statement in it, each by its place counted from zero: the first that
    /// denies or, if none does, the first that allows. `None` where none applies.
    pub by: Option<(usize, usize)>,
}

/// What `policies` together say.
pub fn decide<'a>(
    policies: impl IntoIterator<Item = &'a PolicyDocument>,
    question: &Question<'_>,
) -> Decision {
    verdict(policies, question).decision
}

/// What `policies` together say, and which of them.
pub fn verdict<'a>(
    policies: impl IntoIterator<Item = &'a PolicyDocument>,
    question: &Question<'_>,
) -> Verdict {
    let mut allowed_by = None;
    for (at, policy) in policies.into_iter().enumerate() {
        for (number, statement) in policy.statements.iter().enumerate() {
            if !statement.applies(question) {
                continue;
            }
            if !statement.allows {
                return Verdict {
                    decision: Decision::ExplicitlyDenied,
                    by: Some((at, number)),
                };
            }
            allowed_by = allowed_by.or(Some((at, number)));
        }
    }
    Verdict {
        decision: match allowed_by {
            Some(_) => Decision::Allowed,
            None => Decision::ImplicitlyDenied,
        },
        by: allowed_by,
    }
}

impl TrustPolicy {
    /// What this policy says to the principal with this ARN, of this account.
    pub fn decide(&self, arn: &str, account: &str, question: &Question<'_>) -> Trust {
        let mut trust = Trust::Denied;
        for (principals, statement) in &self.statements {
            if !statement.applies(question) {
                continue;
            }
            let names = |principal: &TrustedPrincipal| match principal {
                TrustedPrincipal::Anyone => Some(Trust::OfAccount),
                TrustedPrincipal::Account(trusted) => {
                    (trusted == account).then_some(Trust::OfAccount)
                }
                TrustedPrincipal::Arn(trusted) => (trusted == arn).then_some(Trust::Named),
            };
            let named: Vec<Trust> = principals.iter().filter_map(names).collect();
            if named.is_empty() {
                continue;
            }
            if !statement.allows {
                return Trust::Denied;
            }
            if trust == Trust::Denied || named.contains(&Trust::Named) {
                trust = if named.contains(&Trust::Named) {
                    Trust::Named
                } else {
                    Trust::OfAccount
                };
            }
        }
        trust
    }
}

impl Statement {
    fn applies(&self, question: &Question<'_>) -> bool {
        let action = question.action.to_ascii_lowercase();
        self.actions.includes(&action, question.context)
            && self
                .resources
                .as_ref()
                .is_none_or(|resources| resources.includes(question.resource, question.context))
            && self
                .conditions
                .iter()
                .all(|condition| condition.holds(question.context))
    }
}

impl Selection {
    fn includes(&self, text: &str, context: &Context) -> bool {
        let is_named = self.globs.iter().any(|glob| glob.matches(text, context));
        is_named != self.is_inverted
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const BROKER: &str = "arn:aws:mq:us-east-1:123456789012:broker:orders:b-1";

    fn policy(statements: &Value) -> PolicyDocument {
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        PolicyDocument::parse(&document.to_string()).unwrap()
    }

    fn ask(
        policies: &[PolicyDocument],
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Decision {
        decide(
            policies,
            &Question {
                action,
                resource,
                context,
            },
        )
    }

    #[test]
    fn what_nobody_allows_is_denied_and_a_denial_wins() {
        let allow = policy(&json!({"Effect": "Allow", "Action": "mq:*", "Resource": "*"}));
        let deny = policy(&json!({"Effect": "Deny", "Action": "mq:deletebroker", "Resource": "*"}));
        let context = Context::default();
        let both = [allow.clone(), deny];
        for (policies, action, expected) in [
            (&[][..], "mq:ListBrokers", Decision::ImplicitlyDenied),
            (&both[..1], "mq:DeleteBroker", Decision::Allowed),
            (&both[..1], "sts:AssumeRole", Decision::ImplicitlyDenied),
            (&both, "mq:DeleteBroker", Decision::ExplicitlyDenied),
            (&both, "mq:RebootBroker", Decision::Allowed),
        ] {
            assert_eq!(
                ask(policies, action, BROKER, &context),
                expected,
                "{action}"
            );
        }
    }

    #[test]
    fn a_verdict_names_the_first_denial_or_else_the_first_allowance() {
        let read = json!({"Effect": "Allow", "Action": "mq:List*", "Resource": "*"});
        let all = json!({"Effect": "Allow", "Action": "mq:*", "Resource": "*"});
        let deny = json!({"Effect": "Deny", "Action": "mq:DeleteBroker", "Resource": "*"});
        let policies = [policy(&read), policy(&json!([all, deny]))];
        let context = Context::default();
        for (action, by) in [
            ("mq:ListBrokers", Some((0, 0))),
            ("mq:RebootBroker", Some((1, 0))),
            ("mq:DeleteBroker", Some((1, 1))),
            ("sts:AssumeRole", None),
        ] {
            let question = Question {
                action,
                resource: BROKER,
                context: &context,
            };
            assert_eq!(verdict(&policies, &question).by, by, "{action}");
        }
    }

    #[test]
    fn resources_and_their_inverse_are_patterns() {
        let context = Context::default();
        let orders = "arn:aws:mq:us-east-1:123456789012:broker:orders:*";
        let only = policy(&json!({"Effect": "Allow", "Action": "mq:*", "Resource": orders}));
        let but = policy(&json!({"Effect": "Allow", "Action": "mq:*", "NotResource": orders}));
        let no_delete =
            policy(&json!({"Effect": "Allow", "NotAction": "mq:Delete*", "Resource": "*"}));
        let other = BROKER.replace("orders", "billing");
        for (policy, action, resource, expected) in [
            (&only, "mq:DeleteBroker", BROKER, true),
            (&only, "mq:DeleteBroker", &*other, false),
            (&only, "mq:ListBrokers", "*", false),
            (&but, "mq:DeleteBroker", BROKER, false),
            (&but, "mq:DeleteBroker", &*other, true),
            (&no_delete, "mq:DeleteBroker", BROKER, false),
            (&no_delete, "mq:RebootBroker", BROKER, true),
        ] {
            let decision = ask(std::slice::from_ref(policy), action, resource, &context);
            assert_eq!(
                decision == Decision::Allowed,
                expected,
                "{action} {resource}"
            );
        }
    }

    #[test]
    fn the_guides_example_protects_production() {
        let policies = [
            policy(&json!({"Effect": "Allow", "Action": "mq:*", "Resource": "*"})),
            policy(&json!({"Effect": "Deny", "Resource": "*",
                "Action": ["mq:DeleteBroker", "mq:RebootBroker", "mq:DeleteTags"],
                "Condition": {"StringEquals": {"aws:ResourceTag/environment": "production"}}})),
        ];
        let tagged = |value: &str| Context::default().with("aws:ResourceTag/environment", value);
        let action = "mq:DeleteBroker";
        assert_eq!(
            ask(&policies, action, BROKER, &tagged("production")),
            Decision::ExplicitlyDenied
        );
        assert_eq!(
            ask(&policies, action, BROKER, &tagged("test")),
            Decision::Allowed
        );
        assert_eq!(
            ask(&policies, action, BROKER, &Context::default()),
            Decision::Allowed
        );
        assert!(policies[1].asks_for_resource_tags() && !policies[0].asks_for_resource_tags());
    }

    #[test]
    fn trust_is_given_to_accounts_or_to_principals_and_can_be_withheld() {
        let (alice, bob) = (
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:iam::111122223333:user/bob",
        );
        let trust = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111122223333"}},
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": alice}},
            {"Effect": "Deny", "Action": "sts:*", "Principal": {"AWS": bob},
             "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        ]});
        let trust = TrustPolicy::parse(&trust.to_string()).unwrap();
        let ask = |arn: &str, account: &str, secure: &str| {
            let context = Context::default().with("aws:SecureTransport", secure);
            let question = Question {
                action: "sts:AssumeRole",
                resource: "arn:aws:iam::111122223333:role/deployer",
                context: &context,
            };
            trust.decide(arn, account, &question)
        };
        assert_eq!(ask(alice, "111122223333", "true"), Trust::Named);
        assert_eq!(ask(bob, "111122223333", "true"), Trust::OfAccount);
        assert_eq!(ask(bob, "111122223333", "false"), Trust::Denied);
        assert_eq!(
            ask("arn:aws:iam::999:user/eve", "999", "true"),
            Trust::Denied
        );
    }
}
