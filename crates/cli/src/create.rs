//! `broker create`.

use std::collections::BTreeMap;

use client::{Client, CreateBroker, User};
use serde::Serialize;

use crate::error::Error;
use crate::output::{self, Format};
use crate::password::{Password, PasswordArgs};
use crate::session::Session;
use crate::tags::{Tag, parse_tag};
use crate::wait::{Goal, wait};

#[derive(Debug, clap::Args)]
pub struct Create {
    /// Name of the broker, unique in the account and region: 1 to 50 letters, digits, - and _
    name: String,
    /// Engine type: RABBITMQ or LAVINMQ
    #[arg(long, value_name = "TYPE", default_value = "RABBITMQ")]
    engine: String,
    /// Version that clients see; the newest if not given
    #[arg(long, value_name = "VERSION")]
    engine_version: Option<String>,
    /// How large the broker is
    #[arg(long, value_name = "TYPE", default_value = "mq.m7g.medium")]
    instance_type: String,
    /// How many nodes, and where
    #[arg(long, value_name = "MODE", default_value = "SINGLE_INSTANCE")]
    deployment_mode: String,
    /// Name of the broker's first user, an administrator
    #[arg(long, value_name = "NAME", default_value = "admin")]
    user: String,
    #[command(flatten)]
    password: PasswordArgs,
    /// Let it be reached from outside its network
    #[arg(long)]
    public: bool,
    /// Tag of the broker; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = parse_tag)]
    tags: Vec<Tag>,
    /// Idempotency token: a repeated call with the same one creates nothing new
    #[arg(long, value_name = "TOKEN")]
    creator_request_id: Option<String>,
    /// Wait until it is running
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    timeout: crate::broker::Timeout,
    #[command(flatten)]
    session: Session,
}

/// The API's answer, and what only this call knows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created<'a> {
    broker_arn: &'a str,
    broker_id: &'a str,
    username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
}

impl Create {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let client = self.session.client()?;
        let (password, generated) = match self.password.password()? {
            Password::Given(password) => (password, None),
            Password::Generated(password) => (password.clone(), Some(password)),
        };
        let broker = self.create(&client, password).await?;
        // Before the wait: whatever comes of it, a generated password is not shown again.
        let created = Created {
            broker_arn: &broker.broker_arn,
            broker_id: &broker.broker_id,
            username: &self.user,
            password: generated.as_deref(),
        };
        output::print(&render(&created, self.session.output))?;
        if self.wait {
            wait(
                &client,
                &broker.broker_id,
                &self.name,
                Goal::Running,
                self.timeout.duration(),
            )
            .await?;
        }
        Ok(())
    }

    async fn create(
        &self,
        client: &Client,
        password: String,
    ) -> Result<client::CreateBrokerOutput, Error> {
        let token = match &self.creator_request_id {
            Some(token) => token.clone(),
            None => token()?,
        };
        let request = CreateBroker {
            broker_name: self.name.clone(),
            creator_request_id: token,
            engine_type: self.engine.clone(),
            engine_version: self.engine_version.clone(),
            deployment_mode: self.deployment_mode.clone(),
            host_instance_type: self.instance_type.clone(),
            publicly_accessible: self.public,
            auto_minor_version_upgrade: Some(true),
            subnet_ids: Vec::new(),
            users: vec![User {
                username: self.user.clone(),
                password,
            }],
            tags: self.tags.iter().cloned().collect::<BTreeMap<_, _>>(),
        };
        Ok(client.create_broker(&request).await?)
    }
}

fn token() -> Result<String, Error> {
    let mut bytes = [0u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(format!("warren-{:032x}", u128::from_be_bytes(bytes)))
}

fn render(created: &Created<'_>, format: Format) -> String {
    match format {
        format @ (Format::Json | Format::Yaml) => output::data(format, created),
        Format::Table => {
            let mut members = vec![
                ("Id", created.broker_id.to_owned()),
                ("ARN", created.broker_arn.to_owned()),
                ("User", created.username.to_owned()),
            ];
            if let Some(password) = created.password {
                members.push(("Password", format!("{password}  (not shown again)")));
            }
            output::members(members)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(password: Option<&str>) -> Created<'_> {
        Created {
            broker_arn: "arn",
            broker_id: "b-1",
            username: "admin",
            password,
        }
    }

    #[test]
    fn a_generated_password_is_shown_and_a_given_one_is_not() {
        for format in [Format::Table, Format::Json] {
            assert!(render(&created(Some("Zx9")), format).contains("Zx9"));
            assert!(
                !render(&created(None), format)
                    .to_lowercase()
                    .contains("password")
            );
        }
    }

    #[test]
    fn tokens_differ() {
        assert_ne!(token().unwrap(), token().unwrap());
    }
}
