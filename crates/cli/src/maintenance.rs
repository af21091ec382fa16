//! `maintenance list | show | defer | apply`.

use client::{Maintenance, MaintenanceRun};
use serde_json::{Value, json};

use crate::broker::Target;
use crate::error::Error;
use crate::find;
use crate::output::{self, Format, timestamp};
use crate::session::Session;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the next window of every broker, and what it will apply
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        session: Session,
    },
    /// Show a broker's next window, and what was done in those before
    #[command(visible_alias = "describe")]
    Show {
        #[command(flatten)]
        target: Target,
    },
    /// Put the next window off by a week
    Defer {
        #[command(flatten)]
        target: Target,
    },
    /// Apply what waits for the window now, by a restart
    Apply {
        #[command(flatten)]
        target: Target,
    },
    /// Go back to the engine before, by a restart; refused where that would lose messages
    Rollback {
        #[command(flatten)]
        target: Target,
    },
}

pub(crate) async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::List { session } => {
            let client = session.client()?;
            let mut all = Vec::new();
            for broker in client.list_all_brokers().await? {
                match client.describe_maintenance(&broker.broker_id).await {
                    Ok(maintenance) => all.push(maintenance),
                    // It went while the list was read.
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error.into()),
                }
            }
            all.sort_by_key(|maintenance| maintenance.next_window_start);
            output::print(&render_list(&all, session.output))
        }
        Command::Show { target } => {
            let client = target.session.client()?;
            let id = find::broker_id(&client, &target.broker).await?;
            let maintenance = client.describe_maintenance(&id).await?;
            output::print(&render(&maintenance, target.session.output))
        }
        Command::Defer { target } => {
            let client = target.session.client()?;
            let id = find::broker_id(&client, &target.broker).await?;
            let maintenance = client.defer_maintenance(&id).await?;
            output::print(&render(&maintenance, target.session.output))
        }
        Command::Apply { target } => {
            let client = target.session.client()?;
            let id = find::broker_id(&client, &target.broker).await?;
            let maintenance = client.apply_maintenance(&id).await?;
            output::print(&render(&maintenance, target.session.output))
        }
        Command::Rollback { target } => {
            let client = target.session.client()?;
            let id = find::broker_id(&client, &target.broker).await?;
            let maintenance = client.rollback_maintenance(&id).await?;
            output::print(&render(&maintenance, target.session.output))
        }
    }
}

fn render_list(all: &[Maintenance], format: Format) -> String {
    if format != Format::Table {
        return output::data(format, &json!({ "maintenance": all }));
    }
    let rows = all.iter().map(|maintenance| {
        [
            maintenance.broker_name.clone(),
            timestamp(maintenance.next_window_start),
            changes(&maintenance.pending),
        ]
    });
    output::rows(["BROKER", "NEXT WINDOW", "APPLIES"], rows.collect())
}

fn render(maintenance: &Maintenance, format: Format) -> String {
    if format != Format::Table {
        return output::data(format, maintenance);
    }
    let runs: Vec<String> = maintenance.runs.iter().map(line).collect();
    let mut members = vec![
        ("Broker", maintenance.broker_name.clone()),
        ("Engine", engine(maintenance)),
        ("Next window", timestamp(maintenance.next_window_start)),
        ("Applies", changes(&maintenance.pending)),
        ("Moves left", maintenance.adjustments_left.to_string()),
        ("Before", runs.join("\n")),
    ];
    if let Some(rejected) = &maintenance.rejected_configuration {
        let (id, revision) = (&rejected.id, rejected.revision);
        let text = format!("{id} revision {revision}: {}", rejected.reason);
        members.push(("Rejected", text));
    }
    output::members(members)
}

fn line(run: &MaintenanceRun) -> String {
    let away = run.away_seconds.map(|away| format!(", away {away:.1} s"));
    let reason = run.reason.as_ref().map(|reason| format!(" ({reason})"));
    format!(
        "{} {}: {}{}{}",
        timestamp(run.started),
        run.outcome,
        changes(&run.changes),
        away.unwrap_or_default(),
        reason.unwrap_or_default()
    )
}

/// What serves the broker, for how long, and where it can go back to.
fn engine(maintenance: &Maintenance) -> String {
    let Some(engine) = &maintenance.engine else {
        return "not in the catalogue".to_owned();
    };
    let ends = engine.end_of_support.as_ref();
    let ends = ends.map(|day| format!(", supported until {day}"));
    let back = maintenance.rollback.as_ref().map(|back| {
        format!(
            ", can go back to {} ({})",
            back.engine_version, back.engine_release
        )
    });
    format!(
        "{} ({}){}{}",
        engine.engine_version,
        engine.engine_release,
        ends.unwrap_or_default(),
        back.unwrap_or_default()
    )
}

/// Names and new values; `nothing` when there are none.
fn changes(pending: &Value) -> String {
    let Some(members) = pending.as_object().filter(|members| !members.is_empty()) else {
        return "nothing".to_owned();
    };
    let change = |(name, value): (&String, &Value)| match value.as_str() {
        Some(text) => format!("{name}={text}"),
        None => format!("{name}={value}"),
    };
    members.iter().map(change).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_told_in_a_line() {
        assert_eq!(changes(&json!({})), "nothing");
        assert_eq!(
            changes(&json!({"engine_version": "4.2", "general_logs": true})),
            "engine_version=4.2, general_logs=true"
        );
    }
}
