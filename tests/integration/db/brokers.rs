//! Brokers: generations, deletion, and what belongs to them.

use warren::db::{self, Error, Unique};
use warren::model::arn::ResourceArn;
use warren::model::broker::{BrokerUser, State};
use warren::model::page::Cursor;
use warren::model::tag::Tags;

use super::{ACCOUNT, STRANGER, at, broker, database, scope};

#[tokio::test]
async fn what_is_created_is_found_in_its_scope_only() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let mut made = broker("orders");
    made.creator_request_id = Some("token".to_owned());
    made.creator_request_hash = Some(vec![1, 2, 3]);
    db::broker_create(&mut conn, &made).await.unwrap();

    let (ours, theirs) = (scope(ACCOUNT), scope(STRANGER));
    let found = db::broker_fetch(&mut conn, &ours, &made.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&made));
    let found = db::broker_by_request(&mut conn, &ours, "token")
        .await
        .unwrap();
    assert_eq!(found.as_ref(), Some(&made));
    let found = db::broker_find(&mut conn, &made.id).await.unwrap();
    assert_eq!(found, Some(made.clone()));
    assert_eq!(
        db::broker_fetch(&mut conn, &theirs, &made.id)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        db::broker_lock(&mut conn, &theirs, &made.id).await.unwrap(),
        None
    );
    assert_eq!(
        db::broker_by_request(&mut conn, &theirs, "token")
            .await
            .unwrap(),
        None
    );
    assert_eq!(db::broker_count(&mut conn, &ours).await.unwrap(), 1);
    assert_eq!(db::broker_count(&mut conn, &theirs).await.unwrap(), 0);
}

#[tokio::test]
async fn names_and_request_ids_are_taken_once() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let mut first = broker("orders");
    first.creator_request_id = Some("token".to_owned());
    db::broker_create(&mut conn, &first).await.unwrap();

    let same_name = db::broker_create(&mut conn, &broker("orders")).await;
    assert!(
        matches!(same_name, Err(Error::Taken(Unique::BrokerName))),
        "{same_name:?}"
    );
    let mut other = broker("invoices");
    other.creator_request_id = Some("token".to_owned());
    let same_token = db::broker_create(&mut conn, &other).await;
    assert!(
        matches!(same_token, Err(Error::Taken(Unique::CreatorRequestId))),
        "{same_token:?}"
    );
}

#[tokio::test]
async fn pages_follow_creation_even_when_times_are_equal() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let mut expected = Vec::new();
    for number in 0..5 {
        let mut made = broker(&format!("b{number}"));
        made.created_at = at(number / 2);
        db::broker_create(&mut conn, &made).await.unwrap();
        expected.push(made.id);
    }
    let mut found = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = db::broker_list(&mut conn, &scope(ACCOUNT), after.as_ref(), 2)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(Cursor {
            created_at: last.created_at,
            id: last.id.to_string(),
        });
        found.extend(page.into_iter().map(|broker| broker.id));
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_generation_is_applied_once_and_a_stale_writer_loses() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let made = broker("orders");
    db::broker_create(&mut conn, &made).await.unwrap();
    assert!(
        db::broker_mark_applied(&mut conn, &made.id, 1, at(1))
            .await
            .unwrap()
    );
    assert!(
        !db::broker_mark_applied(&mut conn, &made.id, 1, at(2))
            .await
            .unwrap()
    );
    assert!(
        !db::broker_mark_failed(&mut conn, &made.id, 1, "late", at(2))
            .await
            .unwrap()
    );

    let mut running = db::broker_find(&mut conn, &made.id).await.unwrap().unwrap();
    assert_eq!(running.state(), State::Running);
    assert_eq!(running.applied.as_ref(), Some(&made.intended));

    let mut configuration = made.intended.configuration.clone();
    configuration.revision = 2;
    running.staged.configuration = Some(configuration.clone());
    let mut stale = running.clone();
    running.next_generation(at(3));
    db::broker_relaunch(&mut conn, &running).await.unwrap();
    stale.next_generation(at(3));
    let lost = db::broker_relaunch(&mut conn, &stale).await;
    assert!(matches!(lost, Err(Error::Stale)), "{lost:?}");

    let rebooting = db::broker_find(&mut conn, &made.id).await.unwrap().unwrap();
    assert_eq!(rebooting.state(), State::RebootInProgress);
    assert!(
        !db::broker_mark_applied(&mut conn, &made.id, 1, at(4))
            .await
            .unwrap()
    );
    assert!(
        db::broker_mark_applied(&mut conn, &made.id, 2, at(5))
            .await
            .unwrap()
    );
    let rebooted = db::broker_find(&mut conn, &made.id).await.unwrap().unwrap();
    assert_eq!(rebooted.current().configuration, configuration);
    assert_eq!(
        rebooted.configuration_history,
        [made.intended.configuration]
    );
}

#[tokio::test]
async fn a_failed_creation_can_still_come_good() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let made = broker("orders");
    db::broker_create(&mut conn, &made).await.unwrap();
    assert!(
        db::broker_mark_failed(&mut conn, &made.id, 1, "no host", at(1))
            .await
            .unwrap()
    );
    let failed = db::broker_find(&mut conn, &made.id).await.unwrap().unwrap();
    assert_eq!(
        (failed.state(), failed.failure.as_deref()),
        (State::CreationFailed, Some("no host"))
    );
    assert!(
        db::broker_mark_applied(&mut conn, &made.id, 1, at(2))
            .await
            .unwrap()
    );
    let running = db::broker_find(&mut conn, &made.id).await.unwrap().unwrap();
    assert_eq!((running.state(), running.failure), (State::Running, None));
}

#[tokio::test]
async fn deleting_takes_logins_and_tags_along_and_frees_the_name() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let made = broker("orders");
    db::broker_create(&mut conn, &made).await.unwrap();
    let user = BrokerUser {
        username: "admin".to_owned(),
        password_hash: "hash".to_owned(),
        console_access: true,
        replication_user: false,
        groups: vec!["ops".to_owned()],
        pending: None,
        is_bootstrap: true,
        revision: 0,
        removed_at: None,
    };
    db::broker_user_create(&mut conn, &made.id, &user, at(0))
        .await
        .unwrap();
    let tags = Tags::from([("team".to_owned(), "blue".to_owned())]);
    db::tags_put(&mut conn, &made.arn(), &tags).await.unwrap();
    assert_eq!(db::broker_users(&mut conn, &made.id).await.unwrap(), [user]);

    assert!(
        db::broker_request_deletion(&mut conn, &made.id, at(1))
            .await
            .unwrap()
    );
    assert!(
        !db::broker_request_deletion(&mut conn, &made.id, at(2))
            .await
            .unwrap()
    );
    let going = db::broker_find(&mut conn, &made.id).await.unwrap().unwrap();
    assert_eq!(
        (going.state(), going.deletion_requested_at),
        (State::DeletionInProgress, Some(at(1)))
    );

    assert!(db::broker_delete(&mut conn, &made.id).await.unwrap());
    assert!(!db::broker_delete(&mut conn, &made.id).await.unwrap());
    assert!(
        db::broker_users(&mut conn, &made.id)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        db::tags_fetch(&mut conn, &made.arn())
            .await
            .unwrap()
            .is_empty()
    );
    db::broker_create(&mut conn, &broker("orders"))
        .await
        .unwrap();
}

#[tokio::test]
async fn tags_are_replaced_removed_and_kept_apart() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (ours, other) = (broker("orders").arn(), broker("invoices").arn());
    let tags = |pairs: &[(&str, &str)]| -> Tags {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    db::tags_put(&mut conn, &ours, &tags(&[("a", "1"), ("b", "2")]))
        .await
        .unwrap();
    db::tags_put(&mut conn, &ours, &tags(&[("b", "3"), ("c", "")]))
        .await
        .unwrap();
    db::tags_put(&mut conn, &ours, &Tags::new()).await.unwrap();
    db::tags_remove(&mut conn, &ours, &["a".to_owned(), "none".to_owned()])
        .await
        .unwrap();
    assert_eq!(
        db::tags_fetch(&mut conn, &ours).await.unwrap(),
        tags(&[("b", "3"), ("c", "")])
    );
    assert!(db::tags_fetch(&mut conn, &other).await.unwrap().is_empty());
    let stranger = ResourceArn {
        scope: scope(STRANGER),
        ..ours
    };
    assert!(
        db::tags_fetch(&mut conn, &stranger)
            .await
            .unwrap()
            .is_empty()
    );
}
