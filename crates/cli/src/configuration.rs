//! `configuration create | list | show | revisions | data | update | delete`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use client::{Client, Configuration, ConfigurationRevision, CreateConfiguration};
use serde_json::json;

use crate::error::Error;
use crate::find;
use crate::output::{self, Format};
use crate::session::Session;
use crate::tags::{Tag, parse_tag};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Create a configuration; its first revision is the engine's defaults
    Create {
        /// Name of the configuration, unique in the account and region
        name: String,
        /// Engine type: RABBITMQ or LAVINMQ
        #[arg(long, value_name = "TYPE", default_value = "RABBITMQ")]
        engine: String,
        /// Version of the engine; the newest if not given
        #[arg(long, value_name = "VERSION")]
        engine_version: Option<String>,
        /// Tag of the configuration; may be repeated
        #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = parse_tag)]
        tags: Vec<Tag>,
        #[command(flatten)]
        session: Session,
    },
    /// List the configurations of the account in the region
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        session: Session,
    },
    /// Show one configuration
    #[command(visible_alias = "describe")]
    Show {
        #[command(flatten)]
        target: Target,
    },
    /// List the revisions of a configuration
    Revisions {
        #[command(flatten)]
        target: Target,
    },
    /// Print the settings of a revision
    Data {
        #[command(flatten)]
        target: Target,
        /// Number of the revision; the latest if not given
        #[arg(long, value_name = "N")]
        revision: Option<i32>,
    },
    /// Add a revision. Brokers get it by `broker update --configuration` and a reboot
    Update {
        #[command(flatten)]
        target: Target,
        /// File with the settings, one `key = value` a line; - is the standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What changes, and why
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Delete a configuration that no broker uses, with all revisions
    #[command(visible_alias = "rm")]
    Delete {
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, clap::Args)]
pub struct Target {
    /// Name or id of the configuration
    #[arg(value_name = "CONFIGURATION")]
    configuration: String,
    #[command(flatten)]
    session: Session,
}

impl Target {
    async fn find(&self) -> Result<(Client, Configuration), Error> {
        let client = self.session.client()?;
        let found = find::configuration(&client, &self.configuration).await?;
        Ok((client, found))
    }
}

pub(crate) async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Create {
            name,
            engine,
            engine_version,
            tags,
            session,
        } => {
            let request = CreateConfiguration {
                name,
                engine_type: engine,
                engine_version,
                tags: tags.into_iter().collect::<BTreeMap<_, _>>(),
            };
            let made = session.client()?.create_configuration(&request).await?;
            output::print(&match session.output {
                format @ (Format::Json | Format::Yaml) => output::data(format, &made),
                Format::Table => made.id,
            })
        }
        Command::List { session } => {
            let found = session.client()?.list_all_configurations().await?;
            output::print(&render_list(&found, session.output))
        }
        Command::Show { target } => {
            let (_, found) = target.find().await?;
            output::print(&render(&found, target.session.output))
        }
        Command::Revisions { target } => {
            let (client, found) = target.find().await?;
            let revisions = client.list_all_configuration_revisions(&found.id).await?;
            output::print(&render_revisions(&revisions, target.session.output))
        }
        Command::Data { target, revision } => data(&target, revision).await,
        Command::Update {
            target,
            file,
            description,
        } => {
            let (client, found) = target.find().await?;
            let data = STANDARD.encode(read(&file)?);
            let updated = client
                .update_configuration(&found.id, &data, description.as_deref())
                .await?;
            output::print(&match target.session.output {
                format @ (Format::Json | Format::Yaml) => output::data(format, &updated),
                Format::Table => format!("revision {}", updated.latest_revision.revision),
            })
        }
        Command::Delete { target } => {
            let (client, found) = target.find().await?;
            client.delete_configuration(&found.id).await?;
            output::print(&match target.session.output {
                format @ (Format::Json | Format::Yaml) => {
                    output::data(format, &json!({ "configurationId": found.id }))
                }
                Format::Table => found.id,
            })
        }
    }
}

/// The settings themselves, byte for byte; the answer as it came for programs.
async fn data(target: &Target, revision: Option<i32>) -> Result<(), Error> {
    let (client, found) = target.find().await?;
    let revision = revision.unwrap_or(found.latest_revision.revision);
    let revision = client
        .describe_configuration_revision(&found.id, revision)
        .await?;
    if target.session.output != Format::Table {
        return output::print(&output::data(target.session.output, &revision));
    }
    let compact: String = revision.data.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(compact).map_err(|_| Error::NotBase64)?;
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(&bytes)
        .and_then(|()| stdout.flush())
        .map_err(Error::Output)
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(Error::Input)?;
        return Ok(bytes);
    }
    std::fs::read(file).map_err(|source| Error::File {
        path: file.to_owned(),
        source,
    })
}

fn render_list(found: &[Configuration], format: Format) -> String {
    if format != Format::Table {
        return output::data(format, &json!({ "configurations": found }));
    }
    let row = |found: &Configuration| {
        [
            found.name.clone(),
            format!("{} {}", found.engine_type, found.engine_version),
            found.latest_revision.revision.to_string(),
            output::timestamp(found.created),
            found.id.clone(),
        ]
    };
    let header = ["NAME", "ENGINE", "REVISION", "CREATED", "ID"];
    output::rows(header, found.iter().map(row).collect())
}

fn render(found: &Configuration, format: Format) -> String {
    if format != Format::Table {
        return output::data(format, found);
    }
    let latest = &found.latest_revision;
    let mut members = vec![
        ("Name", found.name.clone()),
        (
            "Engine",
            format!("{} {}", found.engine_type, found.engine_version),
        ),
        ("Revision", latest.revision.to_string()),
        (
            "Description",
            latest.description.clone().unwrap_or_default(),
        ),
        ("Created", output::timestamp(found.created)),
        ("Id", found.id.clone()),
        ("ARN", found.arn.clone()),
    ];
    if !found.tags.is_empty() {
        let tags: Vec<_> = found
            .tags
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        members.push(("Tags", tags.join("\n")));
    }
    output::members(members)
}

fn render_revisions(revisions: &[ConfigurationRevision], format: Format) -> String {
    if format != Format::Table {
        return output::data(format, &json!({ "revisions": revisions }));
    }
    let row = |revision: &ConfigurationRevision| {
        [
            revision.revision.to_string(),
            output::timestamp(revision.created),
            revision.description.clone().unwrap_or_default(),
        ]
    };
    let header = ["REVISION", "CREATED", "DESCRIPTION"];
    output::rows(header, revisions.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> Configuration {
        serde_json::from_value(json!({
            "arn": "arn:aws:mq:us-east-1:1:configuration:c-1",
            "created": "2026-01-02T03:04:05.678Z",
            "engineType": "RabbitMQ",
            "engineVersion": "4.2",
            "id": "c-1",
            "latestRevision": {"revision": 2, "created": "2026-01-02T03:04:06.000Z"},
            "name": "orders",
            "tags": {"team": "blue"},
        }))
        .unwrap()
    }

    #[test]
    fn a_configuration_prints_with_its_latest_revision() {
        let text = render(&configuration(), Format::Table);
        assert!(text.contains("Revision     2"), "{text}");
        assert!(text.contains("team=blue"), "{text}");
        let list = render_list(&[configuration()], Format::Table);
        assert!(
            list.lines()
                .nth(1)
                .unwrap()
                .starts_with("orders  RabbitMQ 4.2  2"),
            "{list}"
        );
        assert!(render_list(&[], Format::Json).contains(r#""configurations": []"#));
    }

    #[test]
    fn a_revision_without_description_prints_a_line_too() {
        let revisions = [configuration().latest_revision];
        assert_eq!(
            render_revisions(&revisions, Format::Table).lines().count(),
            2
        );
    }
}
