//! How much an account may have, and what its operator allows beyond that.
//!
//! The numbers are those of the Amazon MQ developer guide, "Quotas in Amazon MQ"; that of brokers is
//! what Amazon MQ grants today, and configurations are bounded so that no account fills a database.
//! Those that begin with `iam` are of the IAM User Guide, "IAM and AWS STS quotas".

use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quota {
    BrokersPerRegion,
    ConfigurationsPerRegion,
    GroupsPerUser,
    IamGroupsPerAccount,
    IamGroupsPerUser,
    IamPoliciesPerAccount,
    IamPoliciesPerPrincipal,
    IamRolesPerAccount,
    IamUsersPerAccount,
    RevisionsPerConfiguration,
    TagsPerResource,
    UsersPerBroker,
}

/// A quota that leaves no room for what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The maximum number of {}, [{max}], is reached.", .quota.noun())]
pub struct Exceeded {
    pub quota: Quota,
    pub max: i64,
}

impl Quota {
    pub const ALL: [Self; 12] = [
        Self::BrokersPerRegion,
        Self::ConfigurationsPerRegion,
        Self::GroupsPerUser,
        Self::IamGroupsPerAccount,
        Self::IamGroupsPerUser,
        Self::IamPoliciesPerAccount,
        Self::IamPoliciesPerPrincipal,
        Self::IamRolesPerAccount,
        Self::IamUsersPerAccount,
        Self::RevisionsPerConfiguration,
        Self::TagsPerResource,
        Self::UsersPerBroker,
    ];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quota| quota.name() == text)
    }

    /// As stored and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::BrokersPerRegion => "brokers-per-region",
            Self::ConfigurationsPerRegion => "configurations-per-region",
            Self::GroupsPerUser => "groups-per-user",
            Self::IamGroupsPerAccount => "iam-groups-per-account",
            Self::IamGroupsPerUser => "iam-groups-per-user",
            Self::IamPoliciesPerAccount => "iam-policies-per-account",
            Self::IamPoliciesPerPrincipal => "iam-policies-per-principal",
            Self::IamRolesPerAccount => "iam-roles-per-account",
            Self::IamUsersPerAccount => "iam-users-per-account",
            Self::RevisionsPerConfiguration => "revisions-per-configuration",
            Self::TagsPerResource => "tags-per-resource",
            Self::UsersPerBroker => "users-per-broker",
        }
    }

    /// What an account may have that nobody has adjusted.
    pub fn standard(self) -> i64 {
        match self {
            Self::BrokersPerRegion => 200,
            Self::ConfigurationsPerRegion => 1_000,
            Self::GroupsPerUser => 20,
            Self::IamGroupsPerAccount => 300,
            Self::IamGroupsPerUser | Self::IamPoliciesPerPrincipal => 10,
            Self::IamPoliciesPerAccount => 1_500,
            Self::IamRolesPerAccount => 1_000,
            Self::IamUsersPerAccount => 5_000,
            Self::RevisionsPerConfiguration => 300,
            Self::TagsPerResource => 50,
            Self::UsersPerBroker => 250,
        }
    }

    /// The request member to blame.
    pub fn attribute(self) -> &'static str {
        match self {
            Self::BrokersPerRegion => "brokerName",
            Self::ConfigurationsPerRegion => "name",
            Self::GroupsPerUser => "groups",
            Self::IamGroupsPerAccount
            | Self::IamGroupsPerUser
            | Self::IamRolesPerAccount
            | Self::IamUsersPerAccount => "principal",
            Self::IamPoliciesPerAccount | Self::IamPoliciesPerPrincipal => "policy",
            Self::RevisionsPerConfiguration => "configuration_id",
            Self::TagsPerResource => "tags",
            Self::UsersPerBroker => "username",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::BrokersPerRegion => "brokers in this region",
            Self::ConfigurationsPerRegion => "configurations in this region",
            Self::GroupsPerUser => "groups of a user",
            Self::IamGroupsPerAccount => "groups in this account",
            Self::IamGroupsPerUser => "groups that a user of this account is in",
            Self::IamPoliciesPerAccount => "policies in this account",
            Self::IamPoliciesPerPrincipal => "policies attached to a user, a role or a group",
            Self::IamRolesPerAccount => "roles in this account",
            Self::IamUsersPerAccount => "users in this account",
            Self::RevisionsPerConfiguration => "revisions of a configuration",
            Self::TagsPerResource => "tags of a resource",
            Self::UsersPerBroker => "users of a broker",
        }
    }
}

/// The quotas of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quotas {
    adjusted: BTreeMap<Quota, i64>,
}

impl Quotas {
    pub fn new(adjusted: impl IntoIterator<Item = (Quota, i64)>) -> Self {
        Self {
            adjusted: adjusted.into_iter().collect(),
        }
    }

    pub fn max(&self, quota: Quota) -> i64 {
        self.adjusted(quota).unwrap_or_else(|| quota.standard())
    }

    /// What the operator made of a quota, if anything.
    pub fn adjusted(&self, quota: Quota) -> Option<i64> {
        self.adjusted.get(&quota).copied()
    }

    /// Whether there may be `count` of them.
    pub fn allow(&self, quota: Quota, count: usize) -> Result<(), Exceeded> {
        let max = self.max(quota);
        if i64::try_from(count).is_ok_and(|count| count <= max) {
            return Ok(());
        }
        Err(Exceeded { quota, max })
    }

    /// Whether there may be one more than there are.
    pub fn allow_one_more(&self, quota: Quota, there_are: i64) -> Result<(), Exceeded> {
        let max = self.max(quota);
        if there_are < max {
            return Ok(());
        }
        Err(Exceeded { quota, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for quota in Quota::ALL {
            assert_eq!(Quota::parse(quota.name()), Some(quota));
        }
        assert_eq!(Quota::parse("brokers"), None);
    }

    #[test]
    fn a_quota_is_the_standard_one_until_it_is_adjusted() {
        let quotas = Quotas::new([(Quota::GroupsPerUser, 2)]);
        assert_eq!(quotas.allow(Quota::GroupsPerUser, 2), Ok(()));
        let exceeded = quotas.allow(Quota::GroupsPerUser, 3).unwrap_err();
        assert_eq!(
            exceeded.to_string(),
            "The maximum number of groups of a user, [2], is reached."
        );
        assert_eq!(quotas.allow(Quota::TagsPerResource, 50), Ok(()));
        assert!(quotas.allow(Quota::TagsPerResource, 51).is_err());
        assert_eq!(quotas.allow_one_more(Quota::UsersPerBroker, 249), Ok(()));
        assert!(quotas.allow_one_more(Quota::UsersPerBroker, 250).is_err());
    }
}
