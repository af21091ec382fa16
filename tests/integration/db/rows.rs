//! Accounts, access keys, the certificate authority, configurations, jobs, audit and catalogue.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::postgres::{PgListener, PgPoolOptions};
use warren::db::{self, AuditPosition, Error, StoredAuthority, Unique};
use warren::model::audit::{AuditEvent, AuditFilter};
use warren::model::authorisation::Action;
use warren::model::broker::AuthenticationStrategy;
use warren::model::configuration::{Configuration, ConfigurationRevision, RevisionSummary};
use warren::model::engine::{EngineType, EngineVersion};
use warren::model::entropy::{Entropy as _, SystemEntropy};
use warren::model::job::Job;
use warren::model::principal::Principal;
use warren::model::{AccessKeyId, ConfigurationId, JobId, RequestId};

use super::{ACCOUNT, STRANGER, at, broker, database, scope, uuid};

#[tokio::test]
async fn account_names_are_taken_once() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let ours = scope(ACCOUNT).account_id;
    assert_eq!(
        db::account_fetch_by_name(&mut conn, "ours").await.unwrap(),
        Some(ours.clone())
    );
    assert_eq!(
        db::account_fetch_by_name(&mut conn, "none").await.unwrap(),
        None
    );
    let other = scope("333333333333").account_id;
    let name = db::account_create(&mut conn, &other, "ours", at(0)).await;
    assert!(
        matches!(name, Err(Error::Taken(Unique::AccountName))),
        "{name:?}"
    );
    let id = db::account_create(&mut conn, &ours, "others", at(0)).await;
    assert!(matches!(id, Err(Error::Taken(Unique::AccountId))), "{id:?}");
}

#[tokio::test]
async fn the_use_of_a_key_is_noted_to_the_minute() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let id = AccessKeyId::parse("AKIDEXAMPLE000000000").unwrap();
    let principal = Principal::root(scope(ACCOUNT).account_id);
    db::access_key_create(&mut conn, &id, &principal, b"sealed", at(0))
        .await
        .unwrap();
    let key = db::access_key_fetch(&mut conn, &id).await.unwrap().unwrap();
    assert_eq!(
        (key.principal, key.secret_sealed, key.enabled),
        (principal, b"sealed".to_vec(), true)
    );
    assert_eq!(key.last_used_at, None);
    for (used, noted) in [(10, 10), (69, 10), (70, 70)] {
        db::access_key_touch(&mut conn, &id, TimeDelta::minutes(1), at(used))
            .await
            .unwrap();
        let key = db::access_key_fetch(&mut conn, &id).await.unwrap().unwrap();
        assert_eq!(key.last_used_at, Some(at(noted)));
    }
    assert!(
        db::access_key_set_enabled(&mut conn, &id, false)
            .await
            .unwrap()
    );
    assert!(
        !db::access_key_fetch(&mut conn, &id)
            .await
            .unwrap()
            .unwrap()
            .enabled
    );
    let unknown = AccessKeyId::parse("AKIDEXAMPLE000000001").unwrap();
    assert!(
        !db::access_key_set_enabled(&mut conn, &unknown, true)
            .await
            .unwrap()
    );
    assert!(
        db::access_key_fetch(&mut conn, &unknown)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn there_is_one_certificate_authority_and_the_first_one_stays() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    assert_eq!(
        db::certificate_authority_fetch(&mut conn).await.unwrap(),
        None
    );
    let authority = |name: &str| StoredAuthority {
        certificate_pem: name.to_owned(),
        key_sealed: name.as_bytes().to_vec(),
    };
    for name in ["first", "second"] {
        let stored = db::certificate_authority_create(&mut conn, &authority(name), at(0))
            .await
            .unwrap();
        assert_eq!(stored, authority("first"));
    }
    let stored = db::certificate_authority_fetch(&mut conn).await.unwrap();
    assert_eq!(stored, Some(authority("first")));
}

#[tokio::test]
async fn configuration_data_comes_back_byte_for_byte() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let revision = |revision: i32| RevisionSummary {
        revision,
        description: String::new(),
        created_at: at(revision.into()),
    };
    let data = |revision: i32| format!("IyBjb21tZW50{revision}\n==");
    let mut configuration = Configuration {
        id: ConfigurationId::from_uuid(uuid()),
        scope: scope(ACCOUNT),
        name: "orders-configuration".to_owned(),
        engine_type: EngineType::RabbitMq,
        engine_version: EngineVersion::parse("3.13").unwrap(),
        authentication_strategy: AuthenticationStrategy::Simple,
        latest: revision(1),
        created_at: at(0),
    };
    db::configuration_create(&mut conn, &configuration, data(1))
        .await
        .unwrap();
    let second = ConfigurationRevision {
        configuration_id: configuration.id.clone(),
        summary: revision(2),
        data: data(2),
    };
    db::configuration_revision_create(&mut conn, &second)
        .await
        .unwrap();
    for number in [1, 2] {
        let found = db::configuration_revision_fetch(&mut conn, &configuration.id, number).await;
        let expected = ConfigurationRevision {
            configuration_id: configuration.id.clone(),
            summary: revision(number),
            data: data(number),
        };
        assert_eq!(found.unwrap(), Some(expected));
    }
    configuration.latest = revision(2);
    let (ours, theirs) = (scope(ACCOUNT), scope(STRANGER));
    let id = configuration.id.clone();
    let found = db::configuration_fetch(&mut conn, &ours, &id)
        .await
        .unwrap();
    assert_eq!(found, Some(configuration));
    assert_eq!(
        db::configuration_fetch(&mut conn, &theirs, &id)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        db::configuration_revision_fetch(&mut conn, &id, 3)
            .await
            .unwrap(),
        None
    );
}

/// A handler whose client leaves is dropped wherever it is.
#[tokio::test]
async fn an_abandoned_begin_leaves_no_transaction_open() {
    let database = database().await;
    let pool = PgPoolOptions::new()
        .max_connections(4)
        .connect(&database.url)
        .await
        .unwrap();
    for patience_us in (0..1000).step_by(10) {
        let patience = Duration::from_micros(patience_us);
        let _ = tokio::time::timeout(patience, db::begin(&pool)).await;
    }
    // Whoever has all connections has those that came back.
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(pool.acquire().await.unwrap());
    }
    let open: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity
         where datname = current_database() and state like 'idle in transaction%'",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!(open, 0);
}

#[tokio::test]
async fn a_job_is_heard_of_when_its_transaction_commits() {
    let database = database().await;
    let mut listener = PgListener::connect_with(&database.pool).await.unwrap();
    listener.listen(db::JOBS_CHANNEL).await.unwrap();
    let job = Job::BrokerDelete {
        broker_id: broker("orders").id,
    };

    let mut lost = db::begin(&database.pool).await.unwrap();
    db::job_insert(&mut lost, JobId(uuid()), &job, at(0))
        .await
        .unwrap();
    lost.rollback().await.unwrap();
    let mut kept = db::begin(&database.pool).await.unwrap();
    let id = JobId(uuid());
    db::job_insert(&mut kept, id, &job, at(0)).await.unwrap();
    kept.commit().await.unwrap();

    assert_eq!(listener.recv().await.unwrap().channel(), db::JOBS_CHANNEL);
    assert!(listener.next_buffered().is_none());
    let stored: (uuid::Uuid, String, Value, String) =
        sqlx::query_as("select id, kind, payload, serial_key from jobs")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert_eq!(stored.0, id.0);
    assert_eq!(
        (stored.1.as_str(), stored.3.as_str()),
        (job.kind(), job.serial_key())
    );
    assert_eq!(serde_json::from_value::<Job>(stored.2).unwrap(), job);
}

#[tokio::test]
async fn an_audit_event_says_who_did_what() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let event = AuditEvent {
        id: SystemEntropy.uuid_at(at(0)),
        scope: scope(ACCOUNT),
        principal_arn: "arn:aws:iam::111111111111:root".to_owned(),
        user_identity: json!({"type": "Root"}),
        action: Action::DeleteBroker.name().to_owned(),
        resource_arn: Some(broker("orders").arn().to_string()),
        request_id: RequestId(uuid()),
        source_address: None,
        user_agent: Some("aws-cli".to_owned()),
        is_read: false,
        request: Some(json!({"a": 1})),
        response: Some(json!({"b": 2})),
        error: None,
        created_at: at(0),
    };
    db::audit_append(&mut conn, &event).await.unwrap();
    let scope = scope(ACCOUNT);
    let listed = db::audit_list(&mut conn, &scope, &AuditFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(listed, std::slice::from_ref(&event));
    let start = AuditPosition::default();
    // Another test's transaction, older than this one, may be open in the same server.
    let followed = loop {
        let followed = db::audit_follow(&mut conn, start, 10).await.unwrap();
        if !followed.is_empty() {
            break followed;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let [(position, first)] = &followed[..] else {
        panic!("{followed:?}")
    };
    assert_eq!(*first, event);
    assert!(
        db::audit_follow(&mut conn, *position, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(db::audit_prune(&mut conn, at(0), 10).await.unwrap(), 0);
    assert_eq!(db::audit_prune(&mut conn, at(1), 10).await.unwrap(), 1);
}

#[tokio::test]
async fn the_catalogue_serves_every_profile_of_this_release() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let catalogue = db::catalogue_fetch(&mut conn).await.unwrap();
    for (engine, version, profile) in [
        (EngineType::RabbitMq, "3.13", "rabbitmq-3.13"),
        (EngineType::RabbitMq, "4.2", "rabbitmq-4.2"),
        (EngineType::LavinMq, "2.9", "lavinmq-2.9"),
    ] {
        let version = EngineVersion::parse(version).unwrap();
        let release = catalogue.find(engine, &version).unwrap();
        assert_eq!(
            (release.profile().as_str(), &release.artefact),
            (profile, &warren::model::engine::Artefact::Builtin)
        );
    }
}

#[tokio::test]
async fn the_built_in_lines_are_those_of_the_engine_that_is_built_in() {
    use broker_engine::options::Profile;
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let catalogue = db::catalogue_fetch(&mut conn).await.unwrap();
    let profiles = [
        (EngineType::RabbitMq, "3.13", Profile::RabbitMq313),
        (EngineType::RabbitMq, "4.2", Profile::RabbitMq42),
        (EngineType::LavinMq, "2.9", Profile::LavinMq29),
    ];
    for (engine, version, profile) in profiles {
        let version = EngineVersion::parse(version).unwrap();
        let line = catalogue.find(engine, &version).unwrap();
        assert_eq!(line.engine_version.as_str(), profile.version());
        assert_eq!(line.release, broker_engine::RELEASE);
        let reads: Vec<u32> = (1..=broker_engine::DATA_FORMAT).collect();
        assert_eq!(
            (&line.formats.reads, line.formats.writes),
            (&reads, broker_engine::DATA_FORMAT)
        );
    }
}

#[tokio::test]
async fn migrating_twice_changes_nothing_and_the_database_answers() {
    let url = test_support::postgres::empty_database().await;
    let pool = db::connect(&url).await.unwrap();
    db::migrate(&pool).await.unwrap();
    db::migrate(&pool).await.unwrap();
    db::ping(&pool).await.unwrap();
}
