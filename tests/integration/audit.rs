//! The audit log: every call is told once, and no secret of it.

use serde_json::{Value, json};

use warren::model::throttle::Rate;

use crate::server::{Server, broker};
use crate::signer::{Key, encode};

async fn events(server: &Server, query: &str) -> Vec<Value> {
    let listed = server
        .send(&server.key, "GET", "/v1/audit-events", query, b"")
        .await
        .ok();
    listed["events"].as_array().expect("a list").clone()
}

fn names(events: &[Value]) -> Vec<&str> {
    let name = |event: &Value| event["eventName"].as_str().map(str::len);
    assert!(events.iter().all(|event| name(event).is_some()));
    events
        .iter()
        .filter_map(|event| event["eventName"].as_str())
        .collect()
}

#[tokio::test]
async fn reads_changes_and_failures_are_told_newest_first() {
    let server = Server::start().await;
    let id = server.create(&broker("orders")).await;
    server.describe(&id).await;
    server
        .post("CreateBroker", "/v1/brokers", &broker("orders"))
        .await;
    server.get("DescribeBroker", "/v1/brokers/b-none", "").await;
    let mut all = events(&server, "").await;
    // How the account got its own key is told as well, and first.
    let key = all.pop().unwrap();
    assert_eq!(
        (&key["eventName"], &key["awsRegion"]),
        (&json!("CreateAccessKey"), &json!("aws-global"))
    );
    let expected = [
        "DescribeBroker",
        "CreateBroker",
        "DescribeBroker",
        "CreateBroker",
    ];
    assert_eq!(names(&all), expected);

    let created = &all[3];
    assert_eq!(created["eventSource"], "amazonmq.amazonaws.com");
    assert_eq!(created["readOnly"], false);
    assert_eq!(created["responseElements"]["brokerId"], id.as_str());
    assert_eq!(created["requestParameters"]["brokerName"], "orders");
    assert_eq!(created["requestParameters"]["users"][0]["password"], "****");
    let identity = &created["userIdentity"];
    assert_eq!(identity["type"], "Root");
    assert_eq!(identity["accessKeyId"], server.key.id.as_str());
    assert_eq!(identity["accountId"], server.account.as_str());

    let described = &all[2];
    assert_eq!(
        (&described["readOnly"], &described["responseElements"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(described["requestParameters"], json!({"broker-id": id}));
    let refused = &all[1];
    assert_eq!(refused["errorCode"], "ConflictException");
    assert!(
        refused["errorMessage"]
            .as_str()
            .unwrap()
            .contains("already exists")
    );
    assert_eq!(refused["requestParameters"]["users"][0]["password"], "****");
    assert_eq!(all[0]["errorCode"], "NotFoundException");
    for event in &all {
        assert!(!event.to_string().contains("correct-horse"), "{event}");
    }
}

#[tokio::test]
async fn the_log_is_asked_by_name_resource_kind_and_time_and_read_in_pages() {
    let server = Server::start().await;
    let first = server.create(&broker("first")).await;
    server.create(&broker("second")).await;
    server.describe(&first).await;
    let arn = server.describe(&first).await["brokerArn"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(events(&server, "eventName=CreateBroker").await.len(), 2);
    let of_first = events(&server, &format!("resourceArn={}", encode(&arn, false))).await;
    assert_eq!(names(&of_first), ["CreateBroker"]);
    assert_eq!(
        names(&events(&server, "readOnly=false").await),
        ["CreateBroker", "CreateBroker", "CreateAccessKey"]
    );
    assert!(
        events(&server, "startTime=2999-01-01T00%3A00%3A00Z")
            .await
            .is_empty()
    );
    for query in [
        "readOnly=maybe",
        "startTime=yesterday",
        "maxResults=0",
        "nextToken=x",
    ] {
        let answer = server
            .send(&server.key, "GET", "/v1/audit-events", query, b"")
            .await;
        answer.is_error(400, "BadRequestException");
    }

    let page = "readOnly=false&maxResults=2";
    let answer = server
        .send(&server.key, "GET", "/v1/audit-events", page, b"")
        .await
        .ok();
    let token = answer["nextToken"].as_str().expect("there is more");
    let rest = format!("{page}&nextToken={}", encode(token, false));
    let answer = server
        .send(&server.key, "GET", "/v1/audit-events", &rest, b"")
        .await
        .ok();
    assert_eq!(answer["events"].as_array().unwrap().len(), 1);
    assert_eq!(answer.get("nextToken"), None);
}

#[tokio::test]
async fn another_account_reads_nothing_of_it() {
    let server = Server::start().await;
    server.create(&broker("orders")).await;
    let listed = server
        .send(&server.stranger, "GET", "/v1/audit-events", "", b"")
        .await
        .ok();
    // Nothing but how it got its own key.
    let events = listed["events"].as_array().unwrap();
    assert_eq!(names(events), ["CreateAccessKey"]);
    assert_eq!(
        events[0]["recipientAccountId"],
        server.stranger_account.as_str()
    );
}

#[tokio::test]
async fn a_flood_is_told_once_and_those_nobody_knows_not_at_all() {
    let rate = Rate {
        per_second: 1,
        burst: 3,
    };
    let server = Server::start_at(rate).await;
    let ask = async |key: &Key, form: &str| server.sts(key, form).await.status;
    let forged = Key {
        secret: "x".to_owned(),
        ..server.key.clone()
    };
    let unknown = Key {
        id: "AKIAUNKNOWN000000000".to_owned(),
        ..server.key.clone()
    };
    for key in [&forged, &unknown] {
        assert_eq!(ask(key, "Action=GetCallerIdentity").await, 403);
    }
    let mut refused = 0;
    for _ in 0..40 {
        let status = ask(&server.key, "Action=GetCallerIdentity").await;
        refused += u32::from(status == 429);
    }
    assert!(refused > 1, "{refused}");
    let told: Vec<(String, String)> =
        sqlx::query_as("select action, error_code from audit_events where error_code is not null")
            .fetch_all(&server.pool())
            .await
            .unwrap();
    let expected = ("sts:GetCallerIdentity".to_owned(), "Throttling".to_owned());
    assert_eq!(told, [expected]);
}
