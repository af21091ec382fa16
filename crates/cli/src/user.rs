//! `user list | show`. Users of RabbitMQ and LavinMQ brokers are changed at the broker itself.

use client::{DescribeUserOutput, UserSummary};
use serde_json::json;

use crate::broker::Target;
use crate::error::Error;
use crate::find;
use crate::output::{self, Format};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the users that a broker was created with
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Show one of them
    #[command(visible_alias = "describe")]
    Show {
        #[command(flatten)]
        target: Target,
        /// Name of the user
        #[arg(value_name = "USER")]
        username: String,
    },
}

pub(crate) async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::List { target } => {
            let client = target.session.client()?;
            let id = find::broker_id(&client, &target.broker).await?;
            let users = client.list_all_users(&id).await?;
            output::print(&render_list(&users, target.session.output))
        }
        Command::Show { target, username } => {
            let client = target.session.client()?;
            let id = find::broker_id(&client, &target.broker).await?;
            let user = client.describe_user(&id, &username).await?;
            output::print(&render(&user, target.session.output))
        }
    }
}

fn render_list(users: &[UserSummary], format: Format) -> String {
    if format != Format::Table {
        return output::data(format, &json!({ "users": users }));
    }
    let names = users.iter().map(|user| [user.username.clone()]);
    output::rows(["NAME"], names.collect())
}

fn render(user: &DescribeUserOutput, format: Format) -> String {
    if format != Format::Table {
        return output::data(format, user);
    }
    output::members(vec![
        ("Name", user.username.clone()),
        ("Console access", user.console_access.to_string()),
        ("Groups", user.groups.join("\n")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_print_by_name() {
        let users = [UserSummary {
            username: "admin".to_owned(),
        }];
        assert_eq!(render_list(&users, Format::Table), "NAME\nadmin");
        assert!(render_list(&users, Format::Json).contains(r#""username": "admin""#));
    }
}
