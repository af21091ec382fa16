//! Who may do what: permissions, topic permissions, and the monitoring user.

use super::{
    DEFAULT_VHOST, Error, Publish, QueueDeclare, Table,
    definitions::document,
    tests::{durable, message, no_headers, open, send},
};
use crate::store::disk::FaultyDisk;

#[test]
fn permissions_hold_at_once_and_survive() {
    let disk = FaultyDisk::new();
    let broker = open(&disk);
    broker
        .put_user_with_password("worker", "secret", &[])
        .unwrap();
    let worker = broker.authenticate("worker", b"secret", false).unwrap();
    assert!(broker.authenticate("worker", b"wrong", false).is_none());
    let session = broker.session(&worker, DEFAULT_VHOST).unwrap();
    let mut publisher = session.publisher(no_headers);
    durable(&session, "jobs");
    assert!(send(&mut publisher, "", "jobs", "x").error.is_none());
    let permission = document::Permission {
        user: "worker".to_owned(),
        vhost: DEFAULT_VHOST.to_owned(),
        configure: String::new(),
        write: "^out$".to_owned(),
        read: "jobs".to_owned(),
    };
    let position = broker.put_permission(&permission).unwrap();
    broker.wait(position).unwrap();
    let refused = send(&mut publisher, "", "jobs", "x")
        .error
        .unwrap()
        .to_string();
    assert_eq!(
        refused,
        "write access to exchange 'amq.default' in vhost '/' refused for user 'worker'"
    );
    let refused = session
        .queue_declare(QueueDeclare {
            name: "more".to_owned(),
            ..Default::default()
        })
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "configure access to queue 'more' in vhost '/' refused for user 'worker'"
    );
    session.readable_queue("jobs").unwrap();
    let broker = open(&disk.power_cut(1));
    assert!(broker.permissions().contains(&permission));
    broker.delete_user("worker").unwrap().unwrap();
    assert!(broker.authenticate("worker", b"secret", false).is_none());
    assert!(matches!(
        broker.session(&worker, DEFAULT_VHOST),
        Err(Error::NotAllowed(_))
    ));
    assert!(matches!(
        broker.session(&worker, "/none"),
        Err(Error::NotAllowed(_))
    ));
}

#[test]
fn a_topic_permission_narrows_the_keys_of_its_exchange_and_survives() {
    let disk = FaultyDisk::new();
    let broker = open(&disk);
    broker
        .put_user_with_password("worker", "secret", &[])
        .unwrap();
    let worker = broker.authenticate("worker", b"secret", false).unwrap();
    let session = broker.session(&worker, DEFAULT_VHOST).unwrap();
    let mut publisher = session.publisher(no_headers);
    durable(&session, "q");
    let bind = |exchange, key| session.queue_bind("q", exchange, key, &Table::default());
    bind("amq.topic", "#").unwrap();
    bind("amq.fanout", "").unwrap();
    assert!(
        send(&mut publisher, "amq.topic", "other.x", "1")
            .error
            .is_none()
    );
    let permission = document::TopicPermission {
        user: "worker".to_owned(),
        vhost: DEFAULT_VHOST.to_owned(),
        exchange: "amq.topic".to_owned(),
        write: r"^{username}\.".to_owned(),
        read: "^open".to_owned(),
    };
    broker
        .wait(broker.put_topic_permission(&permission).unwrap())
        .unwrap();
    assert!(
        send(&mut publisher, "amq.topic", "worker.x", "2")
            .error
            .is_none()
    );
    let refusal = "write access to topic 'other.x' in exchange topic 'amq.topic' in vhost '/' refused for user 'worker'";
    let refused = send(&mut publisher, "amq.topic", "other.x", "3").error;
    assert_eq!(refused.unwrap().to_string(), refusal);
    let copies = ["other.x".to_owned()];
    let copied = Publish {
        copies: &copies,
        ..message("amq.topic", "worker.x", "4")
    };
    let refused = publisher.publish(&[copied]).error;
    assert_eq!(refused.unwrap().to_string(), refusal);
    assert!(
        send(&mut publisher, "amq.fanout", "other.x", "5")
            .error
            .is_none()
    );
    bind("amq.topic", "open.x").unwrap();
    assert_eq!(
        bind("amq.topic", "closed.x").unwrap_err().to_string(),
        "read access to topic 'closed.x' in exchange topic 'amq.topic' in vhost '/' refused for user 'worker'"
    );
    let broker = open(&disk.power_cut(1));
    assert_eq!(broker.topic_permissions(), [permission]);
    broker.delete_user("worker").unwrap().unwrap();
    assert_eq!(broker.topic_permissions(), []);
}

#[test]
fn the_monitoring_user_is_for_this_machine_only() {
    let broker = open(&FaultyDisk::new());
    broker.set_monitoring_user(Some(("monitor", "secret")));
    assert!(broker.authenticate("monitor", b"secret", false).is_none());
    assert!(broker.authenticate("monitor", b"wrong", true).is_none());
    let monitor = broker.authenticate("monitor", b"secret", true).unwrap();
    assert!(
        broker.users().iter().all(|user| user.name != "monitor"),
        "not listed"
    );
    let session = broker.session(&monitor, DEFAULT_VHOST).unwrap();
    session
        .queue_declare(QueueDeclare {
            exclusive: true,
            ..Default::default()
        })
        .unwrap();
}
