//! The composition root: reads which role this process plays, and runs it.

mod access;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use host_agent::OnStop;
use tokio_util::sync::CancellationToken;
use warren::config::{self, LogFormat};
use warren::dev;
use warren::model::clock::{Clock as _, SystemClock};
use warren::model::{
    BrokerId, JobId, Region, broker::SimulatedHosts, job::JobState, throttle::Rate,
};
use warren::provision::{Range, local, simulated};
use warren::roles::{self, Installation, Monitor};
use warren::secrets::MasterKey;
use warren::telemetry::{self, Export, Telemetry};
use warren::workflows::{AbortAt, Faults, NoFaults};

/// Managed message brokers on your own machines, with Amazon MQ's API.
///
/// `warren dev` runs everything on this machine. `warren broker` and `warren tags` are its command
/// line, and work against any server. The other roles run apart in production.
#[derive(Parser)]
#[command(name = "warren", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
    #[command(flatten)]
    log: config::Log,
}

#[derive(Subcommand)]
enum Role {
    Dev(Box<config::Dev>),
    #[command(flatten)]
    Client(cli::Command),
    Serve(Box<config::Serve>),
    Worker(config::Worker),
    Migrate(config::Migrate),
    Admin(config::Admin),
    #[command(subcommand)]
    Catalog(config::Catalog),
    Completion(config::Completion),
    #[command(subcommand)]
    Policy(config::PolicyRole),
    Agent(config::Agent),
    /// One engine process; agents start these
    Node(Box<broker_engine::options::Options>),
}

fn main() -> ExitCode {
    let Arguments { role, log } = Arguments::parse();
    // One provider for everything in this process that speaks TLS.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .and_then(|runtime| {
            let telemetry = {
                let _inside = runtime.enter();
                start_telemetry(&role, log.log_format)?
            };
            let ended = runtime.block_on(Box::pin(run(role)));
            telemetry.end();
            ended
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", causes(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes; those that an error's own text already tells are left out.
fn causes(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| {
        let cause = cause.to_string();
        match text {
            text if text.is_empty() => cause,
            text if text.contains(&cause) => text,
            text => format!("{text}: {cause}"),
        }
    })
}

fn start_telemetry(role: &Role, format: Option<LogFormat>) -> anyhow::Result<Telemetry> {
    let (default_format, filter) = match role {
        Role::Dev(_)
        | Role::Client(_)
        | Role::Admin(_)
        | Role::Catalog(_)
        | Role::Policy(_)
        | Role::Completion(_) => (LogFormat::Pretty, "warn,lapin=off"),
        Role::Serve(_) | Role::Worker(_) | Role::Migrate(_) | Role::Agent(_) | Role::Node(_) => {
            (LogFormat::Json, "info,lapin=off")
        }
    };
    let format = match format.unwrap_or(default_format) {
        LogFormat::Pretty => telemetry::Format::Pretty,
        LogFormat::Json => telemetry::Format::Json,
    };
    let export = exported(role).and_then(|(service, traces)| {
        let endpoint = traces.otlp_endpoint.clone();
        let endpoint = endpoint.filter(|endpoint| !endpoint.is_empty())?;
        Some(Export { endpoint, service })
    });
    Ok(telemetry::start(format, filter, export.as_ref())?)
}

/// The roles whose work is traced, with the name that it has there.
fn exported(role: &Role) -> Option<(&'static str, &config::Traces)> {
    match role {
        Role::Dev(config) => Some(("warren-dev", &config.traces)),
        Role::Serve(config) => Some(("warren-serve", &config.traces)),
        Role::Worker(config) => Some(("warren-worker", &config.traces)),
        Role::Agent(config) => Some(("warren-agent", &config.traces)),
        Role::Client(_)
        | Role::Migrate(_)
        | Role::Admin(_)
        | Role::Catalog(_)
        | Role::Completion(_)
        | Role::Policy(_)
        | Role::Node(_) => None,
    }
}

async fn run(role: Role) -> anyhow::Result<()> {
    let shutdown = match &role {
        // A command ends at once on Ctrl-C, as everyone expects.
        Role::Client(_) => CancellationToken::new(),
        Role::Dev(_)
        | Role::Serve(_)
        | Role::Worker(_)
        | Role::Migrate(_)
        | Role::Admin(_)
        | Role::Catalog(_)
        | Role::Policy(_)
        | Role::Completion(_)
        | Role::Agent(_)
        | Role::Node(_) => roles::on_signals().context("cannot listen for signals")?,
    };
    match role {
        Role::Dev(config) => dev::run(*config, shutdown).await?,
        Role::Client(command) => cli::run(command).await?,
        Role::Serve(config) => serve(*config, shutdown).await?,
        Role::Worker(config) => Box::pin(worker(config, shutdown)).await?,
        Role::Migrate(config) => {
            roles::migrate::run(&config.database.database_url, &shutdown).await?;
        }
        Role::Admin(config) => admin(config, shutdown).await?,
        Role::Catalog(command) => catalog(command, shutdown).await?,
        Role::Completion(config) => {
            let mut command = Arguments::command();
            clap_complete::generate(config.shell, &mut command, "warren", &mut std::io::stdout());
        }
        Role::Policy(config::PolicyRole::Simulate(config)) => access::simulate(config)?,
        Role::Agent(config) => agent(config, shutdown).await?,
        Role::Node(options) => roles::node::run(*options, shutdown).await?,
    }
    Ok(())
}

async fn serve(config: config::Serve, shutdown: CancellationToken) -> anyhow::Result<()> {
    let installation = installation(&config.database, &config.master_key, &shutdown).await?;
    let regions = config
        .regions
        .iter()
        .map(|text| text.parse::<Region>().map_err(anyhow::Error::msg))
        .collect::<Result<_, _>>()?;
    let authority = Arc::new(installation.authority().await?);
    let options = roles::serve::Options {
        listen: config.listen,
        agent_listen: config.agent_listen,
        agent_names: config.agent_names,
        tls: config.tls_cert.zip(config.tls_key),
        trusted_proxies: config.trusted_proxies,
        regions,
        parity: config.parity.parity.parse().map_err(anyhow::Error::msg)?,
        simulated_hosts: SimulatedHosts::when(config.parity.simulated_hosts),
        requests: (config.requests_per_second > 0).then_some(Rate {
            per_second: config.requests_per_second,
            burst: config.requests_burst,
        }),
        leave: Duration::from_secs(config.leave_s.into()),
    };
    let monitor = Monitor::bind(config.metrics.metrics_listen, installation.clone(), false).await?;
    let server = roles::serve::Server::bind(installation, authority, options).await?;
    let (served, ()) = tokio::join!(server.run(shutdown.clone()), monitor.run(shutdown));
    Ok(served?)
}

async fn worker(config: config::Worker, shutdown: CancellationToken) -> anyhow::Result<()> {
    let installation = installation(&config.database, &config.master_key, &shutdown).await?;
    let audit_keep = chrono::TimeDelta::days(config.audit_days.into());
    let range = match &config.loopback_range {
        Some(text) => text.parse::<Range>()?,
        None => roles::worker::default_range(&installation.authority().await?),
    };
    let faults: Arc<dyn Faults> = match &config.crash_at {
        Some(point) => Arc::new(point.parse::<AbortAt>()?),
        None => Arc::new(NoFaults),
    };
    let monitor = Monitor::bind(config.metrics.metrics_listen, installation.clone(), true).await?;
    let working = roles::worker::run(
        installation,
        roles::worker::Options {
            range,
            faults,
            audit_keep,
            maintenance_running_max: config.maintenance_max,
        },
        shutdown.clone(),
    );
    tokio::join!(working, monitor.run(shutdown));
    Ok(())
}

async fn admin(config: config::Admin, shutdown: CancellationToken) -> anyhow::Result<()> {
    use config::{
        AccountCommand, AdminCommand, AuditCommand, CaCommand, HostTokenCommand, MasterKeyCommand,
    };
    let installation = installation(&config.database, &config.master_key, &shutdown).await?;
    match config.command {
        AdminCommand::Account(AccountCommand::Create { name }) => {
            roles::admin::create_account(&installation, &name).await?;
        }
        AdminCommand::User(command) => access::user(&installation, command).await?,
        AdminCommand::Role(command) => access::role(&installation, command).await?,
        AdminCommand::Group(command) => access::group(&installation, command).await?,
        AdminCommand::Policy(command) => access::policy(&installation, command).await?,
        AdminCommand::AccessKey(command) => access::access_key(&installation, command).await?,
        AdminCommand::HostToken(HostTokenCommand::Create {
            host_name,
            zone,
            valid_min,
            simulated,
        }) => {
            let valid = Duration::from_secs(u64::from(valid_min) * 60);
            let kind = if simulated {
                simulated::NAME
            } else {
                local::NAME
            };
            roles::admin::create_host_token(&installation, &host_name, &zone, valid, kind).await?;
        }
        AdminCommand::Quota(command) => access::quota(&installation, command).await?,
        AdminCommand::Audit(AuditCommand::Follow { after, once }) => {
            roles::admin::follow_audit(&installation, after, !once, shutdown).await?;
        }
        AdminCommand::Job(command) => job(&installation, command).await?,
        AdminCommand::MasterKey(MasterKeyCommand::Reseal) => {
            roles::admin::reseal(&installation).await?;
        }
        AdminCommand::Ca(CaCommand::Show) => roles::admin::show_ca(&installation).await?,
    }
    Ok(())
}

async fn job(installation: &Installation, command: config::JobCommand) -> anyhow::Result<()> {
    use config::JobCommand;
    match command {
        JobCommand::List {
            states,
            broker,
            limit,
        } => {
            let state = |name: &String| {
                JobState::parse(name).with_context(|| format!("{name} is no state of a job"))
            };
            let mut states: Vec<_> = states.iter().map(state).collect::<Result<_, _>>()?;
            if states.is_empty() {
                states.extend(JobState::ALL);
                states.retain(|state| *state != JobState::Done);
            }
            let broker = broker.map(|id| BrokerId::parse(&id).context("no id of a broker"));
            let broker = broker.transpose()?;
            roles::admin::list_jobs(installation, &states, broker.as_ref(), limit).await?;
        }
        JobCommand::Show { id } => roles::admin::show_job(installation, JobId(id)).await?,
        JobCommand::Retry { id, reason } => {
            roles::admin::retry_job(installation, JobId(id), reason.as_deref()).await?;
        }
        JobCommand::Cancel { id, reason, yes } => {
            let reason = reason.as_deref();
            roles::admin::cancel_job(installation, JobId(id), reason, yes).await?;
        }
    }
    Ok(())
}

async fn catalog(command: config::Catalog, shutdown: CancellationToken) -> anyhow::Result<()> {
    use roles::catalog;
    let clock = SystemClock;
    match command {
        config::Catalog::Import {
            database,
            keys,
            file,
        } => {
            let trusted = catalog::trusted_keys(&keys.engine_keys)?;
            let pool = roles::connect(&database.database_url, &shutdown).await?;
            let lines = catalog::import(&pool, &clock, &file, &trusted).await?;
            writeln!(std::io::stdout(), "{lines} releases imported")?;
        }
        config::Catalog::List { database } => {
            let pool = roles::connect(&database.database_url, &shutdown).await?;
            catalog::list(&pool).await?;
        }
        config::Catalog::Keygen { name, out } => {
            writeln!(std::io::stdout(), "{}", catalog::keygen(&name, &out)?)?;
        }
        config::Catalog::Sign { key, draft } => {
            let signed = catalog::sign(&draft, &key, clock.now())?;
            std::io::stdout().write_all(&signed)?;
        }
    }
    Ok(())
}

async fn agent(config: config::Agent, shutdown: CancellationToken) -> anyhow::Result<()> {
    let executable = roles::own_executable().context("cannot tell which program this is")?;
    let ca_pem = std::fs::read_to_string(&config.ca)
        .with_context(|| format!("cannot read {}", config.ca.display()))?;
    let options = roles::agent::Options {
        control_url: config.control_url,
        ca_pem,
        token: config.token,
        data_dir: config.data_dir,
        executable,
        engine_keys: roles::catalog::trusted_keys(&config.keys.engine_keys)?,
    };
    Ok(roles::agent::run(options, OnStop::LeaveNodes, shutdown).await?)
}

/// The key file first: a mistake in it is told without waiting for the database.
async fn installation(
    database: &config::Database,
    master_key: &config::MasterKey,
    shutdown: &CancellationToken,
) -> anyhow::Result<Installation> {
    let master_key = MasterKey::from_file(&master_key.master_key_file)?;
    let pool = roles::connect(&database.database_url, shutdown).await?;
    Ok(Installation::new(pool, master_key))
}
