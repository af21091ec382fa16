//! Bodies of requests, and what they would make of a broker.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{
    AccountId, BrokerId, ConfigurationId, Region, Scope,
    audit::without_secrets,
    broker::{
        AuthenticationStrategy, Broker, CreateBroker, Draft, Launch, SimulatedHosts, StagedLaunch,
        UpdateBroker,
        request::{ConfigurationChoice, Found},
        user::{ChangeUser, check_groups, check_password, check_username},
    },
    configuration::{ConfigurationRef, CreateConfiguration, UpdateConfiguration},
    engine::{Catalogue, EngineRelease, EngineType, EngineVersion},
    maintenance::Weekly,
    parity::Parity,
    tag::{self, Tags},
};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let line = |engine, version| {
        EngineRelease::builtin(engine, EngineVersion::parse(version).expect("a version"))
    };
    Catalogue::new(vec![
        line(EngineType::ActiveMq, "5.18"),
        line(EngineType::ActiveMq, "5.19"),
        line(EngineType::LavinMq, "2.9"),
        line(EngineType::RabbitMq, "3.13"),
        line(EngineType::RabbitMq, "4.2"),
    ])
});

/// The bodies of all operations that have one. What is accepted is within its limits.
pub fn requests(bytes: &[u8]) {
    if let Some(request) = read::<CreateBroker>(bytes) {
        for parity in [Parity::Strict, Parity::Extended] {
            for hosts in [SimulatedHosts::Present, SimulatedHosts::Absent] {
                if let Ok(draft) = request.clone().draft(&CATALOGUE, parity, hosts, now()) {
                    fits(&draft);
                }
            }
        }
    }
    if let Some(request) = read::<CreateConfiguration>(bytes)
        && let Ok(draft) = request.draft(&CATALOGUE, Parity::Extended)
    {
        assert!((1..=150).contains(&draft.name.len()) && draft.name.is_ascii());
        assert_eq!(tag::check(&draft.tags), Ok(()));
    }
    if let Some(request) = read::<UpdateConfiguration>(bytes) {
        for (engine, version) in [
            (EngineType::ActiveMq, "5.19"),
            (EngineType::LavinMq, "2.9"),
            (EngineType::RabbitMq, "4.2"),
        ] {
            let version = EngineVersion::parse(version).expect("a version");
            let strategy = AuthenticationStrategy::Simple;
            if let Ok(content) = request.clone().check(engine, &version, strategy) {
                assert!(content.description.chars().count() <= 1024);
            }
        }
    }
    if let Some(request) = read::<ChangeUser>(bytes) {
        for engine in EngineType::ALL {
            if let Ok(user) = request.create_at_once("ann", engine, |_| "hash".to_owned()) {
                assert_eq!(check_groups(&user.groups), Ok(()));
                let same = request.update_at_once(user.clone(), engine, |_| "hash".to_owned());
                assert_eq!(same, Ok(user), "asked for again, it is no change");
            }
        }
    }
    if let Ok(tags) = serde_json::from_slice::<Tags>(bytes)
        && tag::check(&tags).is_ok()
    {
        assert!(
            tags.keys()
                .all(|key| !key.to_lowercase().starts_with("aws:"))
        );
    }
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) {
        let told = without_secrets(value);
        assert_eq!(without_secrets(told.clone()), told);
    }
}

/// A body whose form is known. What the audit log has of it says the same, and never a password.
fn read<T: for<'a> Deserialize<'a> + Serialize>(bytes: &[u8]) -> Option<T> {
    let request: T = serde_json::from_slice(bytes).ok()?;
    let told = serde_json::to_vec(&request).expect("a request can be told");
    let again: T = serde_json::from_slice(&told).expect("and read");
    assert_eq!(serde_json::to_vec(&again).expect("and told again"), told);
    Some(request)
}

fn fits(draft: &Draft) {
    assert!((1..=50).contains(&draft.name.len()) && draft.name.is_ascii());
    let token = draft.creator_request_id.as_deref();
    assert!(token.is_none_or(|token| (1..=255).contains(&token.len())));
    assert_eq!(tag::check(&draft.tags), Ok(()));
    assert!(draft.security_groups.len() <= 5 && draft.subnet_ids.len() <= 3);
    assert!(Weekly::of(&draft.settings.maintenance_window).is_some());
    assert!(
        draft
            .instance_type
            .serves(draft.engine_type, draft.deployment_mode)
    );
    let users = draft.users.len();
    assert!(users == 1 || (users > 1 && draft.engine_type == EngineType::ActiveMq));
    for user in &draft.users {
        assert_eq!(check_username(&user.username, draft.engine_type), Ok(()));
        assert_eq!(check_password(&user.password), Ok(()));
        assert_eq!(check_groups(&user.groups), Ok(()));
    }
    let is_directory = draft.authentication_strategy == AuthenticationStrategy::Ldap;
    assert_eq!(draft.directory.is_some(), is_directory);
    let size = draft.storage_size_gb;
    assert!(size.is_none_or(|size| size % 5 == 0 && (5..=16_384).contains(&size)));
}

/// A body of CreateBroker and one of UpdateBroker behind an octet of zeros.
pub fn updates(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (Some(create), Some(update)) = (parts.next(), parts.next()) else {
        return;
    };
    let (Some(create), Some(request)) =
        (read::<CreateBroker>(create), read::<UpdateBroker>(update))
    else {
        return;
    };
    let (parity, hosts) = (Parity::Extended, SimulatedHosts::Present);
    let Ok(draft) = create.draft(&CATALOGUE, parity, hosts, now()) else {
        return;
    };
    let mut broker = broker(draft);
    let before = broker.clone();
    let Ok(update) = request.clone().check(&broker, &CATALOGUE, parity) else {
        return;
    };
    let found = Found {
        configuration: update.configuration.as_ref().map(found),
        directory: update
            .directory
            .as_ref()
            .map(|draft| draft.directory.clone()),
    };
    update.apply(&mut broker, &found);
    assert_eq!(broker.intended, before.intended, "it waits for a reboot");
    let staged = broker.clone();
    // What was accepted once is accepted again, and changes nothing.
    let again = request.check(&broker, &CATALOGUE, parity);
    again
        .expect("a repetition is accepted")
        .apply(&mut broker, &found);
    assert_eq!(broker, staged);
    let next = broker.next();
    broker.next_generation(now());
    assert_eq!(broker.intended, next, "what was told as pending");
    assert_eq!(broker.staged, StagedLaunch::default());
    assert_eq!(broker.generation, before.generation + 1);
}

fn found(choice: &ConfigurationChoice) -> ConfigurationRef {
    ConfigurationRef {
        id: ConfigurationId::from_uuid(Uuid::nil()),
        revision: choice.revision.unwrap_or(1),
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("within the calendar")
}

/// A broker that runs as it was asked for.
fn broker(draft: Draft) -> Broker {
    let configuration = ConfigurationRef {
        id: ConfigurationId::from_uuid(Uuid::max()),
        revision: 1,
    };
    Broker {
        id: BrokerId::from_uuid(Uuid::nil()),
        scope: Scope {
            account_id: AccountId::parse("123456789012").expect("an account"),
            region: Region::parse("us-east-1").expect("a region"),
        },
        name: draft.name,
        creator_request_id: draft.creator_request_id,
        creator_request_hash: None,
        engine_type: draft.engine_type,
        deployment_mode: draft.deployment_mode,
        publicly_accessible: draft.publicly_accessible,
        storage_type: draft.storage_type,
        subnet_ids: draft.subnet_ids,
        settings: draft.settings,
        intended: Launch {
            engine_version: draft.engine_version,
            engine_release: draft.engine_release,
            host_instance_type: draft.instance_type.name.to_owned(),
            configuration,
            general_logs: draft.general_logs,
            audit_logs: draft.audit_logs,
            security_groups: draft.security_groups,
            authentication_strategy: draft.authentication_strategy,
            directory: draft.directory.map(|draft| draft.directory),
            storage_size_gb: draft.storage_size_gb,
        },
        applied: None,
        staged: StagedLaunch::default(),
        configuration_history: Vec::new(),
        generation: 1,
        applied_generation: 1,
        deletion_requested_at: None,
        failure: None,
        actions_required: Vec::new(),
        replication: None,
        created_at: now(),
        updated_at: now(),
    }
}
