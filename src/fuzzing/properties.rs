//! Inputs made by their grammar, which changes of texts rarely come to.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    activemq, forms, lavinmq, names, policies, queries, rabbitmq, signatures, trust, windows,
};

/// A policy's text, with wildcards, variables and what only looks like one.
fn pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-zA-Z:/_-]{1,8}",
        Just("*".to_owned()),
        Just("?".to_owned()),
        Just("${aws:username}".to_owned()),
        Just("${aws:PrincipalTag/none, 'red'}".to_owned()),
        Just("${*}".to_owned()),
        Just("${".to_owned()),
        Just("mq:".to_owned()),
        Just("arn:aws:mq:us-east-1:123456789012:broker:".to_owned()),
    ];
    proptest::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}

fn one_or_many(values: impl Strategy<Value = String>) -> impl Strategy<Value = Value> {
    proptest::collection::vec(values, 1..4).prop_map(|values| match values.as_slice() {
        [one] => json!(one),
        many => json!(many),
    })
}

fn condition() -> impl Strategy<Value = Value> {
    let operator = prop_oneof![
        Just("StringEquals"),
        Just("StringNotLike"),
        Just("ForAllValues:StringLike"),
        Just("ForAnyValue:StringNotEquals"),
        Just("ArnLike"),
        Just("NumericLessThanIfExists"),
        Just("DateGreaterThan"),
        Just("Bool"),
        Just("NotIpAddress"),
        Just("Null"),
    ];
    let key = prop_oneof![
        Just("aws:ResourceTag/team"),
        Just("aws:TagKeys"),
        Just("aws:SourceIp"),
        Just("aws:CurrentTime"),
        Just("aws:username"),
        Just("AWS:SECURETRANSPORT"),
    ];
    let value = prop_oneof![
        pattern(),
        Just("true".to_owned()),
        Just("192.0.2.0/24".to_owned()),
        Just("2026-01-01T00:00:00Z".to_owned()),
        Just("-1.5e3".to_owned()),
    ];
    (operator, key, one_or_many(value))
        .prop_map(|(operator, key, value)| json!({operator: {key: value}}))
}

fn statement(of: &'static str) -> impl Strategy<Value = Value> {
    let elements = (
        prop_oneof![Just("Allow"), Just("Deny")],
        prop_oneof![Just("Action"), Just("NotAction")],
        one_or_many(pattern()),
        one_or_many(pattern()),
        proptest::option::of(condition()),
    );
    elements.prop_map(move |(effect, verb, actions, resources, condition)| {
        let mut statement = json!({"Effect": effect, verb: actions});
        statement[of] = match of {
            "Principal" => json!({"AWS": resources}),
            _ => resources,
        };
        if let Some(condition) = condition {
            statement["Condition"] = condition;
        }
        statement
    })
}

fn document(of: &'static str) -> impl Strategy<Value = String> {
    let version = prop_oneof![Just("2012-10-17"), Just("2008-10-17")];
    (version, proptest::collection::vec(statement(of), 1..4)).prop_map(|(version, statements)| {
        json!({"Version": version, "Statement": statements}).to_string()
    })
}

/// Elements of ActiveMQ's configuration in any nesting, permitted or not.
fn xml() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("broker"),
        Just("destinationPolicy"),
        Just("policyMap"),
        Just("policyEntries"),
        Just("policyEntry"),
        Just("plugins"),
        Just("authorizationPlugin"),
        Just("map"),
        Just("cachedLDAPAuthorizationMap"),
        Just("transportConnectors"),
        Just("kahaDB"),
        Just("spring:bean"),
        Just("sslContext"),
    ];
    let attribute = prop_oneof![
        Just(""),
        Just(" topic=\"&gt;\""),
        Just(" queue='a.>'"),
        Just(" value=\"#{1+1}\""),
        Just(" xmlns=\"http://activemq.apache.org/schema/core\""),
        Just(" xmlns:spring=\"urn:s\""),
        Just(" checkpointInterval=\"1\""),
        Just(" queueSearchBase='ou=a'"),
    ];
    let leaf = prop_oneof![
        Just("text &amp; more".to_owned()),
        Just("<!-- a comment -->".to_owned()),
        Just("<![CDATA[ <x> ]]>".to_owned()),
        Just("${expression}".to_owned()),
        Just("\n  ".to_owned()),
    ];
    let tree = leaf.prop_recursive(6, 40, 5, move |inner| {
        (
            name.clone(),
            attribute.clone(),
            attribute.clone(),
            proptest::collection::vec(inner, 0..5),
        )
            .prop_map(|(name, one, two, children)| {
                format!("<{name}{one}{two}>{}</{name}>", children.concat())
            })
    });
    proptest::collection::vec(tree, 0..5).prop_map(|children| {
        format!(
            "<broker xmlns=\"http://activemq.apache.org/schema/core\">{}</broker>",
            children.concat()
        )
    })
}

fn lines(keys: &'static [&'static str]) -> impl Strategy<Value = String> {
    let line = (
        proptest::sample::select(keys),
        prop_oneof![Just(" = "), Just("="), Just(" ")],
        prop_oneof![
            "[ -~]{0,12}",
            "[0-9]{1,11}",
            Just("true".to_owned()),
            Just("'quoted # text'".to_owned())
        ],
        prop_oneof![Just("\n"), Just("\r\n"), Just(" # why\n")],
    );
    let line = line.prop_map(|(key, equals, value, end)| format!("{key}{equals}{value}{end}"));
    proptest::collection::vec(line, 0..6).prop_map(|lines| lines.concat())
}

const RABBITMQ: &[&str] = &[
    "consumer_timeout",
    "heartbeat",
    "management.restrictions.operator_policy_changes.disabled",
    "auth_oauth2.issuer",
    "auth_backends.1",
    "# comment",
    "loopback_users",
];
const LAVINMQ: &[&str] = &[
    "[main]\nsegment_size",
    "[amqp]\nheartbeat",
    "[amqp]\nproxy_protocol_trusted_sources",
    "tcp_keepalive",
    "[mqtt]\nport",
    "[sni:a.example]\ntls_cert",
    "; comment",
];

fn zone() -> impl Strategy<Value = String> {
    let names: Vec<String> = jiff::tz::db()
        .available()
        .map(|name| name.to_string())
        .filter(|name| name.contains('/'))
        .collect();
    prop_oneof![
        proptest::sample::select(names),
        (prop_oneof![Just('+'), Just('-')], 0..24_u8, 0..60_u8)
            .prop_map(|(sign, hours, minutes)| format!("{sign}{hours:02}:{minutes:02}")),
        Just("UTC".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn policies_decide_alike_however_they_are_written(
        document in document("Resource"), action in pattern(), resource in pattern(), value in pattern()
    ) {
        policies(format!("{document}\0{action}\0{resource}\0{value}").as_bytes());
    }

    #[test]
    fn only_a_statement_makes_anyone_trusted(document in document("Principal"), who in pattern()) {
        trust(format!("{document}\0{who}").as_bytes());
    }

    #[test]
    fn sanitising_once_is_enough(text in xml()) {
        activemq(text.as_bytes());
    }

    #[test]
    fn settings_that_are_accepted_act(rabbit in lines(RABBITMQ), lavin in lines(LAVINMQ)) {
        rabbitmq(rabbit.as_bytes());
        lavinmq(lavin.as_bytes());
    }

    #[test]
    fn a_window_opens_every_week_in_every_zone(
        seconds: u32, day in 0..7_usize, hour in 0..24_u8, minute in 0..60_u8, zone in zone()
    ) {
        let day = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"][day];
        let text = format!("{day}\n{hour:02}:{minute:02}\n{zone}");
        windows(&[&seconds.to_le_bytes()[..], text.as_bytes()].concat());
    }

    #[test]
    fn whoever_has_the_secret_can_sign_anything(
        method in "[A-Z]{1,7}",
        path in "(/[ -~]{0,9}){1,4}",
        query in "([a-zA-Z%=+~-]{0,6}(=[a-zA-Z0-9%+/]{0,6})?&?){0,4}",
        header in "[!-~][ -~]{0,20}",
        body in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let path = path.replace([' ', '?'], "_");
        let head = format!(
            "{method} {path}?{query}\nhost:mq.example:8080\nx-amz-date:20270115T080000Z\nx-amz-extra: {header}\n\
             authorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE000000000/20270115/us-east-1/mq/aws4_request, \
             SignedHeaders=host;x-amz-date;x-amz-extra, Signature={}\n\n",
            "0".repeat(64)
        );
        signatures(&[head.as_bytes(), &body].concat());
    }

    #[test]
    fn any_text_is_a_query_a_form_and_perhaps_a_name(text: String) {
        queries(text.as_bytes());
        forms(text.as_bytes());
        names(text.as_bytes());
    }
}
