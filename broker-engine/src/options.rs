//! The flags of one engine process, shared by `brokerd` and `warren node`; parsing only.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// How to run one engine process.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Directory of everything the engine stores; made when missing
    #[arg(long, value_name = "DIR", default_value = "./brokerd-data")]
    pub data_dir: PathBuf,

    /// Serve AMQP without TLS; loopback addresses only. 127.0.0.1:5672 if no AMQP listener is given
    #[arg(long, value_name = "ADDR:PORT")]
    pub amqp: Vec<SocketAddr>,

    /// Serve AMQP over TLS
    #[arg(long, value_name = "ADDR:PORT", requires = "tls_cert")]
    pub amqps: Vec<SocketAddr>,

    /// Serve the management API without TLS; loopback addresses only
    #[arg(long, value_name = "ADDR:PORT")]
    pub management: Vec<SocketAddr>,

    /// Serve the management API over TLS
    #[arg(long, value_name = "ADDR:PORT", requires = "tls_cert")]
    pub management_tls: Vec<SocketAddr>,

    /// As --management-tls, but only logged when the address cannot be bound (a privileged port)
    #[arg(long, value_name = "ADDR:PORT", requires = "tls_cert")]
    pub management_tls_try: Vec<SocketAddr>,

    /// Certificate chain in PEM, leaf first; read again on the control command `reload`
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Private key in PEM; read again on the control command `reload`
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Certificates in PEM of the authorities that AMQP clients' own certificates are checked against: those that show
    /// one may log in with it (SASL EXTERNAL). Read again on the control command `reload`
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,

    /// Turn away AMQP clients on TLS that show no certificate
    #[arg(long, requires = "tls_client_ca")]
    pub tls_client_required: bool,

    /// Which part of a client's certificate names its user
    #[arg(long, value_enum, default_value_t = TlsLogin::DistinguishedName)]
    pub tls_login_from: TlsLogin,

    /// Which alternative names count for --tls-login-from subject-alternative-name
    #[arg(long, value_enum, default_value_t = SanType::Dns)]
    pub tls_login_san_type: SanType,

    /// Which of the alternative names of that type names the user, counted from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub tls_login_san_index: usize,

    /// Create or update an administrator with all permissions on the virtual host `/`
    #[arg(long = "user", value_name = "NAME:PASSWORD")]
    pub users: Vec<Login>,

    /// Definitions (RabbitMQ's JSON format) to import when the data directory is new
    #[arg(long, value_name = "FILE")]
    pub definitions: Option<PathBuf>,

    /// JSON {"name","password"} of a user that only loopback peers may use and nobody sees
    #[arg(long, value_name = "FILE")]
    pub monitoring_user_file: Option<PathBuf>,

    /// JSON list of users to put (`name`, `password_hash`, `tags`; a new one may do everything in `/`) or to remove
    /// (`name`, `removed`), at the start and again on the control command `reload`
    #[arg(long, value_name = "FILE")]
    pub logins: Option<PathBuf>,

    /// The broker and version that clients are told they talk to
    #[arg(long, value_enum, default_value_t = Profile::RabbitMq42)]
    pub profile: Profile,

    /// What a confirmed message outlives, where its queue does not say (x-warren-durability)
    #[arg(long, value_enum, default_value_t = Durability::Sync)]
    pub durability: Durability,

    /// Time a consumer has to acknowledge a delivery before its channel is closed, where the queue does not say
    /// (x-consumer-timeout); 0 is no limit. 1800000 (half an hour) for RabbitMQ, no limit for LavinMQ if not given
    #[arg(long, value_name = "MS")]
    pub consumer_timeout_ms: Option<u64>,

    /// Memory use above which publishers are blocked
    #[arg(long, value_name = "BYTES")]
    pub memory_limit: Option<u64>,

    /// Free disk space below which publishers are blocked
    #[arg(long, value_name = "BYTES")]
    pub disk_free_limit: Option<u64>,

    /// AMQP connections open at a time; the next one is closed with the reason
    #[arg(long, value_name = "N", default_value_t = 65_535)]
    pub connections_max: usize,

    /// Channels of one connection
    #[arg(long, value_name = "N", default_value_t = 2047, value_parser = clap::value_parser!(u16).range(1..))]
    pub channels_max: u16,

    /// Channels of all connections together; no limit when not given
    #[arg(long, value_name = "N")]
    pub channels_max_per_node: Option<u64>,

    /// Queues of all virtual hosts together; no limit when not given
    #[arg(long, value_name = "N")]
    pub queues_max: Option<u64>,

    /// Virtual hosts; no limit when not given
    #[arg(long, value_name = "N")]
    pub vhosts_max: Option<u64>,

    /// Consumers of one channel; no limit when not given
    #[arg(long, value_name = "N")]
    pub consumers_per_channel_max: Option<u64>,

    /// JSON object of settings, keys and values as texts: those of rabbitmq.conf, or `section.key` of LavinMQ's INI
    /// file. Where a flag says the same, the stricter of both holds
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,

    /// Read the files that are named, say what is wrong with them, and end: nothing is stored or served
    #[arg(long)]
    pub check: bool,

    /// Keep every other listener closed until the control command `open`. Meanwhile the monitoring user alone may log
    /// in, over AMQP with TLS at this address; port 0 is told by the control command `status`
    #[arg(long, value_name = "ADDR:PORT", requires_all = ["tls_cert", "control", "monitoring_user_file"])]
    pub gate: Option<SocketAddr>,

    /// Unix socket for local control: one JSON object a line (status, reload, open, stop)
    #[arg(long, value_name = "SOCKET")]
    pub control: Option<PathBuf>,

    /// Generation reported by the control command `status`
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub generation: u64,

    /// Name of the node in status and management
    #[arg(long, value_name = "NAME", default_value = "rabbit@localhost")]
    pub node_name: String,
}

impl Options {
    /// The plain AMQP listeners, with the default when no AMQP listener is named at all.
    #[must_use]
    pub fn amqp_or_default(&self) -> Vec<SocketAddr> {
        if self.amqp.is_empty() && self.amqps.is_empty() {
            vec![SocketAddr::from(([127, 0, 0, 1], 5672))]
        } else {
            self.amqp.clone()
        }
    }
}

/// A name with its password; prints the name only.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Login {
    pub name: String,
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Login")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl FromStr for Login {
    type Err = LoginError;

    fn from_str(text: &str) -> Result<Self, LoginError> {
        match text.split_once(':') {
            Some((name, password)) if !name.is_empty() && !password.is_empty() => Ok(Self {
                name: name.to_owned(),
                password: password.to_owned(),
            }),
            _ => Err(LoginError),
        }
    }
}

/// The text is not a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected NAME:PASSWORD, neither of them empty")]
pub struct LoginError;

/// A product and version whose behaviour and self-description clients see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    #[value(name = "rabbitmq-3.13")]
    RabbitMq313,
    #[value(name = "rabbitmq-4.2")]
    RabbitMq42,
    #[value(name = "lavinmq-2.9")]
    LavinMq29,
}

impl Profile {
    /// The product in server properties and the management API.
    #[must_use]
    pub fn product(self) -> &'static str {
        match self {
            Self::RabbitMq313 | Self::RabbitMq42 => "RabbitMQ",
            Self::LavinMq29 => "LavinMQ",
        }
    }

    /// How long a consumer may take to acknowledge where nobody says otherwise, in milliseconds.
    #[must_use]
    pub fn consumer_timeout_ms(self) -> Option<u64> {
        match self {
            Self::RabbitMq313 | Self::RabbitMq42 => Some(30 * 60 * 1000),
            Self::LavinMq29 => None,
        }
    }

    /// The version in server properties and the management API.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::RabbitMq313 => "3.13.7",
            Self::RabbitMq42 => "4.2.1",
            Self::LavinMq29 => "2.9.1",
        }
    }
}

/// The part of a client's certificate that names its user; RabbitMQ's `ssl_cert_login_from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsLogin {
    /// The whole subject, as RFC 4514 writes it: `O=Acme,CN=worker`
    DistinguishedName,
    /// The subject's common name
    CommonName,
    /// One of the alternative names
    SubjectAlternativeName,
}

/// A type of alternative names; RabbitMQ's `ssl_cert_login_san_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SanType {
    Dns,
    Ip,
    Email,
    Uri,
}

/// When a message counts as stored, and is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// Written and synced to the volume: what was confirmed survives a power cut
    Sync,
    /// Written to the operating system: what was confirmed survives the end of the process, however
    /// sudden; with the machine goes what the system had not written back, commonly the last 30 seconds
    Write,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Command::try_parse_from([&["brokerd"], arguments].concat()).map(|command| command.options)
    }

    #[test]
    fn without_an_amqp_listener_the_standard_port_on_loopback_is_served() {
        assert_eq!(
            parse(&[]).unwrap().amqp_or_default(),
            ["127.0.0.1:5672".parse().unwrap()]
        );
        let tls = parse(&[
            "--amqps",
            "0.0.0.0:5671",
            "--tls-cert",
            "c",
            "--tls-key",
            "k",
        ])
        .unwrap();
        assert!(tls.amqp_or_default().is_empty());
    }

    #[test]
    fn confirmed_messages_survive_power_cuts_unless_less_is_asked_for() {
        assert_eq!(parse(&[]).unwrap().durability, Durability::Sync);
        let write = parse(&["--durability", "write"]).unwrap();
        assert_eq!(write.durability, Durability::Write);
    }

    #[test]
    fn a_tls_listener_needs_a_certificate_and_a_key() {
        assert!(parse(&["--amqps", "127.0.0.1:0"]).is_err());
        assert!(parse(&["--amqps", "127.0.0.1:0", "--tls-cert", "c"]).is_err());
    }

    #[test]
    fn a_gate_needs_who_opens_it_and_who_may_pass() {
        let gate = ["--gate", "127.0.0.1:0"];
        let tls = ["--tls-cert", "c", "--tls-key", "k"];
        let supervised = ["--control", "s", "--monitoring-user-file", "m"];
        assert!(parse(&[&gate[..], &tls, &supervised].concat()).is_ok());
        assert!(parse(&[&gate[..], &tls].concat()).is_err());
        assert!(parse(&[&gate[..], &supervised].concat()).is_err());
    }

    #[test]
    fn a_password_may_contain_colons_and_is_not_printed() {
        let options = parse(&["--user", "a:b:c"]).unwrap();
        assert_eq!(
            options.users,
            [Login {
                name: "a".into(),
                password: "b:c".into()
            }]
        );
        assert!(!format!("{options:?}").contains("b:c"));
        assert!(parse(&["--user", "a"]).is_err());
    }
}
