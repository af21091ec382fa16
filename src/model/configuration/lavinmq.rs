//! LavinMQ's keys: those that act on the engine, and those that are accepted and do nothing.
//!
//! A configuration of LavinMQ's own can be given as it is. Whoever gives it is told which of its keys say nothing to
//! this broker, and why.

use std::collections::BTreeMap;

use super::cuttlefish::Entry;
use super::{Reason, SanitizationWarning};
use crate::model::Invalid;

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Acts(Values),
    Ignored(Why),
}

/// The values that a key accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    /// Whole numbers, both ends included.
    Range(u64, u64),
    Switch,
    Keepalive,
    Sources,
}

/// Why a key does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Where the broker listens, what it keeps where, its certificates, its first login.
    OfService,
    /// It tunes something that this broker does in another way, or not at all.
    NoMechanism,
    /// MQTT, clusters and logins by tokens.
    NotServed,
}

impl Why {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::OfService => "The service decides this.",
            Self::NoMechanism => "This broker has no such mechanism.",
            Self::NotServed => "This broker does not serve this.",
        }
    }
}

use Effect::{Acts, Ignored};
use Why::{NoMechanism, NotServed, OfService};

const BYTES_MAX: u64 = 1 << 50;

const TABLE: [(&str, &str, Effect); 48] = [
    (
        "main",
        "consumer_timeout",
        Acts(Values::Range(0, i32::MAX as u64)),
    ),
    ("main", "free_disk_min", Acts(Values::Range(0, BYTES_MAX))),
    ("main", "free_disk_warn", Acts(Values::Range(0, BYTES_MAX))),
    (
        "main",
        "segment_size",
        Acts(Values::Range(1 << 20, 1 << 30)),
    ),
    ("main", "tcp_nodelay", Acts(Values::Switch)),
    ("main", "tcp_keepalive", Acts(Values::Keepalive)),
    (
        "main",
        "tcp_recv_buffer_size",
        Acts(Values::Range(1024, 1 << 30)),
    ),
    (
        "main",
        "tcp_send_buffer_size",
        Acts(Values::Range(1024, 1 << 30)),
    ),
    ("main", "data_dir", Ignored(OfService)),
    ("main", "data_dir_lock", Ignored(OfService)),
    ("main", "log_level", Ignored(OfService)),
    ("main", "log_file", Ignored(OfService)),
    ("main", "pidfile", Ignored(OfService)),
    ("main", "control_unix_path", Ignored(OfService)),
    ("main", "tls_cert", Ignored(OfService)),
    ("main", "tls_key", Ignored(OfService)),
    ("main", "tls_ciphers", Ignored(OfService)),
    ("main", "tls_min_version", Ignored(OfService)),
    ("main", "tls_keylog_file", Ignored(OfService)),
    ("main", "load_definitions", Ignored(OfService)),
    ("main", "default_user", Ignored(OfService)),
    ("main", "default_password_hash", Ignored(OfService)),
    ("main", "default_user_only_loopback", Ignored(OfService)),
    ("main", "metrics_http_bind", Ignored(OfService)),
    ("main", "metrics_http_port", Ignored(OfService)),
    ("main", "auth_backends", Ignored(OfService)),
    ("main", "tls_ktls", Ignored(NoMechanism)),
    ("main", "stats_interval", Ignored(NoMechanism)),
    ("main", "stats_log_size", Ignored(NoMechanism)),
    ("main", "set_timestamp", Ignored(NoMechanism)),
    ("main", "socket_buffer_size", Ignored(NoMechanism)),
    ("main", "sync", Ignored(NoMechanism)),
    ("main", "max_deleted_definitions", Ignored(NoMechanism)),
    (
        "main",
        "consumer_timeout_loop_interval",
        Ignored(NoMechanism),
    ),
    ("main", "log_exchange", Ignored(NoMechanism)),
    ("main", "default_consumer_prefetch", Ignored(NoMechanism)),
    (
        "main",
        "default_consistent_hash_algorithm",
        Ignored(NoMechanism),
    ),
    ("amqp", "heartbeat", Acts(Values::Range(0, 65_535))),
    ("amqp", "channel_max", Acts(Values::Range(0, 65_535))),
    (
        "amqp",
        "max_message_size",
        Acts(Values::Range(1, 512 << 20)),
    ),
    (
        "amqp",
        "max_consumers_per_channel",
        Acts(Values::Range(0, 1 << 32)),
    ),
    ("amqp", "tcp_proxy_protocol", Acts(Values::Switch)),
    (
        "amqp",
        "proxy_protocol_trusted_sources",
        Acts(Values::Sources),
    ),
    ("amqp", "frame_max", Ignored(NoMechanism)),
    ("amqp", "amqp_systemd_socket_name", Ignored(OfService)),
    ("mgmt", "http_systemd_socket_name", Ignored(OfService)),
    (
        "experimental",
        "yield_each_received_bytes",
        Ignored(NoMechanism),
    ),
    (
        "experimental",
        "yield_each_delivered_bytes",
        Ignored(NoMechanism),
    ),
];

/// In each section of a protocol.
const LISTENERS: [&str; 4] = ["bind", "port", "tls_port", "unix_path"];

/// Sections of which nothing acts.
const NOT_SERVED: [&str; 3] = ["mqtt", "clustering", "oauth"];

/// A key that is accepted and does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IgnoredKey {
    /// `section.key`.
    pub(super) key: String,
    pub(super) why: Why,
}

/// Clients know no other form of telling what of their data says nothing.
impl From<IgnoredKey> for SanitizationWarning {
    fn from(ignored: IgnoredKey) -> Self {
        Self {
            element: format!("{}: {}", ignored.key, ignored.why.text()),
            attribute: None,
            reason: Reason::DisallowedElementRemoved,
        }
    }
}

/// What a text sets, and what of it does nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Checked {
    /// By `section.key`; of a key that is set twice the later value.
    pub(super) settings: BTreeMap<String, String>,
    pub(super) ignored: Vec<IgnoredKey>,
}

/// Checks every setting.
pub(super) fn check(entries: &[Entry]) -> Result<Checked, Invalid> {
    let mut checked = Checked::default();
    for entry in entries {
        let (key, effect) = find(entry)?;
        match effect {
            Acts(values) => {
                check_value(entry, values)?;
                checked.settings.insert(key, entry.value.clone());
            }
            Ignored(why) => checked.ignored.push(IgnoredKey { key, why }),
        }
    }
    Ok(checked)
}

/// The full name of a key, and what becomes of it. A key before any section is that of the only section that has it.
fn find(entry: &Entry) -> Result<(String, Effect), Invalid> {
    let (section, key) = match entry.key.rsplit_once('.') {
        Some((section, key)) => (Some(section), key),
        None => (None, entry.key.as_str()),
    };
    let known = |(name, own, _): &&(&str, &str, Effect)| {
        *own == key && section.is_none_or(|section| section == *name)
    };
    if let Some((section, key, effect)) = TABLE.iter().find(known) {
        return Ok((format!("{section}.{key}"), *effect));
    }
    let ignored = |why| Ok((entry.key.clone(), Ignored(why)));
    match section {
        Some("amqp" | "mgmt") if LISTENERS.contains(&key) => ignored(OfService),
        Some(section) if NOT_SERVED.contains(&section) => ignored(NotServed),
        Some(section) if section.starts_with("sni:") => ignored(OfService),
        Some(_) | None => Err(Invalid::new(
            "data",
            format!(
                "Configuration key [{}] in line [{}] is not supported for broker engine type \
                 [LAVINMQ]. Valid keys are: [{}].",
                entry.key,
                entry.line,
                acting().join(", ")
            ),
        )),
    }
}

fn acting() -> Vec<String> {
    let acting = TABLE.iter().filter(|row| matches!(row.2, Acts(_)));
    acting
        .map(|(section, key, _)| format!("{section}.{key}"))
        .collect()
}

fn check_value(entry: &Entry, values: Values) -> Result<(), Invalid> {
    let value = entry.value.as_str();
    let (is_valid, valid) = match values {
        Values::Range(least, most) => {
            let number = value.parse::<u64>();
            let is_valid = number.is_ok_and(|number| (least..=most).contains(&number));
            (is_valid, format!("{least}-{most}"))
        }
        Values::Switch => {
            let words = ["true", "false", "yes", "no", "1", "2", "0"];
            (words.contains(&value), words.join(", "))
        }
        Values::Keepalive => (
            value == "false" || is_keepalive(value),
            "idle:interval:probes in seconds, false".to_owned(),
        ),
        Values::Sources => (
            value.split(',').map(str::trim).all(is_source),
            "a list of IP addresses and CIDR blocks".to_owned(),
        ),
    };
    if is_valid {
        return Ok(());
    }
    Err(Invalid::new(
        "data",
        format!(
            "Value [{value}] of configuration key [{}] in line [{}] is invalid. Valid values: \
             [{valid}].",
            entry.key, entry.line
        ),
    ))
}

fn is_keepalive(value: &str) -> bool {
    let parts: Vec<Option<u32>> = value.split(':').map(|part| part.parse().ok()).collect();
    matches!(
        parts.as_slice(),
        [Some(1..=32_767), Some(1..=32_767), Some(1..=127)]
    )
}

fn is_source(text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse().unwrap_or(u32::MAX)),
        None => (text, 0),
    };
    let most = match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    prefix <= most
}

#[cfg(test)]
mod tests {
    use super::super::ini;
    use super::*;

    fn check_text(text: &str) -> Result<Checked, Invalid> {
        check(&ini::parse(text)?)
    }

    #[test]
    fn every_key_of_the_table_is_there_once() {
        for (index, (section, key, _)) in TABLE.iter().enumerate() {
            let twin = TABLE[index + 1..].iter().find(|row| row.1 == *key);
            assert_eq!(twin, None, "{section}.{key}");
        }
    }

    #[test]
    fn acting_keys_have_one_name_wherever_they_stand() {
        let text = "heartbeat = 60\nconsumer_timeout = 1800000\n[main]\nfree_disk_min = 1000\n\
                    tcp_keepalive = 60:10:3\n[amqp]\nheartbeat = 300\ntcp_proxy_protocol = yes\n\
                    proxy_protocol_trusted_sources = 10.0.0.1, 192.168.0.0/24, 2001:db8::/32\n";
        let checked = check_text(text).unwrap();
        assert_eq!(
            checked.settings["amqp.heartbeat"], "300",
            "the later one counts"
        );
        assert_eq!(checked.settings["main.consumer_timeout"], "1800000");
        assert_eq!(checked.settings.len(), 6);
        assert_eq!(checked.ignored, []);
    }

    #[test]
    fn keys_that_do_nothing_are_accepted_and_told() {
        let text = "[main]\ndata_dir = /var/lib/lavinmq\nset_timestamp = true\n\
                    [mqtt]\nport = 1883\n[amqp]\nport = 5672\n[mgmt]\nunix_path = /tmp/s\n\
                    [clustering]\nenabled = true\n[sni:a.example]\ntls_cert = /c\n";
        let checked = check_text(text).unwrap();
        let ignored: Vec<_> = checked
            .ignored
            .iter()
            .map(|ignored| (ignored.key.as_str(), ignored.why))
            .collect();
        let expected = [
            ("main.data_dir", OfService),
            ("main.set_timestamp", NoMechanism),
            ("mqtt.port", NotServed),
            ("amqp.port", OfService),
            ("mgmt.unix_path", OfService),
            ("clustering.enabled", NotServed),
            ("sni:a.example.tls_cert", OfService),
        ];
        assert_eq!(ignored, expected);
        assert!(checked.settings.is_empty());
    }

    #[test]
    fn unknown_keys_and_values_that_do_not_suit_are_refused() {
        let refused = |text: &str| check_text(text).unwrap_err().message;
        assert!(refused("[main]\nheartbeat = 60").starts_with(
            "Configuration key [main.heartbeat] in line [2] is not supported for broker engine \
             type [LAVINMQ]. Valid keys are: [main.consumer_timeout, main.free_disk_min,"
        ));
        assert_eq!(
            refused("[amqp]\nheartbeat = 65536"),
            "Value [65536] of configuration key [amqp.heartbeat] in line [2] is invalid. Valid \
             values: [0-65535]."
        );
        for text in [
            "port = 5672",
            "[main]\ntcp_keepalive = 60:10",
            "[main]\ntcp_keepalive = 0:10:3",
            "[main]\ntcp_nodelay = maybe",
            "[main]\nsegment_size = 1",
            "[amqp]\nproxy_protocol_trusted_sources = 10.0.0.0/33",
            "[amqp]\nproxy_protocol_trusted_sources =",
            "[nothing]\nkey = 1",
        ] {
            check_text(text).unwrap_err();
        }
    }
}
