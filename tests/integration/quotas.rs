//! Quotas: what an account may have, adjusted by the operator, and held when creates race.

use futures_util::future::join_all;
use serde_json::{Value, json};
use warren::model::AccountId;
use warren::model::quota::Quota;

use crate::server::{Server, activemq, broker};

async fn set(server: &Server, quota: Quota, value: i64) {
    let account = AccountId::parse(&server.account).expect("an account id");
    let set = server.app.set_quota(&account, quota, value).await;
    set.expect("the quota can be set");
}

fn exceeded(attribute: &str, message: &str) -> Value {
    json!({"errorAttribute": attribute, "message": message})
}

#[tokio::test]
async fn creates_that_race_stay_within_the_quota() {
    let server = Server::start().await;
    set(&server, Quota::BrokersPerRegion, 3).await;
    let requests: Vec<_> = (0..8).map(|n| broker(&format!("orders-{n}"))).collect();
    let creates = requests
        .iter()
        .map(|request| server.post("CreateBroker", "/v1/brokers", request));
    let answers = join_all(creates).await;
    let (made, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((made.len(), refused.len()), (3, 5));
    for answer in refused {
        assert_eq!(
            answer.is_error(400, "BadRequestException"),
            exceeded(
                "brokerName",
                "The maximum number of brokers in this region, [3], is reached."
            )
        );
    }
    assert_eq!(server.count("brokers").await, 3);
    // A default configuration of a broker that was refused would be an orphan.
    assert_eq!(server.count("configurations").await, 3);

    let account = AccountId::parse(&server.account).expect("an account id");
    let reset = server
        .app
        .reset_quota(&account, Quota::BrokersPerRegion)
        .await;
    reset.expect("the quota can be reset");
    server.create(&broker("one-more")).await;
}

#[tokio::test]
async fn every_quota_is_held() {
    let server = Server::start_simulated().await;
    set(&server, Quota::ConfigurationsPerRegion, 2).await;
    set(&server, Quota::RevisionsPerConfiguration, 2).await;
    set(&server, Quota::TagsPerResource, 1).await;
    set(&server, Quota::UsersPerBroker, 2).await;
    set(&server, Quota::GroupsPerUser, 1).await;

    let id = server.create(&activemq("orders")).await;
    server.settle(&id).await;
    let user = |name: &str| format!("/v1/brokers/{id}/users/{name}");
    let ada = json!({"password": "correct-horse-battery", "groups": ["admins"]});
    server.post("CreateUser", &user("ada"), &ada).await.ok();
    let third = server.post("CreateUser", &user("third"), &ada).await;
    assert_eq!(
        third.is_error(400, "BadRequestException"),
        exceeded(
            "username",
            "The maximum number of users of a broker, [2], is reached."
        )
    );
    let groups = json!({"groups": ["admins", "users"]});
    let grouped = server.put("UpdateUser", &user("ada"), &groups).await;
    assert_eq!(
        grouped.is_error(400, "BadRequestException"),
        exceeded(
            "groups",
            "The maximum number of groups of a user, [1], is reached."
        )
    );

    let request = |name: &str| json!({"name": name, "engineType": "RABBITMQ"});
    let configurations = "/v1/configurations";
    let made = server
        .post("CreateConfiguration", configurations, &request("one"))
        .await
        .ok();
    let more = server
        .post("CreateConfiguration", configurations, &request("two"))
        .await;
    assert_eq!(
        more.is_error(400, "BadRequestException"),
        exceeded(
            "name",
            "The maximum number of configurations in this region, [2], is reached."
        )
    );
    let path = format!("{configurations}/{}", made["id"].as_str().expect("an id"));
    let data = json!({"data": ""});
    server.put("UpdateConfiguration", &path, &data).await.ok();
    let more = server.put("UpdateConfiguration", &path, &data).await;
    assert_eq!(
        more.is_error(400, "BadRequestException"),
        exceeded(
            "configuration_id",
            "The maximum number of revisions of a configuration, [2], is reached."
        )
    );

    let mut tagged = broker("tagged");
    tagged["tags"] = json!({"a": "1", "b": "2"});
    let answer = server.post("CreateBroker", "/v1/brokers", &tagged).await;
    assert_eq!(
        answer.is_error(400, "BadRequestException"),
        exceeded(
            "tags",
            "The maximum number of tags of a resource, [1], is reached."
        )
    );
}
