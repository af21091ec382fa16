//! `broker update`.

use client::{ConfigurationRef, Logs, UpdateBroker, WeeklyStartTime};
use serde_json::{Value, json};

use crate::broker::Target;
use crate::error::Error;
use crate::find;
use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub struct Update {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    changes: Changes,
}

/// At least one of them.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Changes {
    /// Version that clients see: a newer patch, or the next minor version
    #[arg(long, value_name = "VERSION")]
    engine_version: Option<String>,
    /// How large the broker is
    #[arg(long, value_name = "TYPE")]
    instance_type: Option<String>,
    /// Id of a configuration, and its revision; the latest if not given
    #[arg(long, value_name = "ID[:REVISION]", value_parser = parse_configuration)]
    configuration: Option<ConfigurationRef>,
    /// Whether the broker's log is kept for its owner
    #[arg(long, value_name = "BOOL")]
    general_logs: Option<bool>,
    /// Security group; may be repeated, and replaces those there are
    #[arg(long = "security-group", value_name = "ID")]
    security_groups: Vec<String>,
    /// Whether new patch versions are applied in the maintenance window; at once
    #[arg(long, value_name = "BOOL")]
    auto_minor_version_upgrade: Option<bool>,
    /// Start of the maintenance window, such as `SUNDAY 03:00 Europe/Oslo`; at once
    #[arg(long, value_name = "DAY HH:MM [ZONE]", value_parser = parse_window)]
    maintenance_window: Option<WeeklyStartTime>,
}

fn parse_configuration(text: &str) -> Result<ConfigurationRef, String> {
    let (id, revision) = match text.split_once(':') {
        Some((id, revision)) => {
            let number = revision.parse().ok().filter(|number| *number > 0);
            let number = number.ok_or_else(|| format!("{revision:?} is no revision"))?;
            (id, Some(number))
        }
        None => (text, None),
    };
    Ok(ConfigurationRef {
        id: id.to_owned(),
        revision,
    })
}

fn parse_window(text: &str) -> Result<WeeklyStartTime, String> {
    let words: Vec<_> = text.split_whitespace().collect();
    let (day, time, zone) = match words.as_slice() {
        [day, time] => (day, time, None),
        [day, time, zone] => (day, time, Some((*zone).to_owned())),
        _ => return Err(format!("{text:?} is not of the form DAY HH:MM [ZONE]")),
    };
    Ok(WeeklyStartTime {
        day_of_week: day.to_uppercase(),
        time_of_day: (*time).to_owned(),
        time_zone: zone,
    })
}

impl Changes {
    fn request(&self) -> UpdateBroker {
        let groups = &self.security_groups;
        UpdateBroker {
            auto_minor_version_upgrade: self.auto_minor_version_upgrade,
            configuration: self.configuration.clone(),
            engine_version: self.engine_version.clone(),
            host_instance_type: self.instance_type.clone(),
            logs: self.general_logs.map(|general| Logs { general }),
            maintenance_window_start_time: self.maintenance_window.clone(),
            security_groups: (!groups.is_empty()).then(|| groups.clone()),
        }
    }
}

impl Update {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let client = self.target.session.client()?;
        let id = find::broker_id(&client, &self.target.broker).await?;
        let changed = client.update_broker(&id, &self.changes.request()).await?;
        output::print(&render(&id, &changed, self.target.session.output))
    }
}

fn render(id: &str, changed: &UpdateBroker, format: Format) -> String {
    if format != Format::Table {
        let mut answer = serde_json::to_value(changed).unwrap_or_default();
        answer["brokerId"] = json!(id);
        return output::data(format, &answer);
    }
    let staged = changed.engine_version.is_some()
        || changed.host_instance_type.is_some()
        || changed.configuration.is_some()
        || changed.logs.is_some()
        || changed.security_groups.is_some();
    let note = if staged {
        "\nWhat differs from now is applied by the next reboot."
    } else {
        ""
    };
    let members = match serde_json::to_value(changed) {
        Ok(Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    };
    let mut lines = vec![("brokerId", id.to_owned())];
    let text = |value: &Value| {
        let text = value.as_str().map(str::to_owned);
        text.unwrap_or_else(|| value.to_string())
    };
    lines.extend(
        members
            .iter()
            .map(|(name, value)| (name.as_str(), text(value))),
    );
    format!("{}{note}", output::members(lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_may_name_its_revision() {
        let latest = parse_configuration("c-1").unwrap();
        assert_eq!((latest.id.as_str(), latest.revision), ("c-1", None));
        assert_eq!(parse_configuration("c-1:3").unwrap().revision, Some(3));
        for text in ["c-1:", "c-1:x", "c-1:0"] {
            assert!(parse_configuration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_window_is_a_day_a_time_and_perhaps_a_zone() {
        let window = parse_window("sunday 03:00 Europe/Oslo").unwrap();
        assert_eq!(window.day_of_week, "SUNDAY");
        assert_eq!(window.time_zone.as_deref(), Some("Europe/Oslo"));
        assert_eq!(parse_window("MONDAY 10:30").unwrap().time_zone, None);
        assert!(parse_window("MONDAY").is_err());
    }

    #[test]
    fn what_waits_for_a_reboot_is_said() {
        let staged = UpdateBroker {
            engine_version: Some("4.2".to_owned()),
            ..UpdateBroker::default()
        };
        let text = render("b-1", &staged, Format::Table);
        assert!(
            text.contains("engineVersion  4.2") && text.contains("next reboot"),
            "{text}"
        );
        let at_once = UpdateBroker {
            auto_minor_version_upgrade: Some(true),
            ..UpdateBroker::default()
        };
        assert!(!render("b-1", &at_once, Format::Table).contains("reboot"));
        assert!(render("b-1", &staged, Format::Json).contains(r#""brokerId": "b-1""#));
    }
}
