//! Groups and policies that are part of somebody: what they let him do, what there is room for, and
//! what the log tells of their changes.

use serde_json::{Value, json};
use warren::error::Error;
use warren::model::{principal::Subject, quota::Quota};

use crate::principals::{Account, ROLE, USER, list, name_of, role, session, user};
use crate::server::{Server, broker};
use crate::signer::Key;

const GROUP: &str = "ops";

fn group() -> Subject {
    Subject::Group(name_of(GROUP))
}

fn document(effect: &str, action: &str) -> String {
    let statement = json!({"Effect": effect, "Action": action, "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": statement}).to_string()
}

async fn may_list(server: &Server, key: &Key) -> bool {
    let answer = list(server, key).await;
    assert!([200, 403].contains(&answer.status), "{}", answer.text);
    answer.status == 200
}

#[tokio::test]
async fn a_groups_policies_are_its_users_for_as_long_as_they_are_in_it() {
    let server = Server::start().await;
    let account = Account::of(&server);
    let alice = account.user(USER).await;
    let bob = account.user("bob").await;
    let (app, id) = (&server.app, &account.id);
    app.create_group(id, name_of(GROUP)).await.unwrap();
    account.attach(&group(), "AmazonMQReadOnlyAccess").await;
    assert!(!may_list(&server, &alice).await);
    app.add_to_group(id, &name_of(GROUP), &name_of(USER))
        .await
        .unwrap();
    assert!(may_list(&server, &alice).await);
    assert!(!may_list(&server, &bob).await);

    // What is part of the group counts too, and its denial wins over the user's own policies.
    account.attach(&user(), "AmazonMQFullAccess").await;
    let deny = document("Deny", "mq:ListBrokers");
    app.put_inline_policy(id, &group(), (&name_of("no-lists"), &deny))
        .await
        .unwrap();
    assert!(!may_list(&server, &alice).await);
    app.remove_from_group(id, &name_of(GROUP), &name_of(USER))
        .await
        .unwrap();
    assert!(may_list(&server, &alice).await);
    app.add_to_group(id, &name_of(GROUP), &name_of(USER))
        .await
        .unwrap();
    assert!(!may_list(&server, &alice).await);
    app.delete_principal(id, &group()).await.unwrap();
    assert!(may_list(&server, &alice).await);
    let gone = app.add_to_group(id, &name_of(GROUP), &name_of(USER)).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
}

#[tokio::test]
async fn a_policy_can_be_part_of_a_user_or_a_role_and_goes_with_it() {
    let server = Server::start().await;
    let account = Account::of(&server);
    let alice = account.user(USER).await;
    let (app, id, name) = (&server.app, &account.id, name_of("own"));
    let arn = format!("arn:aws:iam::{id}:user/{USER}");
    let trust = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": arn}});
    account.role(ROLE, &trust).await;
    let deployer = session(&account.assume(&alice, ROLE, "").await);
    for (subject, key) in [(user(), &alice), (role(), &deployer)] {
        assert!(!may_list(&server, key).await);
        let reading = document("Allow", "mq:List*");
        app.put_inline_policy(id, &subject, (&name, &reading))
            .await
            .unwrap();
        assert!(may_list(&server, key).await);
        assert_eq!(
            app.show_inline_policy(id, &subject, &name).await.unwrap(),
            reading
        );
        let other = document("Allow", "mq:Describe*");
        app.put_inline_policy(id, &subject, (&name, &other))
            .await
            .unwrap();
        assert!(!may_list(&server, key).await);
        app.put_inline_policy(id, &subject, (&name, &reading))
            .await
            .unwrap();
        app.delete_inline_policy(id, &subject, &name).await.unwrap();
        assert!(!may_list(&server, key).await);
        assert!(app.delete_inline_policy(id, &subject, &name).await.is_err());
        app.put_inline_policy(id, &subject, (&name, &reading))
            .await
            .unwrap();
    }
    app.delete_principal(id, &user()).await.unwrap();
    let again = account.user(USER).await;
    assert!(
        !may_list(&server, &again).await,
        "a namesake begins with nothing"
    );
}

#[tokio::test]
async fn what_an_account_may_have_is_bounded_and_adjustable() {
    let server = Server::start().await;
    let account = Account::of(&server);
    account.user(USER).await;
    let (app, id) = (&server.app, &account.id);
    let refused = |outcome: Result<(), Error>, text: &str| {
        let error = outcome.expect_err("a quota is reached").to_string();
        assert!(error.contains(text), "{error}");
    };
    for (quota, value) in [
        (Quota::IamGroupsPerAccount, 2),
        (Quota::IamGroupsPerUser, 1),
        (Quota::IamPoliciesPerAccount, 2),
        (Quota::IamPoliciesPerPrincipal, 1),
        (Quota::IamUsersPerAccount, 1),
        (Quota::IamRolesPerAccount, 0),
    ] {
        app.set_quota(id, quota, value).await.unwrap();
    }
    refused(
        app.create_user(id, name_of("bob")).await,
        "users in this account, [1]",
    );
    for name in ["a", "b"] {
        app.create_group(id, name_of(name)).await.unwrap();
        app.put_policy(id, &name_of(name), &document("Allow", "mq:*"))
            .await
            .unwrap();
    }
    refused(
        app.create_group(id, name_of("c")).await,
        "groups in this account, [2]",
    );
    let more = document("Allow", "mq:*");
    refused(
        app.put_policy(id, &name_of("c"), &more).await,
        "policies in this account, [2]",
    );
    app.put_policy(id, &name_of("b"), &more)
        .await
        .expect("a new document is no new policy");
    app.add_to_group(id, &name_of("a"), &name_of(USER))
        .await
        .unwrap();
    app.add_to_group(id, &name_of("a"), &name_of(USER))
        .await
        .expect("it is in it already");
    let second = app.add_to_group(id, &name_of("b"), &name_of(USER)).await;
    refused(second, "groups that a user of this account is in, [1]");
    app.attach_policy(id, &user(), &name_of("a")).await.unwrap();
    app.attach_policy(id, &user(), &name_of("a"))
        .await
        .expect("it has it already");
    let second = app.attach_policy(id, &user(), &name_of("b")).await;
    refused(
        second,
        "policies attached to a user, a role or a group, [1]",
    );

    let long = |size: usize| {
        let long = document("Allow", &format!("mq:{}", "x".repeat(size)));
        async move {
            app.put_inline_policy(id, &user(), (&name_of("long"), &long))
                .await
        }
    };
    long(1_900).await.unwrap();
    refused(
        long(2_000).await,
        "Maximum policy size of 2048 bytes exceeded for user alice",
    );
}

#[tokio::test]
async fn every_change_of_who_may_do_what_is_told_in_every_region_of_the_account() {
    let server = Server::start().await;
    let account = Account::of(&server);
    let (app, id) = (&server.app, &account.id);
    account.user(USER).await;
    app.create_group(id, name_of(GROUP)).await.unwrap();
    app.add_to_group(id, &name_of(GROUP), &name_of(USER))
        .await
        .unwrap();
    account.attach(&group(), "AmazonMQReadOnlyAccess").await;
    let secretless = document("Allow", "mq:List*");
    app.put_inline_policy(id, &user(), (&name_of("own"), &secretless))
        .await
        .unwrap();
    app.delete_inline_policy(id, &user(), &name_of("own"))
        .await
        .unwrap();
    app.remove_from_group(id, &name_of(GROUP), &name_of(USER))
        .await
        .unwrap();
    app.delete_principal(id, &group()).await.unwrap();
    server.create(&broker("orders")).await;

    let names = async |key: &Key, query: &str| {
        let answer = server
            .send(key, "GET", "/v1/audit-events", query, b"")
            .await
            .ok();
        let events = answer["events"].as_array().expect("events").clone();
        let name = |event: &Value| event["eventName"].as_str().expect("a name").to_owned();
        (events.iter().map(name).collect::<Vec<_>>(), events)
    };
    let expected = [
        "CreateBroker",
        "DeleteGroup",
        "RemoveUserFromGroup",
        "DeleteUserPolicy",
        "PutUserPolicy",
        "AttachGroupPolicy",
        "AddUserToGroup",
        "CreateGroup",
        "CreateAccessKey",
        "CreateUser",
        "CreateAccessKey",
    ];
    let (found, events) = names(&server.key, "").await;
    assert_eq!(found, expected);
    assert_eq!(events[4]["eventSource"], "iam.amazonaws.com");
    assert_eq!(events[4]["userIdentity"]["type"], "Operator");
    assert_eq!(
        events[4]["requestParameters"],
        json!({"userName": USER, "policyName": "own", "policyDocument": secretless})
    );
    assert_eq!(
        events[5]["resources"][0]["ARN"],
        format!("arn:aws:iam::{id}:group/{GROUP}")
    );
    assert_eq!(
        names(&server.key, "eventName=iam%3ACreateUser").await.0,
        ["CreateUser"]
    );
    // The other account has its own root key's, and nothing of ours.
    let strangers = names(&server.stranger, "readOnly=false").await.0;
    assert_eq!(strangers, ["CreateAccessKey"]);
}
