//! `tags add | list | remove`.

use std::collections::BTreeMap;

use client::Client;
use serde_json::json;

use crate::error::Error;
use crate::find;
use crate::output::{self, Format};
use crate::session::Session;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Add tags, or change their values
    Add {
        #[command(flatten)]
        resource: Resource,
        /// Tags to set
        #[arg(value_name = "KEY=VALUE", required = true, value_parser = parse_tag)]
        tags: Vec<Tag>,
    },
    /// List the tags of a resource
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        resource: Resource,
    },
    /// Remove tags
    #[command(visible_alias = "rm")]
    Remove {
        #[command(flatten)]
        resource: Resource,
        /// Keys of the tags to remove
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
pub struct Resource {
    /// Name or id of a broker, or the ARN of any resource
    #[arg(value_name = "RESOURCE")]
    resource: String,
    #[command(flatten)]
    session: Session,
}

pub(crate) type Tag = (String, String);

pub(crate) fn parse_tag(text: &str) -> Result<Tag, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not of the form KEY=VALUE")),
    }
}

pub(crate) async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Add { resource, tags } => {
            let (client, arn) = resource.find().await?;
            Ok(client.create_tags(&arn, tags.into_iter().collect()).await?)
        }
        Command::List { resource } => {
            let (client, arn) = resource.find().await?;
            let tags = client.list_tags(&arn).await?;
            output::print(&render(&tags, resource.session.output))
        }
        Command::Remove { resource, keys } => {
            let (client, arn) = resource.find().await?;
            Ok(client.delete_tags(&arn, &keys).await?)
        }
    }
}

impl Resource {
    async fn find(&self) -> Result<(Client, String), Error> {
        let client = self.session.client()?;
        if self.resource.starts_with("arn:") {
            return Ok((client, self.resource.clone()));
        }
        let broker = find::broker(&client, &self.resource).await?;
        Ok((client, broker.broker_arn))
    }
}

fn render(tags: &BTreeMap<String, String>, format: Format) -> String {
    match format {
        format @ (Format::Json | Format::Yaml) => output::data(format, &json!({ "tags": tags })),
        Format::Table => output::rows(
            ["KEY", "VALUE"],
            tags.iter()
                .map(|(key, value)| [key.clone(), value.clone()])
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_split_at_its_first_equals_sign() {
        assert_eq!(
            parse_tag("a=b=c").unwrap(),
            ("a".to_owned(), "b=c".to_owned())
        );
        assert_eq!(parse_tag("a=").unwrap(), ("a".to_owned(), String::new()));
        assert!(parse_tag("=b").is_err());
        assert!(parse_tag("ab").is_err());
    }

    #[test]
    fn tags_print_as_a_table_or_as_the_api_has_them() {
        let tags = BTreeMap::from([("team".to_owned(), "blue".to_owned())]);
        assert_eq!(render(&tags, Format::Table), "KEY   VALUE\nteam  blue");
        assert!(render(&tags, Format::Json).contains(r#""team": "blue""#));
        assert!(render(&tags, Format::Yaml).contains("\n  team: blue"));
    }
}
