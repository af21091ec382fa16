//! The policies that Amazon MQ's users attach by name. Only what is asked of us is in them: the
//! rights on other services that AWS's own documents also give have no meaning here.

/// A policy that every account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Managed {
    pub name: &'static str,
    pub document: &'static str,
}

const EVERYTHING: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Action": "mq:*", "Resource": "*"}]
}"#;

const READING: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Action": ["mq:Describe*", "mq:List*"], "Resource": "*"}]
}"#;

pub const MANAGED: [Managed; 4] = [
    Managed {
        name: "AmazonMQApiFullAccess",
        document: EVERYTHING,
    },
    Managed {
        name: "AmazonMQApiReadOnlyAccess",
        document: READING,
    },
    Managed {
        name: "AmazonMQFullAccess",
        document: EVERYTHING,
    },
    Managed {
        name: "AmazonMQReadOnlyAccess",
        document: READING,
    },
];

impl Managed {
    /// The policy with this ARN, `arn:aws:iam::aws:policy/<name>`.
    pub fn by_arn(arn: &str) -> Option<&'static Self> {
        Self::named(arn.strip_prefix("arn:aws:iam::aws:policy/")?)
    }

    pub fn named(name: &str) -> Option<&'static Self> {
        MANAGED.iter().find(|policy| policy.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        authorisation::Action,
        policy::{Context, Decision, PolicyDocument, Question, decide},
    };

    #[test]
    fn readers_may_look_and_the_others_may_do_everything() {
        let context = Context::default();
        for managed in MANAGED {
            let policy = PolicyDocument::parse(managed.document).unwrap();
            for action in Action::ALL {
                let name = action.name();
                let question = Question {
                    action: name,
                    resource: "*",
                    context: &context,
                };
                let is_read = name.starts_with("mq:Describe") || name.starts_with("mq:List");
                assert_eq!(
                    decide([&policy], &question) == Decision::Allowed,
                    is_read || !managed.name.contains("ReadOnly"),
                    "{} {name}",
                    managed.name
                );
            }
        }
    }

    #[test]
    fn they_are_found_by_their_arn() {
        let arn = "arn:aws:iam::aws:policy/AmazonMQReadOnlyAccess";
        assert_eq!(Managed::by_arn(arn).unwrap().document, READING);
        assert_eq!(Managed::by_arn("arn:aws:iam::aws:policy/Other"), None);
    }
}
