//! Who may do what. The single question is [`authorise`], and every operation asks it.

use super::{
    Scope,
    arn::{Resource, ResourceArn},
    policy::{Context, Grants, Question, Refusal},
    principal::Principal,
};

/// What a caller wants to do; named as in access policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    CreateBroker,
    CreateConfiguration,
    CreateTags,
    CreateUser,
    DeleteBroker,
    DeleteConfiguration,
    DeleteTags,
    DeleteUser,
    DescribeBroker,
    DescribeBrokerEngineTypes,
    DescribeBrokerInstanceOptions,
    DescribeConfiguration,
    DescribeConfigurationRevision,
    DescribeSharedResources,
    DescribeUser,
    ListBrokers,
    ListConfigurationRevisions,
    ListConfigurations,
    ListTags,
    ListUsers,
    Promote,
    RebootBroker,
    UpdateBroker,
    UpdateConfiguration,
    UpdateUser,
    /// Changing how a broker's users log in; no operation of its own.
    UpdateBrokerAccessConfiguration,
    /// Reading the audit log; not an operation of Amazon MQ.
    ListAuditEvents,
    /// Seeing, putting off and not waiting for maintenance; not operations of Amazon MQ.
    DescribeMaintenance,
    DeferMaintenance,
    ApplyMaintenance,
    /// Going back to the engine before; not an operation of Amazon MQ.
    RollbackMaintenance,
}

impl Action {
    /// One for each operation of the API.
    pub const ALL: [Self; 25] = [
        Self::CreateBroker,
        Self::CreateConfiguration,
        Self::CreateTags,
        Self::CreateUser,
        Self::DeleteBroker,
        Self::DeleteConfiguration,
        Self::DeleteTags,
        Self::DeleteUser,
        Self::DescribeBroker,
        Self::DescribeBrokerEngineTypes,
        Self::DescribeBrokerInstanceOptions,
        Self::DescribeConfiguration,
        Self::DescribeConfigurationRevision,
        Self::DescribeSharedResources,
        Self::DescribeUser,
        Self::ListBrokers,
        Self::ListConfigurationRevisions,
        Self::ListConfigurations,
        Self::ListTags,
        Self::ListUsers,
        Self::Promote,
        Self::RebootBroker,
        Self::UpdateBroker,
        Self::UpdateConfiguration,
        Self::UpdateUser,
    ];

    /// The action's name in policies and in the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateBroker => "mq:CreateBroker",
            Self::CreateConfiguration => "mq:CreateConfiguration",
            Self::CreateTags => "mq:CreateTags",
            Self::CreateUser => "mq:CreateUser",
            Self::DeleteBroker => "mq:DeleteBroker",
            Self::DeleteConfiguration => "mq:DeleteConfiguration",
            Self::DeleteTags => "mq:DeleteTags",
            Self::DeleteUser => "mq:DeleteUser",
            Self::DescribeBroker => "mq:DescribeBroker",
            Self::DescribeBrokerEngineTypes => "mq:DescribeBrokerEngineTypes",
            Self::DescribeBrokerInstanceOptions => "mq:DescribeBrokerInstanceOptions",
            Self::DescribeConfiguration => "mq:DescribeConfiguration",
            Self::DescribeConfigurationRevision => "mq:DescribeConfigurationRevision",
            Self::DescribeSharedResources => "mq:DescribeSharedResources",
            Self::DescribeUser => "mq:DescribeUser",
            Self::ListBrokers => "mq:ListBrokers",
            Self::ListConfigurationRevisions => "mq:ListConfigurationRevisions",
            Self::ListConfigurations => "mq:ListConfigurations",
            Self::ListTags => "mq:ListTags",
            Self::ListUsers => "mq:ListUsers",
            Self::Promote => "mq:Promote",
            Self::RebootBroker => "mq:RebootBroker",
            Self::UpdateBroker => "mq:UpdateBroker",
            Self::UpdateConfiguration => "mq:UpdateConfiguration",
            Self::UpdateUser => "mq:UpdateUser",
            Self::UpdateBrokerAccessConfiguration => "mq:UpdateBrokerAccessConfiguration",
            Self::ListAuditEvents => "mq:ListAuditEvents",
            Self::DescribeMaintenance => "mq:DescribeMaintenance",
            Self::DeferMaintenance => "mq:DeferMaintenance",
            Self::ApplyMaintenance => "mq:ApplyMaintenance",
            Self::RollbackMaintenance => "mq:RollbackMaintenance",
        }
    }

    /// The operation's name: the action's without its service.
    pub fn operation(self) -> &'static str {
        self.name().trim_start_matches("mq:")
    }
}

/// A refusal, in the words AWS uses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "User: {principal_arn} is not authorized to perform: {action} on resource: {resource_arn}{}",
    reason(*.refusal, .action)
)]
pub struct Denied {
    pub principal_arn: String,
    pub action: &'static str,
    pub resource_arn: String,
    /// `None` where AWS does not say either: of roles, which are not to be guessed at.
    pub refusal: Option<Refusal>,
}

fn reason(refusal: Option<Refusal>, action: &str) -> String {
    match refusal {
        None => String::new(),
        Some(Refusal::NotInResource) => {
            format!(" because no resource-based policy allows the {action} action")
        }
        Some(Refusal::NotAttached) => {
            format!(" because no identity-based policy allows the {action} action")
        }
        Some(Refusal::NotInSession) => {
            format!(" because no session policy allows the {action} action")
        }
        Some(Refusal::DeniedByAttached) => {
            " with an explicit deny in an identity-based policy".to_owned()
        }
        Some(Refusal::DeniedBySession) => " with an explicit deny in a session policy".to_owned(),
    }
}

/// Whether `principal`, who has `grants`, may perform `action` on `resource`. Never outside of its
/// own account, whatever its policies say.
pub fn authorise(
    (principal, grants): (&Principal, &Grants),
    action: Action,
    resource: &ResourceArn,
    context: &Context,
) -> Result<(), Denied> {
    let refused = |refusal| Denied {
        principal_arn: principal.arn(),
        action: action.name(),
        resource_arn: resource.to_string(),
        refusal: Some(refusal),
    };
    if principal.account_id != resource.scope.account_id {
        return Err(refused(Refusal::NotInResource));
    }
    let name = match &resource.resource {
        Resource::All if action == Action::CreateConfiguration => {
            let Scope { account_id, region } = &resource.scope;
            format!("arn:aws:mq:{region}:{account_id}:configuration:*")
        }
        // Only policies for every resource cover what names none.
        Resource::All => "*".to_owned(),
        Resource::Broker { .. } | Resource::Configuration { .. } => resource.to_string(),
    };
    let question = Question {
        action: action.name(),
        resource: &name,
        context,
    };
    grants.check(&question).map_err(refused)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{AccountId, BrokerId, Region, Scope, policy::PolicyDocument};

    fn account(id: &str) -> AccountId {
        AccountId::parse(id).unwrap()
    }

    fn scope(owner: &str) -> Scope {
        Scope {
            account_id: account(owner),
            region: Region::parse("us-east-1").unwrap(),
        }
    }

    #[test]
    fn every_action_is_bound_to_the_callers_account() {
        let principal = Principal::root(account("111111111111"));
        let all: PolicyDocument = PolicyDocument::parse(
            r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#,
        )
        .unwrap();
        let policies = Grants::Policies {
            attached: Arc::new([all]),
            session: None,
        };
        let context = Context::default();
        for action in Action::ALL {
            for grants in [&Grants::All, &policies] {
                for (owner, allowed) in [("111111111111", true), ("222222222222", false)] {
                    let resource = ResourceArn::all(&scope(owner));
                    let answer = authorise((&principal, grants), action, &resource, &context);
                    assert_eq!(answer.is_ok(), allowed, "{action:?}");
                }
            }
        }
    }

    #[test]
    fn a_denial_says_who_what_and_why_as_aws_does() {
        let principal = Principal::root(account("111111111111"));
        let nothing = Grants::Policies {
            attached: Arc::new([]),
            session: None,
        };
        let id = BrokerId::parse("b-8d0f6d1c-2f34-4a44-9f6f-8a8f3c8f4f10").unwrap();
        let broker = ResourceArn::broker(&scope("111111111111"), "orders", &id);
        let ask = |grants, resource| {
            let context = Context::default();
            let answer = authorise(
                (&principal, grants),
                Action::DeleteBroker,
                resource,
                &context,
            );
            answer.unwrap_err().to_string()
        };
        assert_eq!(
            ask(&nothing, &broker),
            "User: arn:aws:iam::111111111111:root is not authorized to perform: mq:DeleteBroker \
             on resource: arn:aws:mq:us-east-1:111111111111:broker:orders:\
             b-8d0f6d1c-2f34-4a44-9f6f-8a8f3c8f4f10 because no identity-based policy allows the \
             mq:DeleteBroker action"
        );
        assert_eq!(
            ask(&Grants::All, &ResourceArn::all(&scope("222222222222"))),
            "User: arn:aws:iam::111111111111:root is not authorized to perform: mq:DeleteBroker \
             on resource: arn:aws:mq:us-east-1:222222222222:* because no resource-based policy \
             allows the mq:DeleteBroker action"
        );
    }
}
