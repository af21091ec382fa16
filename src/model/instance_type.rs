//! Instance types: how much of a host a node may use, and the limits that follow.
//!
//! The numbers are those of the Amazon MQ developer guide: "Amazon MQ for RabbitMQ broker
//! instance types" and "Sizing guidelines", single instance. It gives no limits for
//! `mq.t3.micro`; those of the other evaluation type, `mq.m7g.medium`, are used.

use super::{Invalid, broker::DeploymentMode, engine::EngineType};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceType {
    /// As on the wire, such as `mq.m7g.large`.
    pub name: &'static str,
    pub family: Family,
    pub vcpus: u32,
    pub memory_gib: u32,
    /// Size of the volume of a single instance.
    pub disk_gb: u32,
    /// Size of the volume of each node of a cluster, when its owner does not choose it.
    pub cluster_disk_gb: i32,
    pub connections_max: u32,
    pub channels_max: u32,
    pub queues_max: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    T3,
    M5,
    M7g,
}

const fn row(
    name: &'static str,
    family: Family,
    (vcpus, memory_gib, disk_gb, cluster_disk_gb): (u32, u32, u32, i32),
    (connections_max, channels_max, queues_max): (u32, u32, u32),
) -> InstanceType {
    InstanceType {
        name,
        family,
        vcpus,
        memory_gib,
        disk_gb,
        cluster_disk_gb,
        connections_max,
        channels_max,
        queues_max,
    }
}

const TABLE: [InstanceType; 13] = [
    row("mq.t3.micro", Family::T3, (2, 1, 20, 20), (100, 500, 2_500)),
    row(
        "mq.m5.large",
        Family::M5,
        (2, 8, 200, 200),
        (5_000, 15_000, 30_000),
    ),
    row(
        "mq.m5.xlarge",
        Family::M5,
        (4, 16, 200, 200),
        (10_000, 30_000, 60_000),
    ),
    row(
        "mq.m5.2xlarge",
        Family::M5,
        (8, 32, 200, 200),
        (20_000, 60_000, 120_000),
    ),
    row(
        "mq.m5.4xlarge",
        Family::M5,
        (16, 64, 200, 200),
        (40_000, 120_000, 240_000),
    ),
    row(
        "mq.m7g.medium",
        Family::M7g,
        (1, 4, 200, 5),
        (100, 500, 2_500),
    ),
    row(
        "mq.m7g.large",
        Family::M7g,
        (2, 8, 200, 15),
        (5_000, 15_000, 20_000),
    ),
    row(
        "mq.m7g.xlarge",
        Family::M7g,
        (4, 16, 200, 25),
        (10_000, 30_000, 30_000),
    ),
    row(
        "mq.m7g.2xlarge",
        Family::M7g,
        (8, 32, 200, 45),
        (20_000, 60_000, 40_000),
    ),
    row(
        "mq.m7g.4xlarge",
        Family::M7g,
        (16, 64, 200, 90),
        (40_000, 120_000, 60_000),
    ),
    row(
        "mq.m7g.8xlarge",
        Family::M7g,
        (32, 128, 200, 175),
        (80_000, 240_000, 80_000),
    ),
    row(
        "mq.m7g.12xlarge",
        Family::M7g,
        (48, 192, 200, 260),
        (120_000, 360_000, 100_000),
    ),
    row(
        "mq.m7g.16xlarge",
        Family::M7g,
        (64, 256, 200, 345),
        (160_000, 480_000, 120_000),
    ),
];

impl InstanceType {
    pub fn all() -> &'static [Self] {
        &TABLE
    }

    pub fn find(name: &str) -> Option<&'static Self> {
        TABLE.iter().find(|instance| instance.name == name)
    }

    /// Reads a requested type for a broker.
    pub fn choose(
        name: &str,
        engine: EngineType,
        mode: DeploymentMode,
    ) -> Result<&'static Self, Invalid> {
        Self::find(name)
            .filter(|instance| instance.serves(engine, mode))
            .ok_or_else(|| {
                let valid: Vec<_> = TABLE
                    .iter()
                    .filter(|instance| instance.serves(engine, mode))
                    .map(|instance| instance.name)
                    .collect();
                Invalid::new(
                    "hostInstanceType",
                    format!(
                        "Broker instance type [{name}] is invalid for broker engine type [{}]. \
                     Valid values: [{}].",
                        engine.name(),
                        valid.join(", "),
                    ),
                )
            })
    }

    /// Reads the type that a broker of type `from` shall have next.
    pub fn change(
        from: &str,
        name: &str,
        engine: EngineType,
        mode: DeploymentMode,
    ) -> Result<&'static Self, Invalid> {
        let to = Self::choose(name, engine, mode)?;
        let from = Self::find(from).map(|instance| instance.family);
        if from == Some(Family::M5) && to.family == Family::T3 {
            return Err(Invalid::new(
                "hostInstanceType",
                format!(
                    "You cannot downgrade a broker from an mq.m5 instance type to a [{name}] \
                     instance type."
                ),
            ));
        }
        Ok(to)
    }

    /// Whether brokers of this engine type, laid out like that, can be of this instance type:
    /// Graviton is not for ActiveMQ, and the evaluation type too small for a cluster.
    pub fn serves(&self, engine: EngineType, mode: DeploymentMode) -> bool {
        match self.family {
            Family::T3 => mode != DeploymentMode::ClusterMultiAz,
            Family::M5 => true,
            Family::M7g => engine.is_rabbitmq_like(),
        }
    }

    /// Evaluation types have room for few virtual hosts.
    pub fn vhosts_max(&self) -> u32 {
        if self.connections_max <= 100 {
            10
        } else {
            1_500
        }
    }

    pub fn memory_bytes(&self) -> u64 {
        u64::from(self.memory_gib) << 30
    }

    /// Publishers are blocked below this much free space. Two fifths of the memory: what the
    /// engine may hold in memory must always find room on the disk.
    pub fn disk_free_bytes_min(&self) -> u64 {
        self.memory_bytes() / 5 * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for instance in InstanceType::all() {
            assert_eq!(InstanceType::find(instance.name), Some(instance));
        }
        assert_eq!(InstanceType::find("mq.m4.large"), None);
    }

    #[test]
    fn graviton_types_are_not_for_activemq() {
        let choose =
            |engine| InstanceType::choose("mq.m7g.large", engine, DeploymentMode::SingleInstance);
        assert!(choose(EngineType::RabbitMq).is_ok());
        let refused = choose(EngineType::ActiveMq).unwrap_err();
        assert_eq!(refused.attribute, "hostInstanceType");
        assert!(refused.message.starts_with(
            "Broker instance type [mq.m7g.large] is invalid for broker engine type [ACTIVEMQ]. \
             Valid values: [mq.t3.micro, mq.m5.large"
        ));
    }

    #[test]
    fn the_evaluation_type_makes_no_cluster() {
        let cluster = DeploymentMode::ClusterMultiAz;
        let rabbit = EngineType::RabbitMq;
        let refused = InstanceType::choose("mq.t3.micro", rabbit, cluster).unwrap_err();
        assert!(
            !refused.message.contains("Valid values: [mq.t3.micro"),
            "{refused}"
        );
        assert!(InstanceType::choose("mq.m7g.medium", rabbit, cluster).is_ok());
    }

    #[test]
    fn a_broker_changes_its_type_except_from_m5_to_t3() {
        let change = |from, to| {
            let single = DeploymentMode::SingleInstance;
            InstanceType::change(from, to, EngineType::RabbitMq, single)
        };
        assert!(change("mq.m7g.medium", "mq.m7g.large").is_ok());
        assert!(change("mq.t3.micro", "mq.m5.large").is_ok());
        assert!(change("mq.m5.large", "mq.m7g.medium").is_ok());
        assert_eq!(
            change("mq.m5.large", "mq.t3.micro").unwrap_err().message,
            "You cannot downgrade a broker from an mq.m5 instance type to a [mq.t3.micro] \
             instance type."
        );
    }
}
