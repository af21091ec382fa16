//! `broker connect-info`: all that an application needs, ready to paste.

use std::path::{Path, PathBuf};

use client::DescribeBrokerOutput;
use serde::Serialize;

use crate::broker::Target;
use crate::error::Error;
use crate::find;
use crate::output::{self, Format};
use crate::password::PasswordArgs;

/// Written by `warren dev` into its default data directory.
const DEV_CA: &str = ".warren/ca.pem";
const PASSWORD_VARIABLE: &str = "WARREN_BROKER_PASSWORD";

#[derive(Debug, clap::Args)]
pub struct ConnectInfo {
    #[command(flatten)]
    target: Target,
    /// User to connect as; the broker's first if not given
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    password: PasswordArgs,
    /// The authority that signed the broker's certificate; `.warren/ca.pem` if that exists
    #[arg(long, value_name = "FILE", env = "WARREN_CA_FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    uri: String,
    host: String,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(rename = "consoleURL", skip_serializing_if = "Option::is_none")]
    console_url: Option<String>,
    python: String,
}

impl ConnectInfo {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let password = self.password.given()?;
        let broker = find::broker(&self.target.session.client()?, &self.target.broker).await?;
        let ca_file = self
            .ca_file
            .or_else(|| Path::new(DEV_CA).exists().then(|| DEV_CA.into()))
            // The program may run anywhere.
            .map(|path| std::path::absolute(&path).unwrap_or(path));
        let info = info(&broker, self.user, password.as_deref(), ca_file)?;
        output::print(&render(&info, self.target.session.output))
    }
}

fn info(
    broker: &DescribeBrokerOutput,
    user: Option<String>,
    password: Option<&str>,
    ca_file: Option<PathBuf>,
) -> Result<Info, Error> {
    let instance = broker.broker_instances.first();
    let no_endpoint = || Error::NoEndpoint(broker.broker_name.clone(), broker.broker_state.clone());
    let (host, port) = instance
        .and_then(|instance| {
            instance
                .endpoints
                .iter()
                .find_map(|endpoint| amqps(endpoint))
        })
        .ok_or_else(no_endpoint)?;
    let username = user.or_else(|| broker.users.first().map(|user| user.username.clone()));
    let login = match (&username, password) {
        (Some(name), Some(password)) => {
            format!(
                "{}:{}@",
                client::encode_label(name),
                client::encode_label(password)
            )
        }
        (Some(name), None) => format!("{}@", client::encode_label(name)),
        (None, _) => String::new(),
    };
    Ok(Info {
        uri: format!("amqps://{login}{host}:{port}"),
        python: python(
            &host,
            port,
            username.as_deref(),
            password,
            ca_file.as_deref(),
        ),
        host,
        port,
        username,
        ca_file,
        console_url: instance.and_then(|instance| instance.console_url.clone()),
    })
}

fn amqps(endpoint: &str) -> Option<(String, u16)> {
    let (host, port) = endpoint.strip_prefix("amqps://")?.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?))
}

fn render(info: &Info, format: Format) -> String {
    if format != Format::Table {
        return output::data(format, info);
    }
    let ca_file = match &info.ca_file {
        Some(path) => path.display().to_string(),
        None => "the system's authorities (--ca-file names another)".to_owned(),
    };
    let mut members = vec![("URI", info.uri.clone()), ("CA file", ca_file)];
    if let Some(console_url) = &info.console_url {
        members.push(("Console", console_url.clone()));
    }
    format!("{}\n\n{}", output::members(members), info.python)
}

fn python(
    host: &str,
    port: u16,
    username: Option<&str>,
    password: Option<&str>,
    ca_file: Option<&Path>,
) -> String {
    let (import_os, password) = match password {
        Some(password) => ("", literal(password)),
        None => (
            "import os\n",
            format!("os.environ[{}]", literal(PASSWORD_VARIABLE)),
        ),
    };
    let cafile = ca_file
        .map(|path| format!("cafile={}", literal(&path.display().to_string())))
        .unwrap_or_default();
    let host_name = literal(host.trim_matches(['[', ']']));
    let username = literal(username.unwrap_or("USER"));
    format!(
        r#"# pip install pika
{import_os}import ssl
import pika

context = ssl.create_default_context({cafile})
parameters = pika.ConnectionParameters(
    host={host_name},
    port={port},
    credentials=pika.PlainCredentials({username}, {password}),
    ssl_options=pika.SSLOptions(context, {host_name}),
)
with pika.BlockingConnection(parameters) as connection:
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare("hello", durable=True)
    channel.basic_publish("", "hello", b"Hello from Warren")
    print(channel.basic_get("hello", auto_ack=True)[2])"#
    )
}

/// A Python string literal. JSON's escapes are all valid in one.
fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(endpoints: &str) -> DescribeBrokerOutput {
        let text = format!(
            r#"{{"brokerArn":"a","brokerId":"b-1","brokerName":"orders","brokerState":"RUNNING",
            "created":"2026-03-04T05:06:07.123Z","deploymentMode":"SINGLE_INSTANCE",
            "engineType":"RabbitMQ","users":[{{"username":"admin"}}],
            "brokerInstances":{endpoints}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    const ONE: &str = r#"[{"endpoints":["https://127.0.0.2:16001","amqps://127.0.0.2:5671"],
                           "consoleURL":"https://127.0.0.2:15671"}]"#;

    #[test]
    fn the_uri_has_a_password_only_if_one_is_given() {
        let without = info(&broker(ONE), None, None, None).unwrap();
        assert_eq!(without.uri, "amqps://admin@127.0.0.2:5671");
        assert!(
            without
                .python
                .contains(r#"os.environ["WARREN_BROKER_PASSWORD"]"#)
        );
        let with = info(&broker(ONE), None, Some("p@ss/word"), None).unwrap();
        assert_eq!(with.uri, "amqps://admin:p%40ss%2Fword@127.0.0.2:5671");
        assert!(
            with.python
                .contains(r#"PlainCredentials("admin", "p@ss/word")"#)
        );
        assert!(!with.python.contains("import os"));
    }

    #[test]
    fn the_program_trusts_the_given_authority() {
        let info = info(
            &broker(ONE),
            Some("app".to_owned()),
            None,
            Some("/x/ca.pem".into()),
        )
        .unwrap();
        assert!(
            info.python
                .contains(r#"create_default_context(cafile="/x/ca.pem")"#)
        );
        assert!(render(&info, Format::Table).contains("/x/ca.pem"));
        assert_eq!(info.uri, "amqps://app@127.0.0.2:5671");
    }

    #[test]
    fn quotes_in_a_password_do_not_end_the_literal() {
        let info = info(&broker(ONE), None, Some(r#"a"b\c"#), None).unwrap();
        assert!(info.python.contains(r#""a\"b\\c""#), "{}", info.python);
    }

    #[test]
    fn a_broker_that_is_not_up_yet_says_so() {
        let error = info(&broker("[]"), None, None, None).unwrap_err();
        assert!(matches!(error, Error::NoEndpoint(..)), "{error}");
    }
}
