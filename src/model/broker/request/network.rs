//! The subnets and security groups that a broker shall have.

use std::collections::HashSet;

use crate::model::{Invalid, broker::DeploymentMode};

const SECURITY_GROUPS_MAX: usize = 5;

pub(super) fn check_security_groups(groups: &[String]) -> Result<(), Invalid> {
    let refused = |text: String| Err(Invalid::new("securityGroups", text));
    if groups.len() > SECURITY_GROUPS_MAX {
        return refused(format!(
            "Specify at most {SECURITY_GROUPS_MAX} security groups."
        ));
    }
    match groups.iter().find(|id| !is_resource_id(id)) {
        None => Ok(()),
        Some(id) => refused(format!("Security group [{id}] is invalid.")),
    }
}

/// One subnet for each zone, or none: then the choice is ours.
pub(super) fn check_subnets(subnets: &[String], mode: DeploymentMode) -> Result<(), Invalid> {
    let refused = |text: String| Err(Invalid::new("subnetIds", text));
    let name = mode.name();
    match (mode, subnets.len()) {
        (_, 0)
        | (DeploymentMode::SingleInstance, 1)
        | (DeploymentMode::ActiveStandbyMultiAz, 2)
        | (DeploymentMode::ClusterMultiAz, 1..=3) => {}
        (DeploymentMode::SingleInstance, _) => {
            return refused(format!(
                "Specify a single subnet in [{name}] deployment mode."
            ));
        }
        (DeploymentMode::ActiveStandbyMultiAz, _) => {
            return refused(format!(
                "Specify exactly two subnets in [{name}] deployment mode."
            ));
        }
        (DeploymentMode::ClusterMultiAz, _) => {
            return refused(format!(
                "Specify at most three subnets in [{name}] deployment mode."
            ));
        }
    }
    if let Some(id) = subnets.iter().find(|id| !is_resource_id(id)) {
        return refused(format!("Subnet [{id}] is invalid."));
    }
    if subnets.iter().collect::<HashSet<_>>().len() < subnets.len() {
        return refused("Subnets must be in different Availability Zones.".to_owned());
    }
    Ok(())
}

fn is_resource_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_has_its_number_of_subnets() {
        let check = |mode, ids: &[&str]| {
            let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
            check_subnets(&ids, mode).map_err(|refused| refused.message)
        };
        let single = DeploymentMode::SingleInstance;
        let standby = DeploymentMode::ActiveStandbyMultiAz;
        let cluster = DeploymentMode::ClusterMultiAz;
        for mode in DeploymentMode::ALL {
            assert_eq!(check(mode, &[]), Ok(()));
        }
        assert_eq!(check(single, &["subnet-1"]), Ok(()));
        assert_eq!(check(standby, &["subnet-1", "subnet-2"]), Ok(()));
        assert_eq!(check(cluster, &["subnet-1"]), Ok(()));
        assert_eq!(
            check(single, &["subnet-1", "subnet-2"]).unwrap_err(),
            "Specify a single subnet in [SINGLE_INSTANCE] deployment mode."
        );
        assert_eq!(
            check(standby, &["subnet-1"]).unwrap_err(),
            "Specify exactly two subnets in [ACTIVE_STANDBY_MULTI_AZ] deployment mode."
        );
        assert_eq!(
            check(standby, &["subnet-1", "subnet-1"]).unwrap_err(),
            "Subnets must be in different Availability Zones."
        );
        assert!(check(cluster, &["a", "b", "c", "d"]).is_err());
        assert_eq!(
            check(single, &["a b"]).unwrap_err(),
            "Subnet [a b] is invalid."
        );
    }
}
