//! `broker list | show | reboot | delete | wait`, and the way to the larger ones.

use std::time::Duration;

use client::{BrokerSummary, Client, ConfigurationRef, DescribeBrokerOutput};
use serde_json::json;

use crate::connect_info::ConnectInfo;
use crate::create::Create;
use crate::error::Error;
use crate::find;
use crate::output::{self, Format};
use crate::session::Session;
use crate::update::Update;
use crate::wait::{Goal, wait};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Create a broker
    Create(Box<Create>),
    /// List the brokers of the account in the region
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        session: Session,
    },
    /// Show one broker
    #[command(visible_alias = "describe")]
    Show {
        #[command(flatten)]
        target: Target,
    },
    /// Change a broker: its window and minor upgrades at once, all else by the next reboot
    Update(Box<Update>),
    /// Restart a broker: its nodes become new processes on the same data
    Reboot {
        #[command(flatten)]
        target: Target,
        /// Wait until it is running again
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        timeout: Timeout,
    },
    /// Delete a broker with all its messages
    #[command(visible_alias = "rm")]
    Delete {
        #[command(flatten)]
        target: Target,
        /// Wait until it is gone
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        timeout: Timeout,
    },
    /// Wait until a broker is running, or gone
    Wait {
        #[command(flatten)]
        target: Target,
        /// What to wait for
        #[arg(long = "for", value_enum, value_name = "GOAL", default_value_t = Goal::Running)]
        goal: Goal,
        #[command(flatten)]
        timeout: Timeout,
    },
    /// Print how to connect: AMQP URI, CA file, and a Python program that does
    ConnectInfo(Box<ConnectInfo>),
}

#[derive(Debug, clap::Args)]
pub struct Target {
    /// Name or id of the broker
    #[arg(value_name = "BROKER")]
    pub(crate) broker: String,
    #[command(flatten)]
    pub(crate) session: Session,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Timeout {
    /// Longest wait, in seconds
    #[arg(long = "timeout", value_name = "SECONDS", default_value_t = 600)]
    timeout_s: u64,
}

impl Timeout {
    pub(crate) fn duration(self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }
}

pub(crate) async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Create(create) => create.run().await,
        Command::List { session } => {
            let brokers = session.client()?.list_all_brokers().await?;
            output::print(&render_list(&brokers, session.output))
        }
        Command::Show { target } => {
            let broker = find::broker(&target.session.client()?, &target.broker).await?;
            output::print(&render_broker(&broker, target.session.output))
        }
        Command::Update(update) => update.run().await,
        Command::Reboot {
            target,
            wait,
            timeout,
        } => {
            let (client, id) = target.find().await?;
            client.reboot_broker(&id).await?;
            finish(
                &client,
                &target,
                &id,
                wait.then_some(Goal::Running),
                timeout,
            )
            .await
        }
        Command::Delete {
            target,
            wait,
            timeout,
        } => {
            let (client, id) = target.find().await?;
            client.delete_broker(&id).await?;
            finish(
                &client,
                &target,
                &id,
                wait.then_some(Goal::Deleted),
                timeout,
            )
            .await
        }
        Command::Wait {
            target,
            goal,
            timeout,
        } => {
            let client = target.session.client()?;
            let id = match find::broker_id(&client, &target.broker).await {
                Ok(id) => id,
                Err(Error::NoBroker(_)) if goal == Goal::Deleted => return Ok(()),
                Err(error) => return Err(error),
            };
            wait(&client, &id, &target.broker, goal, timeout.duration()).await
        }
        Command::ConnectInfo(connect_info) => connect_info.run().await,
    }
}

impl Target {
    async fn find(&self) -> Result<(Client, String), Error> {
        let client = self.session.client()?;
        let id = find::broker_id(&client, &self.broker).await?;
        Ok((client, id))
    }
}

/// Waits if asked to, then says which broker it was.
async fn finish(
    client: &Client,
    target: &Target,
    id: &str,
    goal: Option<Goal>,
    timeout: Timeout,
) -> Result<(), Error> {
    if let Some(goal) = goal {
        wait(client, id, &target.broker, goal, timeout.duration()).await?;
    }
    output::print(&match target.session.output {
        format @ (Format::Json | Format::Yaml) => output::data(format, &json!({ "brokerId": id })),
        Format::Table => id.to_owned(),
    })
}

fn render_list(brokers: &[BrokerSummary], format: Format) -> String {
    if format != Format::Table {
        return output::data(format, &json!({ "brokerSummaries": brokers }));
    }
    let row = |broker: &BrokerSummary| {
        [
            broker.broker_name.clone(),
            broker.broker_state.to_string(),
            broker.engine_type.clone(),
            broker.host_instance_type.clone(),
            output::timestamp(broker.created),
            broker.broker_id.clone(),
        ]
    };
    let header = ["NAME", "STATE", "ENGINE", "INSTANCE TYPE", "CREATED", "ID"];
    output::rows(header, brokers.iter().map(row).collect())
}

fn render_broker(broker: &DescribeBrokerOutput, format: Format) -> String {
    if format != Format::Table {
        return output::data(format, broker);
    }
    let lines = |items: Vec<String>| items.join("\n");
    let engine = match &broker.engine_version {
        Some(version) => format!("{} {version}", broker.engine_type),
        None => broker.engine_type.clone(),
    };
    let mut members = vec![
        ("Name", broker.broker_name.clone()),
        ("State", broker.broker_state.to_string()),
        ("Engine", engine),
        (
            "Instance type",
            broker.host_instance_type.clone().unwrap_or_default(),
        ),
        ("Deployment", broker.deployment_mode.clone()),
        ("Created", output::timestamp(broker.created)),
        ("Id", broker.broker_id.clone()),
        ("ARN", broker.broker_arn.clone()),
    ];
    let instances = &broker.broker_instances;
    let endpoints = instances
        .iter()
        .flat_map(|instance| instance.endpoints.clone())
        .collect();
    let consoles = instances
        .iter()
        .filter_map(|instance| instance.console_url.clone())
        .collect();
    let users = broker
        .users
        .iter()
        .map(|user| user.username.clone())
        .collect();
    let tags = broker
        .tags
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let configuration = &broker.configurations;
    let configuration = configuration.current.iter().map(revision).collect();
    let pending = pending(broker);
    for (name, values) in [
        ("Configuration", configuration),
        ("Pending", pending),
        ("Endpoints", endpoints),
        ("Console", consoles),
        ("Users", users),
        ("Tags", tags),
    ] {
        let values: Vec<String> = values;
        if !values.is_empty() {
            members.push((name, lines(values)));
        }
    }
    output::members(members)
}

/// What the next reboot will change.
fn pending(broker: &DescribeBrokerOutput) -> Vec<String> {
    let engine = broker.pending_engine_version.as_ref();
    let instance = broker.pending_host_instance_type.as_ref();
    let configuration = broker.configurations.pending.as_ref();
    [
        engine.map(|version| format!("engine version {version}")),
        instance.map(|name| format!("instance type {name}")),
        configuration.map(|next| format!("configuration {}", revision(next))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn revision(configuration: &ConfigurationRef) -> String {
    match configuration.revision {
        Some(revision) => format!("{}:{revision}", configuration.id),
        None => configuration.id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROKER: &str = r#"{
        "brokerArn": "arn:aws:mq:us-east-1:000000000000:broker:orders:b-1",
        "brokerId": "b-1", "brokerName": "orders", "brokerState": "RUNNING",
        "created": "2026-03-04T05:06:07.123Z", "deploymentMode": "SINGLE_INSTANCE",
        "engineType": "RabbitMQ", "engineVersion": "4.2", "hostInstanceType": "mq.m7g.medium",
        "brokerInstances": [{"consoleURL": "https://127.0.0.2:15671",
                             "endpoints": ["amqps://127.0.0.2:5671"], "ipAddress": "127.0.0.2"}],
        "users": [{"username": "admin"}], "tags": {"team": "blue"}, "somethingNew": 1
    }"#;

    #[test]
    fn a_broker_shows_what_one_needs_to_reach_it() {
        let broker: DescribeBrokerOutput = serde_json::from_str(BROKER).unwrap();
        let text = render_broker(&broker, Format::Table);
        let members = [
            "Engine         RabbitMQ 4.2",
            "Endpoints      amqps://127.0.0.2:5671",
            "Console        https://127.0.0.2:15671",
            "Users          admin",
            "Tags           team=blue",
            "Created        2026-03-04 05:06:07 UTC",
        ];
        for member in members {
            assert!(
                text.lines().any(|line| line == member),
                "{member} is not in\n{text}"
            );
        }
    }

    #[test]
    fn json_is_the_apis_own_spelling() {
        let broker: DescribeBrokerOutput = serde_json::from_str(BROKER).unwrap();
        let text = render_broker(&broker, Format::Json);
        assert!(
            text.contains(r#""consoleURL": "https://127.0.0.2:15671""#),
            "{text}"
        );
        let summary: BrokerSummary = serde_json::from_str(BROKER).unwrap();
        let text = render_list(&[summary], Format::Json);
        assert!(text.contains(r#""brokerSummaries": ["#), "{text}");
    }

    #[test]
    fn a_list_starts_with_the_name() {
        let summary: BrokerSummary = serde_json::from_str(BROKER).unwrap();
        let text = render_list(&[summary], Format::Table);
        assert!(
            text.lines()
                .nth(1)
                .unwrap()
                .starts_with("orders  RUNNING  RabbitMQ"),
            "{text}"
        );
    }
}
