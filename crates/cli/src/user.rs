//! `user list | show | create | update | delete`. Users of RabbitMQ and LavinMQ brokers change at once.

use client::{DescribeUserOutput, UserInput, UserSummary};
use serde_json::json;

use crate::broker::Target;
use crate::error::Error;
use crate::find;
use crate::output::{self, Format};
use crate::password::{Password, PasswordArgs};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List a broker's users, without those made at the broker itself
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
    /// Make a user who may do everything in the virtual host `/`
    Create(Put),
    /// Change a user's password or rights; what is left out stays
    Update(Put),
    /// Remove a user, and close its connections
    #[command(visible_alias = "rm")]
    Delete {
        #[command(flatten)]
        target: Target,
        /// Name of the user
        #[arg(value_name = "USER")]
        username: String,
    },
}

#[derive(Debug, clap::Args)]
pub struct Put {
    #[command(flatten)]
    target: Target,
    /// Name of the user
    #[arg(value_name = "USER")]
    username: String,
    #[command(flatten)]
    password: PasswordArgs,
    /// Let the user see the management console
    #[arg(long, value_name = "BOOL")]
    console_access: Option<bool>,
    /// RabbitMQ's tag of the user (administrator, management, monitoring, policymaker); may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
}

impl Put {
    fn input(&self, password: Option<String>) -> UserInput {
        UserInput {
            password,
            console_access: self.console_access,
            groups: (!self.groups.is_empty()).then(|| self.groups.clone()),
        }
    }
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
        Command::Create(put) => {
            let client = put.target.session.client()?;
            let id = find::broker_id(&client, &put.target.broker).await?;
            let (password, generated) = match put.password.password()? {
                Password::Given(password) => (password, None),
                Password::Generated(password) => (password.clone(), Some(password)),
            };
            let input = put.input(Some(password));
            client.create_user(&id, &put.username, &input).await?;
            let format = put.target.session.output;
            output::print(&render_put(&put.username, generated.as_deref(), format))
        }
        Command::Update(put) => {
            let client = put.target.session.client()?;
            let id = find::broker_id(&client, &put.target.broker).await?;
            let input = put.input(put.password.given()?);
            client.update_user(&id, &put.username, &input).await?;
            output::print(&render_put(&put.username, None, put.target.session.output))
        }
        Command::Delete { target, username } => {
            let client = target.session.client()?;
            let id = find::broker_id(&client, &target.broker).await?;
            client.delete_user(&id, &username).await?;
            output::print(&render_put(&username, None, target.session.output))
        }
    }
}

/// The user's name, and a password that only this call knows.
fn render_put(username: &str, generated: Option<&str>, format: Format) -> String {
    if format != Format::Table {
        let mut answer = json!({ "username": username });
        if let Some(password) = generated {
            answer["password"] = json!(password);
        }
        return output::data(format, &answer);
    }
    let mut lines = vec![("Name", username.to_owned())];
    lines.extend(generated.map(|password| ("Password", password.to_owned())));
    output::members(lines)
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
    fn only_a_generated_password_is_printed() {
        let text = render_put("ann", Some("secret"), Format::Table);
        assert!(text.contains("ann") && text.contains("secret"));
        assert!(!render_put("ann", None, Format::Json).contains("password"));
    }

    #[test]
    fn users_print_by_name() {
        let users = [UserSummary {
            username: "admin".to_owned(),
        }];
        assert_eq!(render_list(&users, Format::Table), "NAME\nadmin");
        assert!(render_list(&users, Format::Json).contains(r#""username": "admin""#));
    }
}
