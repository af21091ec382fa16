//! Who may do what. The single question is [`authorise`], and every operation asks it.

use super::{arn::ResourceArn, principal::Principal};

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
}

impl Action {
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
        }
    }
}

/// A refusal, in the words AWS uses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("User: {principal_arn} is not authorized to perform: {action} on resource: {resource_arn}")]
pub struct Denied {
    pub principal_arn: String,
    pub action: &'static str,
    pub resource_arn: String,
}

/// Whether `principal` may perform `action` on `resource`: everything in its own account,
/// nothing elsewhere.
pub fn authorise(
    principal: &Principal,
    action: Action,
    resource: &ResourceArn,
) -> Result<(), Denied> {
    if principal.account_id == resource.scope.account_id {
        return Ok(());
    }
    Err(Denied {
        principal_arn: principal.arn(),
        action: action.name(),
        resource_arn: resource.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountId, Region, Scope};

    #[test]
    fn every_action_is_bound_to_the_callers_account() {
        let account = |id: &str| AccountId::parse(id).unwrap();
        let principal = Principal {
            account_id: account("111111111111"),
            path: "root".into(),
        };
        for action in Action::ALL {
            for (owner, allowed) in [("111111111111", true), ("222222222222", false)] {
                let region = Region::parse("us-east-1").unwrap();
                let resource = ResourceArn::all(&Scope {
                    account_id: account(owner),
                    region,
                });
                let answer = authorise(&principal, action, &resource);
                assert_eq!(answer.is_ok(), allowed, "{action:?}");
            }
        }
        let region = Region::parse("us-east-1").unwrap();
        let elsewhere = ResourceArn::all(&Scope {
            account_id: account("222222222222"),
            region,
        });
        assert_eq!(
            authorise(&principal, Action::ListBrokers, &elsewhere)
                .unwrap_err()
                .to_string(),
            "User: arn:aws:iam::111111111111:root is not authorized to perform: mq:ListBrokers \
             on resource: arn:aws:mq:us-east-1:222222222222:*"
        );
    }
}
