//! Configurations of brokers, in each engine's format.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::model::{
    broker::AuthenticationStrategy,
    configuration::{CheckedData, check_data, node_settings},
    engine::{EngineType, EngineVersion},
};

/// `rabbitmq.conf`.
pub fn rabbitmq(bytes: &[u8]) {
    for version in ["3.10", "3.13", "4.2"] {
        unchanged(bytes, EngineType::RabbitMq, version);
    }
}

/// LavinMQ's configuration file.
pub fn lavinmq(bytes: &[u8]) {
    unchanged(bytes, EngineType::LavinMq, "2.9");
}

/// What is accepted is kept byte for byte, and a node can be set up with it.
fn unchanged(bytes: &[u8], engine: EngineType, version: &str) {
    let version = EngineVersion::parse(version).expect("a version");
    let data = STANDARD.encode(bytes);
    let checked = check_data(
        data.clone(),
        engine,
        &version,
        AuthenticationStrategy::Simple,
    );
    let Ok(checked) = checked else {
        return;
    };
    assert_eq!(checked.data, data);
    let settings = node_settings(&data, engine, &version).expect("what is accepted acts");
    for (key, value) in &settings {
        let is_plain = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        assert!(is_plain(key), "{key:?}");
        assert!(!value.chars().any(char::is_control), "{value:?}");
    }
}

/// `activemq.xml`. What is left after sanitising needs none, and there are few warnings.
pub fn activemq(bytes: &[u8]) {
    for strategy in [AuthenticationStrategy::Simple, AuthenticationStrategy::Ldap] {
        let Ok(once) = sanitised(STANDARD.encode(bytes), strategy) else {
            continue;
        };
        assert!(once.warnings.len() <= 20);
        let again =
            sanitised(once.data.clone(), strategy).expect("what is left is a configuration");
        assert_eq!(again.data, once.data);
        assert_eq!(again.warnings, []);
        assert!(once.data.len() <= STANDARD.encode(bytes).len());
    }
}

fn sanitised(
    data: String,
    strategy: AuthenticationStrategy,
) -> Result<CheckedData, crate::model::Invalid> {
    let version = EngineVersion::parse("5.19").expect("a version");
    check_data(data, EngineType::ActiveMq, &version, strategy)
}
