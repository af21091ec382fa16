//! Access policies: documents in any form, asked in any words.

use serde_json::{Value, json};

use crate::model::policy::{
    Context, Decision, PolicyDocument, Question, Trust, TrustPolicy, decide,
};

const RESOURCE: &str = "arn:aws:mq:us-east-1:123456789012:broker:orders:b-1";

/// An identity's policy, and what is asked of it behind an octet of zeros: action, resource, and the value of a key.
pub fn policies(bytes: &[u8]) {
    let mut parts = bytes.splitn(4, |byte| *byte == 0).map(std::str::from_utf8);
    let Some(Ok(text)) = parts.next() else {
        return;
    };
    let Ok(policy) = PolicyDocument::parse(text) else {
        return;
    };
    let mut next = |missing| parts.next().and_then(Result::ok).unwrap_or(missing);
    let (action, resource, value) = (next("mq:DeleteBroker"), next(RESOURCE), next("red"));
    let context = context(value);
    let question = Question {
        action,
        resource,
        context: &context,
    };
    let decision = decide([&policy], &question);
    assert_eq!(decide([&policy, &policy], &question), decision);
    let document: Value = serde_json::from_str(text).expect("a policy is JSON");
    let again = PolicyDocument::parse(&document.to_string()).expect("however it is written");
    assert_eq!(again, policy);
    let refuses = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Deny", "Action": "*", "Resource": "*",
    }});
    let refuses = PolicyDocument::parse(&refuses.to_string()).expect("a policy");
    let refused = decide([&policy, &refuses], &question);
    assert_eq!(refused, Decision::ExplicitlyDenied, "a denial wins");
    let allows = statements(&document).any(|statement| statement["Effect"] == "Allow");
    assert!(allows || decision != Decision::Allowed, "nobody allowed it");
}

/// A role's policy, in its document and the ARN of who would become it.
pub fn trust(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0).map(std::str::from_utf8);
    let Some(Ok(text)) = parts.next() else {
        return;
    };
    let Ok(policy) = TrustPolicy::parse(text) else {
        return;
    };
    let who = parts.next().and_then(Result::ok);
    let who = who.unwrap_or("arn:aws:iam::123456789012:user/ann");
    let context = context("red");
    let question = Question {
        action: "sts:AssumeRole",
        resource: "arn:aws:iam::123456789012:role/deployer",
        context: &context,
    };
    let trust = policy.decide(who, "123456789012", &question);
    let document: Value = serde_json::from_str(text).expect("a policy is JSON");
    let allows = statements(&document).any(|statement| statement["Effect"] == "Allow");
    assert!(allows || trust == Trust::Denied, "nobody allowed it");
    let names_nobody = !text.contains(['*', '\\']) && !text.contains("123456789012");
    assert!(!names_nobody || trust == Trust::Denied || text.contains(who));
}

fn context(value: &str) -> Context {
    Context::default()
        .with("aws:ResourceTag/team", value)
        .with("aws:SourceIp", "192.0.2.7")
        .with("aws:SecureTransport", "true")
        .with("aws:CurrentTime", "2026-01-01T00:00:00Z")
        .with("aws:EpochTime", "1767225600")
        .with("aws:PrincipalArn", value)
        .with("aws:username", value)
        .with("aws:TagKeys", "team")
        .with("aws:TagKeys", value)
}

fn statements(document: &Value) -> impl Iterator<Item = &Value> {
    let statements = &document["Statement"];
    let one = statements.is_object().then_some(statements);
    statements.as_array().into_iter().flatten().chain(one)
}
