//! The format of LavinMQ's configuration file: `[section]` lines, `key = value`, comments behind `#` and `;`.
//!
//! Reads syntax alone; which keys there may be is the `lavinmq` beside this file.

use super::cuttlefish::Entry;
use crate::model::Invalid;

/// The settings of a text as `section.key`, in its order; those before any section as `key`.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, Invalid> {
    let mut entries = Vec::new();
    let mut section = None;
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let refused = |reason: &str| {
            Invalid::new(
                "data",
                format!("Line [{line_number}] of the configuration is invalid. {reason}"),
            )
        };
        if let Some(rest) = line.strip_prefix('[') {
            let name = rest.strip_suffix(']').map(str::trim);
            let name = name.filter(|name| is_name(name, b"-_.:*"));
            section = Some(name.ok_or_else(|| refused("A section is a name in brackets."))?);
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| refused("Specify settings in the format [key = value]."))?;
        let key = key.trim();
        if !is_name(key, b"-_") {
            return Err(refused(
                "A key consists of letters, digits, dashes and underscores.",
            ));
        }
        let value = value
            .find(" #")
            .map_or(value, |comment| &value[..comment])
            .trim();
        if value.chars().any(char::is_control) {
            return Err(refused("The value contains control characters."));
        }
        entries.push(Entry {
            key: section.map_or_else(|| key.to_owned(), |section| format!("{section}.{key}")),
            value: value.to_owned(),
            line: line_number,
        });
    }
    Ok(entries)
}

fn is_name(text: &str, extra: &[u8]) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_carry_their_section() {
        let text = "heartbeat = 60\n; a comment\n[main]\r\nsegment_size=1048576 # small\nlog_file =\n\
                    [ amqp ]\n# another\nheartbeat = 300\n[sni:a.example.org]\ntls_cert = /c\n";
        let read: Vec<_> = parse(text).unwrap();
        let pairs: Vec<_> = read
            .iter()
            .map(|e| (e.key.as_str(), e.value.as_str(), e.line))
            .collect();
        let expected = [
            ("heartbeat", "60", 1),
            ("main.segment_size", "1048576", 4),
            ("main.log_file", "", 5),
            ("amqp.heartbeat", "300", 8),
            ("sni:a.example.org.tls_cert", "/c", 10),
        ];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn what_is_no_setting_is_refused_by_its_line() {
        for text in [
            "heartbeat",
            "[main",
            "[]",
            "a.b = 1",
            "= 1",
            "a = \u{7}",
            "[a b]",
        ] {
            let refused = parse(&format!("[main]\n{text}")).unwrap_err();
            let line = "Line [2] of the configuration is invalid. ";
            assert!(refused.message.starts_with(line), "{}", refused.message);
        }
    }
}
