//! Sessions: their tags, what they hand on along a chain of roles, and the errors of AWS's service.

use serde_json::{Value, json};
use test_support::python;
use warren::model::{principal::Subject, principal_tag::AskedTag};

use crate::principals::{Account, ROLE, USER, element, list, name_of, role, session, user};
use crate::server::{Answer, Server, broker};
use crate::signer::{Key, encode};

const NEXT: &str = "operator";
const TEAM: &str = "&Tags.member.1.Key=team&Tags.member.1.Value=red";

fn tag(key: &str, value: &str) -> AskedTag {
    AskedTag {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    }
}

/// Everyone in the account may do `actions` with a role, if his own policies say so.
fn trust(account: &Account<'_>, actions: &[&str]) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Principal": {"AWS": account.id.as_str()}})
}

/// A user and a role that trusts him with tags.
async fn tagging(server: &Server) -> (Account<'_>, Key) {
    let account = Account::of(server);
    let alice = account.user(USER).await;
    let trust = trust(
        &account,
        &["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
    );
    account.role(ROLE, &trust).await;
    let allow = json!({"Effect": "Allow", "Action": "sts:*", "Resource": "*"});
    account.grant(&user(), "assume", &allow).await;
    (account, alice)
}

fn failed(answer: &Answer) -> (u16, &str, &str) {
    let text = &answer.text;
    (
        answer.status,
        element(text, "Code"),
        element(text, "Message"),
    )
}

#[tokio::test]
async fn tags_of_principals_and_of_sessions_decide_what_they_may_do() {
    let server = Server::start().await;
    let (account, alice) = tagging(&server).await;
    // One policy for everybody: whatever carries the caller's own team.
    let own = json!({"Effect": "Allow", "Action": "mq:*", "Resource": "*", "Condition":
        {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}});
    account.grant(&user(), "own-of-users", &own).await;
    account.grant(&role(), "own-of-roles", &own).await;
    let mut request = broker("orders");
    request["tags"] = json!({"team": "red"});
    let path = format!("/v1/brokers/{}", server.create(&request).await);
    let describe = async |key: &Key| server.send(key, "GET", &path, "", b"").await.status;

    assert_eq!(describe(&alice).await, 403);
    let app = &server.app;
    app.tag_principal(&account.id, &user(), &[tag("Team", "red")])
        .await
        .unwrap();
    assert_eq!(describe(&alice).await, 200);
    app.tag_principal(&account.id, &user(), &[tag("team", "blue")])
        .await
        .unwrap();
    assert_eq!(describe(&alice).await, 403);

    // A session has its role's tags, and its own before those.
    app.tag_principal(&account.id, &role(), &[tag("TEAM", "red")])
        .await
        .unwrap();
    let plain = session(&account.assume(&alice, ROLE, "").await);
    assert_eq!(describe(&plain).await, 200);
    let blue = "&Tags.member.1.Key=Team&Tags.member.1.Value=blue";
    let blue = session(&account.assume(&alice, ROLE, blue).await);
    assert_eq!(describe(&blue).await, 403);
    let keys = ["TEAM".to_owned()];
    app.untag_principal(&account.id, &role(), &keys)
        .await
        .unwrap();
    assert_eq!(describe(&plain).await, 403);
    let red = session(&account.assume(&alice, ROLE, TEAM).await);
    assert_eq!(describe(&red).await, 200);
}

#[tokio::test]
async fn a_role_says_who_may_tag_its_sessions_and_how() {
    let server = Server::start().await;
    let account = Account::of(&server);
    let alice = account.user(USER).await;
    let arn = format!("arn:aws:iam::{}:user/{USER}", account.id);
    let assume = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": arn}});
    account.role(ROLE, &assume).await;
    session(&account.assume(&alice, ROLE, "").await);
    let refused = account.assume(&alice, ROLE, TEAM).await;
    let message = format!(
        "User: {arn} is not authorized to perform: sts:TagSession on resource: {}",
        account.role_arn(ROLE)
    );
    assert_eq!(failed(&refused), (403, "AccessDenied", &*message));
    let refused = account.assume(&alice, ROLE, "&SourceIdentity=alice").await;
    let message = message.replace("TagSession", "SetSourceIdentity");
    assert_eq!(failed(&refused), (403, "AccessDenied", &*message));

    let tagging = json!({"Effect": "Allow", "Action": "sts:TagSession", "Principal": {"AWS": arn},
    "Condition": {
        "StringEquals": {"aws:RequestTag/team": ["red", "blue"]},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "env"],
                                      "sts:TransitiveTagKeys": ["team"]},
    }});
    account.role(NEXT, &json!([assume, tagging])).await;
    let env = "&Tags.member.2.Key=env&Tags.member.2.Value=prod";
    for (more, status) in [
        (TEAM.to_owned(), 200),
        (TEAM.replace("red", "green"), 403),
        (format!("{TEAM}{env}"), 200),
        (format!("{TEAM}{}", env.replace("=env", "=owner")), 403),
        (format!("{TEAM}{env}&TransitiveTagKeys.member.1=team"), 200),
        (format!("{TEAM}{env}&TransitiveTagKeys.member.1=env"), 403),
        (env.replace("member.2", "member.1"), 403),
    ] {
        let answer = account.assume(&alice, NEXT, &more).await;
        assert_eq!(answer.status, status, "{more}: {}", answer.text);
    }
}

#[tokio::test]
async fn transitive_tags_and_the_source_identity_go_along_a_chain_of_roles() {
    let server = Server::start().await;
    let (account, alice) = tagging(&server).await;
    let allow = json!({"Effect": "Allow", "Action": "sts:*", "Resource": "*"});
    account.grant(&role(), "chain", &allow).await;
    account.role(NEXT, &trust(&account, &["sts:*"])).await;
    account
        .role("last", &trust(&account, &["sts:AssumeRole"]))
        .await;
    let own = json!({"Effect": "Allow", "Action": "mq:ListBrokers", "Resource": "*", "Condition":
        {"StringEquals": {"aws:PrincipalTag/team": "red", "aws:SourceIdentity": "alice"},
         "Null": {"aws:PrincipalTag/env": "true"}}});
    let next = Subject::Role(name_of(NEXT));
    account.grant(&next, "own", &json!([own, allow])).await;

    let tags = format!(
        "{TEAM}&Tags.member.2.Key=env&Tags.member.2.Value=prod&TransitiveTagKeys.member.1=Team"
    );
    let first = account
        .assume(&alice, ROLE, &format!("{tags}&SourceIdentity=alice"))
        .await;
    assert_eq!(element(&first.text, "SourceIdentity"), "alice");
    assert_eq!(element(&first.text, "PackedPolicySize"), "1");
    let first = session(&first);
    list(&server, &first)
        .await
        .is_error(403, "AccessDeniedException");

    let second = account.assume(&first, NEXT, "").await;
    assert_eq!(element(&second.text, "SourceIdentity"), "alice");
    list(&server, &session(&second)).await.ok();
    // What is handed on cannot be replaced, and counts as tagging where it is handed to.
    let refused = account.assume(&first, NEXT, TEAM).await;
    assert_eq!(
        (refused.status, element(&refused.text, "Code")),
        (400, "InvalidParameterValue")
    );
    let refused = account.assume(&first, NEXT, "&SourceIdentity=bob").await;
    assert_eq!(
        (refused.status, element(&refused.text, "Code")),
        (403, "AccessDenied")
    );
    let refused = account.assume(&session(&second), "last", "").await;
    assert!(
        failed(&refused).2.contains("sts:TagSession"),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn session_policies_are_the_roles_accounts_and_as_they_are_now() {
    let server = Server::start().await;
    let (account, alice) = tagging(&server).await;
    account.attach(&role(), "AmazonMQFullAccess").await;
    let document = |action: &str| {
        let statement = json!({"Effect": "Allow", "Action": action, "Resource": "*"});
        json!({"Version": "2012-10-17", "Statement": statement}).to_string()
    };
    let (app, narrow) = (&server.app, name_of("narrow"));
    app.put_policy(&account.id, &narrow, &document("mq:ListBrokers"))
        .await
        .unwrap();
    let arn = format!("arn:aws:iam::{}:policy/narrow", account.id);
    let more = format!("&PolicyArns.member.1.arn={}", encode(&arn, false));
    let key = session(&account.assume(&alice, ROLE, &more).await);
    list(&server, &key).await.ok();
    app.put_policy(&account.id, &narrow, &document("mq:DescribeBroker"))
        .await
        .unwrap();
    list(&server, &key)
        .await
        .is_error(403, "AccessDeniedException");
    app.put_policy(&account.id, &narrow, &document("mq:*"))
        .await
        .unwrap();
    list(&server, &key).await.ok();
    app.delete_policy(&account.id, &narrow).await.unwrap();
    list(&server, &key)
        .await
        .is_error(403, "AccessDeniedException");
    let refused = account.assume(&alice, ROLE, &more).await;
    assert_eq!(
        failed(&refused),
        (
            400,
            "ValidationError",
            &*format!("Policy {arn} does not exist.")
        )
    );
}

#[tokio::test]
async fn the_log_tells_of_a_session_what_finds_its_calls_and_no_secret() {
    let server = Server::start().await;
    let (account, alice) = tagging(&server).await;
    let more = format!("{TEAM}&TransitiveTagKeys.member.1=team&SourceIdentity=alice");
    let answer = account.assume(&alice, ROLE, &more).await;
    let key = session(&answer);
    list(&server, &key)
        .await
        .is_error(403, "AccessDeniedException");
    account.assume(&alice, "none", "").await;

    let query = "maxResults=3";
    let listed = server
        .send(&server.key, "GET", "/v1/audit-events", query, b"")
        .await
        .ok();
    let events = listed["events"].as_array().unwrap();
    let [refused, call, assumed] = &events[..] else {
        panic!("{listed}");
    };
    assert_eq!(assumed["eventName"], "AssumeRole");
    assert_eq!(
        assumed["requestParameters"],
        json!({
            "roleArn": account.role_arn(ROLE),
            "roleSessionName": "build-7",
            "tags": [{"key": "team", "value": "red"}],
            "transitiveTagKeys": ["team"],
            "sourceIdentity": "alice",
        })
    );
    let response = &assumed["responseElements"];
    assert_eq!(response["credentials"]["accessKeyId"], key.id.as_str());
    assert_eq!(response["packedPolicySize"], 1);
    assert_eq!(assumed["resources"][0]["ARN"], account.role_arn(ROLE));
    assert_eq!(call["userIdentity"]["accessKeyId"], key.id.as_str());
    assert_eq!(
        call["userIdentity"]["sessionContext"]["sourceIdentity"],
        "alice"
    );
    assert_eq!(refused["errorCode"], "AccessDenied");
    let token = key.token.unwrap();
    for secret in [&key.secret, &token] {
        assert!(!listed.to_string().contains(secret.as_str()));
    }
}

#[tokio::test]
async fn boto3_is_told_what_aws_would_tell_it() {
    if !python::is_available() {
        return;
    }
    let server = Server::start().await;
    let (account, alice) = tagging(&server).await;
    account.attach(&role(), "AmazonMQReadOnlyAccess").await;
    let mut script = python::script("sessions.py");
    script
        .env("AWS_ENDPOINT_URL", format!("http://{}", server.host()))
        .env("AWS_DEFAULT_REGION", crate::server::REGION)
        .env("AWS_ACCESS_KEY_ID", &alice.id)
        .env("AWS_SECRET_ACCESS_KEY", &alice.secret)
        .env("ROOT_ACCESS_KEY_ID", &server.key.id)
        .env("ROOT_SECRET_ACCESS_KEY", &server.key.secret)
        .env("ROLE_ARN", account.role_arn(ROLE));
    let run = move || python::succeed(&mut script);
    let printed = tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!(printed.trim(), "done");
}
