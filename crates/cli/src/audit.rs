//! `audit list`: who called what.

use client::AuditFilter;
use serde_json::{Value, json};

use crate::error::Error;
use crate::output::{self, Format};
use crate::session::Session;

const PAGE: u32 = 100;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List calls, newest first: changes, reads and refusals
    #[command(visible_alias = "ls")]
    List(Box<List>),
}

#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    session: Session,
    /// Calls of this operation, such as CreateBroker
    #[arg(long, value_name = "OPERATION")]
    operation: Option<String>,
    /// Calls by whom
    #[arg(long, value_name = "ARN")]
    principal: Option<String>,
    /// Calls that changed this
    #[arg(long, value_name = "ARN")]
    resource: Option<String>,
    /// Only calls that meant to change something
    #[arg(long)]
    changes: bool,
    /// Not before this time, in ISO 8601
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time, in ISO 8601
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How many calls at most
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
}

pub(crate) async fn run(command: Command) -> Result<(), Error> {
    let Command::List(list) = command;
    let client = list.session.client()?;
    let filter = AuditFilter {
        event_name: list.operation,
        principal_arn: list.principal,
        resource_arn: list.resource,
        read_only: list.changes.then_some(false),
        start_time: list.since,
        end_time: list.until,
    };
    let (mut events, mut token) = (Vec::new(), None);
    while events.len() < list.limit {
        let page = client
            .list_audit_events(&filter, Some(PAGE), token.as_deref())
            .await?;
        events.extend(page.events);
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    events.truncate(list.limit);
    output::print(&render(&events, list.session.output))
}

fn render(events: &[Value], format: Format) -> String {
    if format != Format::Table {
        return output::data(format, &json!({ "events": events }));
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = events.iter().map(|event| {
        let outcome = event["errorCode"].as_str().unwrap_or("ok").to_owned();
        [
            text(&event["eventTime"]),
            text(&event["eventName"]),
            text(&event["userIdentity"]["arn"]),
            text(&event["sourceIPAddress"]),
            outcome,
        ]
    });
    output::rows(
        ["TIME", "OPERATION", "PRINCIPAL", "FROM", "OUTCOME"],
        rows.collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_a_success() {
        let call = |error: Value| {
            json!({"eventTime": "2026-01-01T00:00:00Z", "eventName": "DeleteBroker",
                   "userIdentity": {"arn": "arn:aws:iam::1:user/a"}, "sourceIPAddress": "::1",
                   "errorCode": error})
        };
        let printed = render(
            &[call(Value::Null), call(json!("AccessDeniedException"))],
            Format::Table,
        );
        let lines: Vec<&str> = printed.lines().collect();
        assert!(lines[1].ends_with("ok"), "{printed}");
        assert!(lines[2].ends_with("AccessDeniedException"), "{printed}");
    }
}
