//! Users, roles and policies: who may do what, and how one becomes somebody else.

use serde_json::{Value, json};

use crate::principals::{Account, ROLE, USER, element, list, name_of, role, session, user};
use crate::server::{Answer, Server, broker};
use crate::signer::{Key, encode};

#[tokio::test]
async fn a_user_without_policies_may_do_nothing_at_all() {
    let server = Server::start().await;
    let id = server.create(&broker("orders")).await;
    let described = server.describe(&id).await;
    let configuration = described["configurations"]["pending"]["id"]
        .as_str()
        .unwrap();
    let arn = described["brokerArn"].as_str().unwrap();
    let key = Account::of(&server).user(USER).await;
    let bodies = json!({
        "CreateBroker": broker("other"),
        "CreateConfiguration": {"name": "c", "engineType": "RABBITMQ", "engineVersion": "4.2"},
        "CreateTags": {"tags": {"a": "b"}},
        "CreateUser": {"password": "correct-horse-battery"},
        "Promote": {"mode": "FAILOVER"},
        "UpdateConfiguration": {"data": "aGVhcnRiZWF0ID0gNjA="},
    });
    let mut asked = 0;
    for (method, path, operation) in warren::api::ROUTES {
        let is_ours = operation.ends_with("Maintenance") || *operation == "ListAuditEvents";
        if !path.starts_with("/v1/") || is_ours {
            continue;
        }
        let path = path
            .replace("{broker-id}", &id)
            .replace("{configuration-id}", configuration)
            .replace("{configuration-revision}", "1")
            .replace("{username}", "operator")
            .replace("{resource-arn}", &encode(arn, false));
        let query = if *operation == "DeleteTags" {
            "tagKeys=a"
        } else {
            ""
        };
        let body = match &bodies[*operation] {
            Value::Object(body) => Value::Object(body.clone()).to_string(),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => String::new(),
        };
        let answer = server
            .send(&key, method, &path, query, body.as_bytes())
            .await;
        let error = answer.is_error(403, "AccessDeniedException");
        let message = error["message"].as_str().unwrap();
        let wanted = format!(
            "User: arn:aws:iam::{}:user/{USER} is not authorized to perform: mq:{operation} on \
             resource: ",
            server.account
        );
        assert!(message.starts_with(&wanted), "{message}");
        let why = format!("because no identity-based policy allows the mq:{operation} action");
        assert!(message.ends_with(&why), "{message}");
        asked += 1;
    }
    assert_eq!(asked, 25);
    assert_eq!(server.describe(&id).await, described);
}

#[tokio::test]
async fn a_managed_policy_lets_a_user_look_but_not_touch() {
    let server = Server::start().await;
    let id = server.create(&broker("orders")).await;
    let account = Account::of(&server);
    let key = account.user(USER).await;
    account.attach(&user(), "AmazonMQReadOnlyAccess").await;
    let path = format!("/v1/brokers/{id}");
    list(&server, &key).await.ok();
    server.send(&key, "GET", &path, "", b"").await.ok();
    let refused = server.send(&key, "DELETE", &path, "", b"").await;
    refused.is_error(403, "AccessDeniedException");

    // Taken away, it no longer counts for the very next request.
    let policy = name_of("AmazonMQReadOnlyAccess");
    server
        .app
        .detach_policy(&account.id, &user(), &policy)
        .await
        .unwrap();
    list(&server, &key)
        .await
        .is_error(403, "AccessDeniedException");
}

#[tokio::test]
async fn policies_tell_resources_apart_by_name_and_by_tag() {
    let server = Server::start().await;
    let account = Account::of(&server);
    let key = account.user(USER).await;
    let statements = json!([
        {"Effect": "Allow", "Action": "mq:*", "Resource": "arn:aws:mq:*:*:broker:team-${aws:username}-*:*"},
        {"Effect": "Deny", "Action": ["mq:DeleteBroker", "mq:RebootBroker"], "Resource": "*",
         "Condition": {"StringEquals": {"aws:ResourceTag/environment": "production"}}},
    ]);
    account.grant(&user(), "team", &statements).await;
    let mut own = broker("team-alice-1");
    own["tags"] = json!({"environment": "production"});
    let production = server.create(&own).await;
    let test = server.create(&broker("team-alice-2")).await;
    let other = server.create(&broker("team-bob-1")).await;
    let delete = async |id: &str| {
        let path = format!("/v1/brokers/{id}");
        server.send(&key, "DELETE", &path, "", b"").await
    };
    let message = |answer: &Answer| {
        let error = answer.is_error(403, "AccessDeniedException");
        error["message"].as_str().unwrap().to_owned()
    };
    let denied = message(&delete(&production).await);
    assert!(
        denied.ends_with("with an explicit deny in an identity-based policy"),
        "{denied}"
    );
    let denied = message(&delete(&other).await);
    assert!(
        denied.contains("because no identity-based policy allows"),
        "{denied}"
    );
    delete(&test).await.ok();
    // Listing names no resource: a policy for some resources does not cover it.
    list(&server, &key)
        .await
        .is_error(403, "AccessDeniedException");
}

#[tokio::test]
async fn tags_can_be_demanded_of_those_who_create() {
    let server = Server::start().await;
    let account = Account::of(&server);
    let key = account.user(USER).await;
    let statements = json!({"Effect": "Allow", "Action": "mq:CreateBroker", "Resource": "*",
        "Condition": {"StringLike": {"aws:RequestTag/team": "?*"},
                      "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost"]}}});
    account.grant(&user(), "tagged", &statements).await;
    let create = async |name: &str, tags: Value| {
        let mut request = broker(name);
        request["tags"] = tags;
        let body = request.to_string();
        server
            .send(&key, "POST", "/v1/brokers", "", body.as_bytes())
            .await
            .status
    };
    assert_eq!(create("a", json!({})).await, 403);
    assert_eq!(
        create("b", json!({"team": "red", "owner": "me"})).await,
        403
    );
    assert_eq!(create("c", json!({"team": "red", "cost": "7"})).await, 200);
}

#[tokio::test]
async fn a_key_can_be_rotated_disabled_and_deleted() {
    let server = Server::start().await;
    let account = Account::of(&server);
    let old = account.user(USER).await;
    account.attach(&user(), "AmazonMQFullAccess").await;
    let made = server
        .app
        .create_access_key(&account.id, Some(&name_of(USER)))
        .await
        .unwrap();
    let new = Key {
        id: made.id.to_string(),
        secret: made.secret,
        token: None,
    };
    let third = server
        .app
        .create_access_key(&account.id, Some(&name_of(USER)))
        .await;
    assert!(third.is_err(), "rotation needs two keys, not three");
    for key in [&old, &new] {
        list(&server, key).await.ok();
    }
    let id = warren::model::AccessKeyId::parse(&old.id).unwrap();
    server.app.set_access_key_enabled(&id, false).await.unwrap();
    list(&server, &old)
        .await
        .is_error(403, "UnrecognizedClientException");
    list(&server, &new).await.ok();
    server.app.set_access_key_enabled(&id, true).await.unwrap();
    list(&server, &old).await.ok();
    server.app.delete_access_key(&id).await.unwrap();
    list(&server, &old)
        .await
        .is_error(403, "UnrecognizedClientException");
    server
        .app
        .delete_principal(&account.id, &user())
        .await
        .unwrap();
    list(&server, &new)
        .await
        .is_error(403, "UnrecognizedClientException");
}

#[tokio::test]
async fn everyone_can_ask_who_he_is() {
    let server = Server::start().await;
    let account = Account::of(&server);
    let alice = account.user(USER).await;
    let ask = "Action=GetCallerIdentity&Version=2011-06-15";
    let root = server.sts(&server.key, ask).await;
    assert_eq!(root.status, 200);
    assert_eq!(
        element(&root.text, "Arn"),
        format!("arn:aws:iam::{}:root", account.id)
    );
    assert_eq!(element(&root.text, "UserId"), account.id.as_str());
    let user = server.sts(&alice, ask).await;
    assert_eq!(
        element(&user.text, "Arn"),
        format!("arn:aws:iam::{}:user/{USER}", account.id)
    );
    assert_eq!(element(&user.text, "Account"), account.id.as_str());
    assert!(element(&user.text, "UserId").starts_with("AIDA"));
}

#[tokio::test]
async fn a_trusted_user_becomes_a_role_with_the_roles_rights_alone() {
    let server = Server::start().await;
    let account = Account::of(&server);
    let alice = account.user(USER).await;
    let alice_arn = format!("arn:aws:iam::{}:user/{USER}", account.id);
    let trust =
        json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": alice_arn}});
    account.role(ROLE, &trust).await;
    account.attach(&role(), "AmazonMQReadOnlyAccess").await;
    list(&server, &alice)
        .await
        .is_error(403, "AccessDeniedException");

    let key = session(&account.assume(&alice, ROLE, "&DurationSeconds=900").await);
    list(&server, &key).await.ok();
    let body = broker("orders").to_string();
    let refused = server
        .send(&key, "POST", "/v1/brokers", "", body.as_bytes())
        .await;
    let message = refused.is_error(403, "AccessDeniedException")["message"].to_string();
    let arn = format!("arn:aws:sts::{}:assumed-role/{ROLE}/build-7", account.id);
    assert!(
        message.contains(&format!("User: {arn} is not")),
        "{message}"
    );
    let who = server.sts(&key, "Action=GetCallerIdentity").await;
    assert_eq!(element(&who.text, "Arn"), arn);
    assert!(element(&who.text, "UserId").ends_with(":build-7"));

    // Its own policy narrows a session and never widens it.
    let policy = json!({"Version": "2012-10-17", "Statement":
        {"Effect": "Allow", "Action": ["mq:DescribeBroker", "mq:CreateBroker"], "Resource": "*"}});
    let policy = encode(&policy.to_string(), false);
    let narrow = session(
        &account
            .assume(&alice, ROLE, &format!("&Policy={policy}"))
            .await,
    );
    let denied = list(&server, &narrow)
        .await
        .is_error(403, "AccessDeniedException");
    let message = denied["message"].as_str().unwrap();
    assert!(message.ends_with("because no session policy allows the mq:ListBrokers action"));
    let refused = server
        .send(&narrow, "POST", "/v1/brokers", "", body.as_bytes())
        .await;
    refused.is_error(403, "AccessDeniedException");
}

#[tokio::test]
async fn session_credentials_are_worth_nothing_apart_or_after_their_role() {
    let server = Server::start().await;
    let account = Account::of(&server);
    let alice = account.user(USER).await;
    let trust = json!({"Effect": "Allow", "Action": "sts:AssumeRole",
                       "Principal": {"AWS": account.id.as_str()}});
    account.role(ROLE, &trust).await;
    account.attach(&role(), "AmazonMQFullAccess").await;
    // The account is trusted, so the user's own policies must allow it too.
    let refused = account.assume(&alice, ROLE, "").await;
    assert_eq!(
        (refused.status, element(&refused.text, "Code")),
        (403, "AccessDenied")
    );
    let allow =
        json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": account.role_arn(ROLE)});
    account.grant(&user(), "assume", &allow).await;
    let first = session(&account.assume(&alice, ROLE, "").await);
    let second = session(&account.assume(&alice, ROLE, "").await);
    list(&server, &first).await.ok();

    let swapped = Key {
        token: second.token.clone(),
        ..first.clone()
    };
    let bare = Key {
        token: None,
        ..first.clone()
    };
    let token = first.token.clone().unwrap();
    let cut = Key {
        token: Some(token[..token.len() - 4].to_owned()),
        ..first.clone()
    };
    let lent = Key {
        token: first.token.clone(),
        ..alice.clone()
    };
    for key in [&swapped, &bare, &cut, &lent] {
        list(&server, key)
            .await
            .is_error(403, "UnrecognizedClientException");
    }

    server
        .app
        .delete_principal(&account.id, &role())
        .await
        .unwrap();
    list(&server, &first)
        .await
        .is_error(403, "UnrecognizedClientException");
    account.role(ROLE, &trust).await;
    account.attach(&role(), "AmazonMQFullAccess").await;
    list(&server, &first)
        .await
        .is_error(403, "UnrecognizedClientException");
}

#[tokio::test]
async fn calls_for_sessions_fail_in_the_words_of_their_own_protocol() {
    let server = Server::start().await;
    let account = Account::of(&server);
    let alice = account.user(USER).await;
    let arn = encode(&account.role_arn(ROLE), false);
    let good = format!("Action=AssumeRole&RoleSessionName=ab&RoleArn={arn}");
    for (key, form, status, code) in [
        (
            &alice,
            "Action=GetSessionToken".to_owned(),
            400,
            "InvalidAction",
        ),
        (&alice, good.clone(), 403, "AccessDenied"),
        (&server.key, good.clone(), 403, "AccessDenied"),
        (&alice, good.replace("=ab", "=a"), 400, "ValidationError"),
        (
            &alice,
            format!("{good}&DurationSeconds=60"),
            400,
            "ValidationError",
        ),
        (
            &alice,
            format!("{good}&Policy=x"),
            400,
            "MalformedPolicyDocument",
        ),
        (
            &alice,
            format!("{good}&Tags.member.1.Key=a"),
            400,
            "ValidationError",
        ),
    ] {
        let answer = server.sts(key, &form).await;
        let found = (answer.status, element(&answer.text, "Code"));
        assert_eq!(found, (status, code), "{form}: {}", answer.text);
    }
    let forged = Key {
        secret: "x".to_owned(),
        ..alice
    };
    let answer = server.sts(&forged, &good).await;
    assert_eq!(element(&answer.text, "Code"), "SignatureDoesNotMatch");
    let answer = server.unsigned("POST", "/").await;
    assert_eq!(element(&answer.text, "Code"), "MissingAuthenticationToken");
}
