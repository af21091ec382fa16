//! What the owner of a broker may set: a JSON object of keys and values, read once at the start.
//!
//! Owns which keys there are for a product, their ranges, and what they mean. RabbitMQ's keys are those of
//! `rabbitmq.conf`; LavinMQ's are `section.key` of its INI file. Knows no file: a text is settings or is refused whole,
//! so that a broker is never started on half of what its owner wrote.

mod lavinmq;
mod rabbitmq;
mod trusted;
mod value;

use std::collections::BTreeMap;
use std::time::Duration;

pub use self::trusted::{Network, TrustedSources};
use crate::options::Profile;

/// What is set; what is not has the product's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// How long a consumer may keep a delivery; 0 for ever.
    pub consumer_timeout_ms: Option<u64>,
    /// The heartbeat interval suggested to clients; 0 for none.
    pub heartbeat_s: Option<u16>,
    /// Channels of one connection.
    pub channels_max: Option<u16>,
    /// Bytes of the largest message body.
    pub message_size_max: Option<u64>,
    /// Consumers of one channel; 0 for any number.
    pub consumers_per_channel_max: Option<u64>,
    /// Nobody changes operator policies over the management API.
    pub operator_policies_fixed: bool,
    /// A quorum queue may be declared again with another type.
    pub relaxed_redeclaration: bool,
    /// Management answers carry the headers that keep browsers from harm.
    pub security_headers: bool,
    /// Free bytes of the volume below which publishers are blocked.
    pub disk_free_min: Option<u64>,
    /// Free bytes of the volume below which a warning is logged.
    pub disk_free_warn: Option<u64>,
    /// Bytes of a file of the log.
    pub segment_size: Option<u64>,
    pub socket: SocketSettings,
    /// Whose PROXY headers are believed; `None` when nobody sends any.
    pub proxy: Option<TrustedSources>,
}

/// How sockets of AMQP clients are set up. What is not said is as the system has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketSettings {
    pub nodelay: Option<bool>,
    pub keepalive: Option<Keepalive>,
    pub receive_buffer_bytes: Option<usize>,
    pub send_buffer_bytes: Option<usize>,
}

/// When a silent peer is asked whether it lives, and when it counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keepalive {
    Off,
    On {
        idle: Duration,
        interval: Duration,
        probes: u32,
    },
}

/// Why a text is no settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("not a JSON object of texts")]
    Syntax,
    #[error("unknown setting '{0}'")]
    Unknown(String),
    #[error("setting '{key}': '{value}' is not {expected}")]
    Value {
        key: String,
        value: String,
        expected: &'static str,
    },
}

impl Settings {
    /// Reads a JSON object of keys and values, both texts.
    ///
    /// # Errors
    /// When a key is not known to the product, or its value does not suit.
    pub fn parse(text: &str, profile: Profile) -> Result<Self, Error> {
        let entries: BTreeMap<String, String> =
            serde_json::from_str(text).map_err(|_| Error::Syntax)?;
        let mut settings = Self::default();
        for (key, value) in &entries {
            let entry = value::Entry { key, value };
            match profile {
                Profile::RabbitMq313 | Profile::RabbitMq42 => rabbitmq::set(&mut settings, entry)?,
                Profile::LavinMq29 => lavinmq::set(&mut settings, entry)?,
            }
        }
        if let Some(proxy) = lavinmq::proxy(&entries)? {
            settings.proxy = (profile == Profile::LavinMq29).then_some(proxy);
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(profile: Profile, text: &str) -> Result<Settings, String> {
        Settings::parse(text, profile).map_err(|error| error.to_string())
    }

    #[test]
    fn rabbitmq_keys_are_read_and_none_of_them_is_lavinmqs() {
        let text = r#"{"consumer_timeout": "0", "heartbeat": "600",
            "management.restrictions.operator_policy_changes.disabled": "true",
            "quorum_queue.property_equivalence.relaxed_checks_on_redeclaration": "true",
            "secure.management.http.headers.enabled": "true",
            "auth_oauth2.issuer": "https://idp.example.org"}"#;
        let expected = Settings {
            consumer_timeout_ms: Some(0),
            heartbeat_s: Some(600),
            operator_policies_fixed: true,
            relaxed_redeclaration: true,
            security_headers: true,
            ..Settings::default()
        };
        assert_eq!(parse(Profile::RabbitMq42, text), Ok(expected));
        assert_eq!(
            parse(Profile::LavinMq29, text).unwrap_err(),
            "unknown setting 'auth_oauth2.issuer'"
        );
    }

    #[test]
    fn lavinmq_keys_have_their_section() {
        let text = r#"{"main.consumer_timeout": "5000", "main.free_disk_min": "1000",
            "main.free_disk_warn": "2000", "main.segment_size": "8388608",
            "main.tcp_nodelay": "yes", "main.tcp_keepalive": "60:10:3",
            "main.tcp_recv_buffer_size": "65536", "main.tcp_send_buffer_size": "32768",
            "amqp.heartbeat": "300", "amqp.channel_max": "100", "amqp.max_message_size": "1024",
            "amqp.max_consumers_per_channel": "7", "amqp.tcp_proxy_protocol": "1",
            "amqp.proxy_protocol_trusted_sources": "10.0.0.1, 192.168.0.0/24"}"#;
        let settings = parse(Profile::LavinMq29, text).unwrap();
        let proxy = settings.proxy.clone().unwrap();
        assert!(proxy.includes("192.168.0.200".parse().unwrap()));
        assert!(!proxy.includes("10.0.0.2".parse().unwrap()));
        let expected = Settings {
            consumer_timeout_ms: Some(5000),
            heartbeat_s: Some(300),
            channels_max: Some(100),
            message_size_max: Some(1024),
            consumers_per_channel_max: Some(7),
            disk_free_min: Some(1000),
            disk_free_warn: Some(2000),
            segment_size: Some(8 << 20),
            socket: SocketSettings {
                nodelay: Some(true),
                keepalive: Some(Keepalive::On {
                    idle: Duration::from_secs(60),
                    interval: Duration::from_secs(10),
                    probes: 3,
                }),
                receive_buffer_bytes: Some(65_536),
                send_buffer_bytes: Some(32_768),
            },
            proxy: Some(proxy),
            ..Settings::default()
        };
        assert_eq!(settings, expected);
        assert_eq!(
            parse(Profile::RabbitMq42, r#"{"amqp.heartbeat": "300"}"#).unwrap_err(),
            "unknown setting 'amqp.heartbeat'"
        );
    }

    #[test]
    fn one_value_that_does_not_suit_refuses_the_whole_text() {
        let refused = [
            (Profile::RabbitMq42, r#"{"heartbeat": "65536"}"#),
            (Profile::RabbitMq42, r#"{"heartbeat": 60}"#),
            (Profile::RabbitMq42, r#"{"consumer_timeout": "-1"}"#),
            (Profile::RabbitMq42, "heartbeat = 60"),
            (Profile::LavinMq29, r#"{"main.tcp_keepalive": "60:10"}"#),
            (Profile::LavinMq29, r#"{"main.tcp_nodelay": "maybe"}"#),
            (Profile::LavinMq29, r#"{"main.segment_size": "10"}"#),
            (
                Profile::LavinMq29,
                r#"{"amqp.proxy_protocol_trusted_sources": "10.0.0.0/33"}"#,
            ),
        ];
        for (profile, text) in refused {
            assert!(parse(profile, text).is_err(), "{text}");
        }
        assert_eq!(
            parse(Profile::RabbitMq42, r#"{"heartbeat": "x"}"#).unwrap_err(),
            "setting 'heartbeat': 'x' is not a whole number from 0 to 65535"
        );
    }

    #[test]
    fn proxy_headers_are_believed_only_when_they_are_asked_for() {
        let off = r#"{"amqp.proxy_protocol_trusted_sources": "10.0.0.1"}"#;
        assert_eq!(parse(Profile::LavinMq29, off).unwrap().proxy, None);
        let all = r#"{"amqp.tcp_proxy_protocol": "true"}"#;
        let proxy = parse(Profile::LavinMq29, all).unwrap().proxy.unwrap();
        assert!(proxy.includes("203.0.113.9".parse().unwrap()));
    }
}
