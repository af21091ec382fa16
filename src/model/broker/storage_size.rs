//! The size of the volumes of brokers whose owners may choose it: clusters of RabbitMQ 4.2 and
//! newer on Graviton instances.

use super::DeploymentMode;
use crate::model::{
    Invalid,
    engine::{EngineType, EngineVersion},
    instance_type::{Family, InstanceType},
};

const STEP_GB: i32 = 5;
/// The largest general-purpose volume of EBS.
const SIZE_GB_MAX: i32 = 16_384;
const SINCE: (u32, u32) = (4, 2);

/// What decides whether a size can be chosen, and which.
pub struct Of<'a> {
    pub engine: EngineType,
    pub version: &'a EngineVersion,
    pub mode: DeploymentMode,
    pub instance: &'a InstanceType,
}

impl Of<'_> {
    /// The size that such a broker has when nobody says; `None` when nobody may.
    pub fn default_gb(&self) -> Option<i32> {
        let may = self.engine == EngineType::RabbitMq
            && self.version.minor() >= SINCE
            && self.mode == DeploymentMode::ClusterMultiAz
            && self.instance.family == Family::M7g;
        may.then_some(self.instance.cluster_disk_gb)
    }

    /// Reads a requested size, in gigabytes for each node.
    pub fn choose(&self, requested: Option<i64>) -> Result<Option<i32>, Invalid> {
        let Some(requested) = requested else {
            return Ok(self.default_gb());
        };
        let refused = |text: String| Err(Invalid::new("storageSize", text));
        let Some(least) = self.default_gb() else {
            return refused(
                "[storageSize] is only supported for RabbitMQ brokers on version [4.2] and newer \
                 in [CLUSTER_MULTI_AZ] deployment mode on mq.m7g instance types."
                    .to_owned(),
            );
        };
        match i32::try_from(requested) {
            Ok(size) if (least..=SIZE_GB_MAX).contains(&size) && size % STEP_GB == 0 => {
                Ok(Some(size))
            }
            Ok(_) | Err(_) => refused(format!(
                "Storage size [{requested}] is invalid for host instance type [{}]. Specify a \
                 multiple of {STEP_GB} between [{least}] and [{SIZE_GB_MAX}].",
                self.instance.name
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(
        (engine, version): (EngineType, &str),
        mode: DeploymentMode,
        instance: &str,
        size: Option<i64>,
    ) -> Result<Option<i32>, String> {
        let of = Of {
            engine,
            version: &EngineVersion::parse(version).unwrap(),
            mode,
            instance: InstanceType::find(instance).unwrap(),
        };
        of.choose(size).map_err(|refused| refused.message)
    }

    #[test]
    fn a_size_is_chosen_for_graviton_clusters_alone() {
        let cluster = DeploymentMode::ClusterMultiAz;
        let new = (EngineType::RabbitMq, "4.2");
        assert_eq!(choose(new, cluster, "mq.m7g.large", None), Ok(Some(15)));
        assert_eq!(
            choose(new, cluster, "mq.m7g.large", Some(100)),
            Ok(Some(100))
        );
        for (engine, mode, instance) in [
            ((EngineType::RabbitMq, "3.13"), cluster, "mq.m7g.large"),
            (new, DeploymentMode::SingleInstance, "mq.m7g.large"),
            (new, cluster, "mq.m5.large"),
            ((EngineType::ActiveMq, "5.19"), cluster, "mq.m5.large"),
        ] {
            assert_eq!(choose(engine, mode, instance, None), Ok(None));
            let refused = choose(engine, mode, instance, Some(100)).unwrap_err();
            assert!(
                refused.starts_with("[storageSize] is only supported"),
                "{refused}"
            );
        }
        for size in [-5, 0, 10, 17, 16_389, i64::MAX] {
            assert_eq!(
                choose(new, cluster, "mq.m7g.large", Some(size)).unwrap_err(),
                format!(
                    "Storage size [{size}] is invalid for host instance type [mq.m7g.large]. \
                     Specify a multiple of 5 between [15] and [16384]."
                )
            );
        }
    }
}
