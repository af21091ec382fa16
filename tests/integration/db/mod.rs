//! The database functions, one by one against a real Postgres: what they keep, what they refuse,
//! and who wins a race.

mod brokers;
mod hosts;
mod nodes;
mod rows;

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use test_support::postgres::{self, Database};
use uuid::Uuid;
use warren::db;
use warren::model::broker::{
    AuthenticationStrategy, Broker, DeploymentMode, Encryption, Launch, MaintenanceWindow,
    Settings, StagedLaunch, StorageType,
};
use warren::model::configuration::ConfigurationRef;
use warren::model::engine::{EngineType, EngineVersion};
use warren::model::{AccountId, BrokerId, ConfigurationId, Region, Scope};

/// A fixed present: nothing here reads a clock.
fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).expect("a time in range")
}

fn uuid() -> Uuid {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    Uuid::from_u128(u128::from(COUNT.fetch_add(1, Ordering::Relaxed)))
}

fn scope(account: &str) -> Scope {
    Scope {
        account_id: AccountId::parse(account).expect("an account id"),
        region: Region::parse("us-east-1").expect("a region"),
    }
}

const ACCOUNT: &str = "111111111111";
const STRANGER: &str = "222222222222";

/// A database with two accounts.
async fn database() -> Database {
    let database = postgres::database().await;
    let mut conn = database.pool.acquire().await.expect("a connection");
    for (account, name) in [(ACCOUNT, "ours"), (STRANGER, "theirs")] {
        db::account_create(&mut conn, &scope(account).account_id, name, at(0))
            .await
            .expect("an account can be made");
    }
    drop(conn);
    database
}

/// A broker that is stored nowhere yet.
fn broker(name: &str) -> Broker {
    Broker {
        id: BrokerId::from_uuid(uuid()),
        scope: scope(ACCOUNT),
        name: name.to_owned(),
        creator_request_id: None,
        creator_request_hash: None,
        engine_type: EngineType::RabbitMq,
        deployment_mode: DeploymentMode::SingleInstance,
        publicly_accessible: false,
        storage_type: StorageType::Ebs,
        subnet_ids: vec!["subnet-local-a".to_owned()],
        settings: Settings {
            auto_minor_version_upgrade: true,
            encryption: Encryption {
                use_aws_owned_key: true,
                kms_key_id: None,
            },
            maintenance_window: MaintenanceWindow::after(at(0)),
        },
        intended: Launch {
            engine_version: EngineVersion::parse("4.2").expect("a version"),
            engine_release: None,
            host_instance_type: "mq.m7g.large".to_owned(),
            configuration: ConfigurationRef {
                id: ConfigurationId::from_uuid(uuid()),
                revision: 1,
            },
            general_logs: false,
            audit_logs: false,
            security_groups: Vec::new(),
            authentication_strategy: AuthenticationStrategy::Simple,
            directory: None,
            storage_size_gb: None,
        },
        applied: None,
        staged: StagedLaunch::default(),
        configuration_history: Vec::new(),
        generation: 1,
        applied_generation: 0,
        deletion_requested_at: None,
        failure: None,
        actions_required: Vec::new(),
        replication: None,
        created_at: at(0),
        updated_at: at(0),
    }
}
