use std::process::Command;
use std::time::Duration;

use super::network::eventually;
use super::process::{Family, is_alive};
use super::{postgres, python};

#[tokio::test]
async fn each_database_is_migrated_and_its_own() {
    let (one, two) = (postgres::database().await, postgres::database().await);
    let insert = "insert into accounts (id, name, created_at) values ('000000000001', 'a', now())";
    sqlx::query(insert).execute(&one.pool).await.unwrap();
    let count = "select count(*) from accounts";
    assert_eq!(
        sqlx::query_scalar::<_, i64>(count)
            .fetch_one(&one.pool)
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        sqlx::query_scalar::<_, i64>(count)
            .fetch_one(&two.pool)
            .await
            .unwrap(),
        0
    );
    assert_ne!(one.url, two.url);
    assert!(postgres::empty_database().await.contains("empty_"));
}

#[test]
fn the_pinned_clients_are_there() {
    let versions = python::succeed(
        python::python().args(["-c", "import boto3, pika; print(boto3.__version__)"]),
    );
    assert!(
        include_str!("../../requirements.txt").contains(&format!("boto3=={}", versions.trim()))
    );
}

#[test]
fn a_family_ends_with_its_orphans() {
    let family = Family::new();
    let mut parent = family.spawn(
        "parent",
        Command::new("/bin/sh").args([
            "-c",
            "setsid sleep 600 & echo orphan $!; read -r line; echo heard $line",
        ]),
    );
    let line = parent.line("orphan", Duration::from_secs(10));
    let orphan = line.strip_prefix("orphan ").unwrap().parse().unwrap();
    parent.tell("hello");
    parent.line("heard hello", Duration::from_secs(10));
    assert!(parent.exit(Duration::from_secs(10)).success());
    assert!(is_alive(orphan));
    eventually(
        "the orphan runs its program",
        Duration::from_secs(10),
        || (family.members(|arguments| arguments[0] == "sleep") == [orphan]).then_some(()),
    );
    drop(family);
    assert!(!is_alive(orphan));
}
