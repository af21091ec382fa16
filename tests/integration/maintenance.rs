//! Maintenance windows: what waits for them, and that each is used once or not at all.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use warren::model::clock::Clock;
use warren::model::entropy::SystemEntropy;
use warren::reconcilers::{Opened, open_windows, plan_upgrades};
use warren::roles::catalog;

use crate::server::{Server, broker};

const RUNNING_MAX: i64 = 10;

struct At(DateTime<Utc>);

impl Clock for At {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

async fn look(server: &Server, now: DateTime<Utc>, running_max: i64) -> (usize, usize) {
    let Opened { started, missed } =
        open_windows(&server.app.pool, &At(now), &SystemEntropy, running_max)
            .await
            .expect("the windows can be looked at");
    (started, missed)
}

/// A running broker that will be restarted for a change of its version.
async fn changed(server: &Server, name: &str) -> String {
    let mut request = broker(name);
    request["engineVersion"] = json!("3.13");
    let id = server.create(&request).await;
    server.settle(&id).await;
    let change = json!({"engineVersion": "4.2"});
    server
        .put("UpdateBroker", &format!("/v1/brokers/{id}"), &change)
        .await
        .ok();
    id
}

async fn maintenance(server: &Server, id: &str) -> Value {
    let path = format!("/v1/brokers/{id}/maintenance");
    server.send(&server.key, "GET", &path, "", b"").await.ok()
}

async fn next_start(server: &Server, id: &str) -> DateTime<Utc> {
    let described = maintenance(server, id).await;
    let text = described["nextWindowStart"].as_str().expect("a time");
    text.parse().expect("a time")
}

#[tokio::test]
async fn what_is_staged_is_applied_in_the_window_and_only_there() {
    let server = Server::start().await;
    let id = changed(&server, "orders").await;
    let idle = server.create(&broker("idle")).await;
    server.settle(&idle).await;
    assert_eq!(look(&server, server.now(), RUNNING_MAX).await, (0, 0));
    let start = next_start(&server, &id).await;
    assert!(start > server.now() && start <= server.now() + TimeDelta::weeks(1));
    assert_eq!(
        maintenance(&server, &id).await["pending"]["engine_version"],
        "4.2"
    );

    let inside = start + TimeDelta::minutes(119);
    assert_eq!(
        look(&server, start - TimeDelta::seconds(1), RUNNING_MAX).await,
        (0, 0)
    );
    assert_eq!(look(&server, inside, RUNNING_MAX).await, (1, 0));
    assert_eq!(
        server.describe(&id).await["brokerState"],
        "REBOOT_IN_PROGRESS"
    );
    // Asked again, or by a clock that went back: this window is used up.
    for now in [
        inside,
        start + TimeDelta::minutes(1),
        start - TimeDelta::hours(1),
    ] {
        assert_eq!(look(&server, now, RUNNING_MAX).await, (0, 0));
    }
    server.settle(&id).await;
    let described = server.describe(&id).await;
    assert_eq!(described["brokerState"], "RUNNING");
    assert_eq!(described["engineVersion"], "4.2");
    assert_eq!(described.get("pendingEngineVersion"), None);
    let after = maintenance(&server, &id).await;
    let run = &after["runs"][0];
    assert_eq!(
        (&run["outcome"], &run["changes"]["engine_version"]),
        (&json!("completed"), &json!("4.2"))
    );
    assert!(run["awaySeconds"].is_number(), "{run}");
    let next: DateTime<Utc> = after["nextWindowStart"].as_str().unwrap().parse().unwrap();
    assert!(
        (next - start - TimeDelta::weeks(1)).abs() <= TimeDelta::hours(1),
        "{start} {next}"
    );
    assert_eq!(server.describe(&idle).await["brokerState"], "RUNNING");
    let told = server.audited().await;
    assert!(
        told.contains(&"mq:MaintenanceWindow".to_owned()),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_window_that_nobody_worked_in_is_missed_and_told() {
    let server = Server::start().await;
    let id = changed(&server, "orders").await;
    look(&server, server.now(), RUNNING_MAX).await;
    let start = next_start(&server, &id).await;
    assert_eq!(
        look(&server, start + TimeDelta::hours(2), RUNNING_MAX).await,
        (0, 1)
    );
    assert_eq!(server.describe(&id).await["brokerState"], "RUNNING");
    assert_eq!(
        maintenance(&server, &id).await["runs"][0]["outcome"],
        "missed"
    );
    // Away for weeks, the worker is back while a window is open: that one is used.
    let later = start + TimeDelta::weeks(5) + TimeDelta::minutes(90);
    assert_eq!(look(&server, later, RUNNING_MAX).await, (0, 1));
    assert_eq!(look(&server, later, RUNNING_MAX).await, (1, 0));
}

#[tokio::test]
async fn no_more_brokers_than_allowed_are_in_the_middle_of_it() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(changed(&server, name).await);
    }
    look(&server, server.now(), 2).await;
    let mut start = DateTime::<Utc>::MIN_UTC;
    for id in &ids {
        start = start.max(next_start(&server, id).await);
    }
    let inside = start + TimeDelta::minutes(5);
    assert_eq!(look(&server, inside, 2).await, (2, 0));
    assert_eq!(look(&server, inside, 2).await, (0, 0));
    for id in &ids {
        if server.describe(id).await["brokerState"] == "REBOOT_IN_PROGRESS" {
            server.settle(id).await;
        }
    }
    assert_eq!(look(&server, inside, 2).await, (1, 0));
}

#[tokio::test]
async fn an_owner_puts_it_off_or_does_not_wait() {
    let server = Server::start().await;
    let id = changed(&server, "orders").await;
    let path = format!("/v1/brokers/{id}/maintenance");
    let post = async |action: &str| {
        let path = format!("{path}/{action}");
        server.send(&server.key, "POST", &path, "", b"").await
    };
    let start = next_start(&server, &id).await;
    post("defer").await.ok();
    let deferred = next_start(&server, &id).await;
    assert!(
        deferred - start >= TimeDelta::hours(6 * 24),
        "{start} {deferred}"
    );
    assert_eq!(
        look(&server, start + TimeDelta::minutes(1), RUNNING_MAX).await,
        (0, 0)
    );

    let applied = post("apply").await.ok();
    assert_eq!(applied["runs"][0]["outcome"], "started");
    assert_eq!(applied["runs"][0].get("windowStart"), None);
    assert_eq!(
        server.describe(&id).await["brokerState"],
        "REBOOT_IN_PROGRESS"
    );
    server.settle(&id).await;
    let nothing = post("apply").await.is_error(400, "BadRequestException");
    assert!(
        nothing["message"]
            .as_str()
            .unwrap()
            .contains("Nothing waits")
    );
    let elsewhere = format!("{path}/apply");
    let stranger = server
        .send(&server.stranger, "POST", &elsewhere, "", b"")
        .await;
    stranger.is_error(404, "NotFoundException");
}

#[tokio::test]
async fn the_window_moves_at_once_and_four_times_before_it_comes() {
    let server = Server::start().await;
    let id = server.create(&broker("orders")).await;
    server.settle(&id).await;
    let path = format!("/v1/brokers/{id}");
    let window = |hour: u32| {
        json!({"maintenanceWindowStartTime":
            {"dayOfWeek": "SUNDAY", "timeOfDay": format!("{hour:02}:30"), "timeZone": "Europe/Berlin"}})
    };
    for hour in 0..4 {
        server.put("UpdateBroker", &path, &window(hour)).await.ok();
        // The same again is no move.
        server.put("UpdateBroker", &path, &window(hour)).await.ok();
    }
    assert_eq!(maintenance(&server, &id).await["adjustmentsLeft"], 0);
    let refused = server.put("UpdateBroker", &path, &window(4)).await;
    let error = refused.is_error(400, "BadRequestException");
    assert_eq!(error["errorAttribute"], "maintenanceWindowStartTime");
    let described = server.describe(&id).await;
    assert_eq!(
        described["maintenanceWindowStartTime"]["timeOfDay"],
        "03:30"
    );

    look(
        &server,
        next_start(&server, &id).await + TimeDelta::hours(3),
        RUNNING_MAX,
    )
    .await;
    server.put("UpdateBroker", &path, &window(4)).await.ok();
    let unknown = json!({"maintenanceWindowStartTime":
        {"dayOfWeek": "SUNDAY", "timeOfDay": "02:30", "timeZone": "Mars/Olympus"}});
    let refused = server.put("UpdateBroker", &path, &unknown).await;
    refused.is_error(400, "BadRequestException");
}

/// Sets when support of version 3.13 ends, as a publisher would.
async fn end_support(server: &Server, serial: i64, day: &str) {
    let dir = tempfile::tempdir().expect("a temporary directory can be created");
    let at = |name: &str| dir.path().join(name);
    let public = catalog::keygen("releases", &at("secret")).expect("a key can be made");
    let draft = json!({"serial": serial, "releases": [{
        "engine_type": "RABBITMQ", "engine_version": "3.13.7", "release": "0.1.0",
        "released": "2026-11-01", "end_of_support": day,
        "formats": {"reads": [1, 2], "writes": 2},
    }]});
    std::fs::write(at("draft"), draft.to_string()).expect("a file can be written");
    let signed = catalog::sign(&at("draft"), &at("secret"), server.now()).expect("it is signed");
    std::fs::write(at("signed"), signed).expect("a file can be written");
    let trusted = catalog::trusted_keys(&[public.to_string()]).expect("a key");
    let clock = At(server.now());
    catalog::import(&server.app.pool, &clock, &at("signed"), &trusted)
        .await
        .expect("it is imported");
}

#[tokio::test]
async fn a_version_is_left_when_its_support_has_ended_and_not_given_to_new_brokers_before() {
    let server = Server::start().await;
    let old = |name: &str| {
        let mut request = broker(name);
        request["engineVersion"] = json!("3.13");
        request["autoMinorVersionUpgrade"] = json!(false);
        request
    };
    let id = server.create(&old("orders")).await;
    server.settle(&id).await;
    let today = server.now();
    let end = today + TimeDelta::days(20);
    end_support(&server, 1, &end.date_naive().to_string()).await;

    let refused = server
        .post("CreateBroker", "/v1/brokers", &old("late"))
        .await;
    let error = refused.is_error(400, "BadRequestException");
    assert_eq!(error["errorAttribute"], "engineVersion");
    let text = error["message"].as_str().expect("a text");
    assert!(
        text.contains("ends on") && text.ends_with("[4.2]."),
        "{text}"
    );
    let offered = server
        .get(
            "DescribeBrokerEngineTypes",
            "/v1/broker-engine-types",
            "engineType=RABBITMQ",
        )
        .await
        .ok();
    let versions = &offered["brokerEngineTypes"][0]["engineVersions"];
    assert_eq!(*versions, json!([{"name": "4.2"}]));

    let plan = async |now| {
        plan_upgrades(&server.app.pool, &At(now), &SystemEntropy)
            .await
            .expect("upgrades can be planned")
    };
    assert_eq!(plan(today).await, 0);
    assert_eq!(plan(end + TimeDelta::days(1)).await, 1);
    assert_eq!(plan(end + TimeDelta::days(2)).await, 0);
    let described = server.describe(&id).await;
    assert_eq!(described["pendingEngineVersion"], "4.2");
    let waits = maintenance(&server, &id).await;
    let until = (end + TimeDelta::days(45)).date_naive().to_string();
    assert_eq!(
        waits["pending"]["upgrade"],
        json!({"end_of_support": {"until": until}})
    );

    let defer = format!("/v1/brokers/{id}/maintenance/defer");
    let mut weeks = 0;
    loop {
        let answer = server.send(&server.key, "POST", &defer, "", b"").await;
        if answer.status != 200 {
            let error = answer.is_error(400, "BadRequestException");
            let text = error["message"].as_str().expect("a text");
            assert!(text.contains("can't be put off"), "{text}");
            break;
        }
        weeks += 1;
    }
    assert!((7..=9).contains(&weeks), "{weeks}");
    let start = next_start(&server, &id).await;
    assert!(start.date_naive().to_string() <= until);
    assert_eq!(look(&server, start, RUNNING_MAX).await, (1, 0));
    server.settle(&id).await;
    assert_eq!(server.describe(&id).await["engineVersion"], "4.2");
    let told = server.audited().await;
    assert!(told.contains(&"mq:ScheduleUpgrade".to_owned()), "{told:?}");
}
