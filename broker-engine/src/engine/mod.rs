//! The facade: opens a broker on a directory, serves it, and stops it in order.
//!
//! The only place that knows all parts. Stopping goes from the outside in: no new connections,
//! then the connections, then the log.

mod control;
mod logins;
mod patience;
mod preparation;
mod secrets;
mod timer;
mod watch;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::amqp::{self, Identification};
use crate::broker::{self, Broker, Dialect, NodeLimits};
use crate::error::Error;
use crate::listener::{Addresses, Control, Gate, Listeners};
use crate::management::{self, ListenerInfo};
use crate::options::{Durability, Options, Profile};
use crate::settings::Settings;
use crate::store::{self, disk::RealDisk};
use crate::timers::Timers;

/// Time clients have to answer that they saw the end coming.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// The login of a broker that nobody gave one; only loopback peers may use it.
const DEFAULT_LOGIN: (&str, &str) = ("guest", "guest");

const ADMINISTRATOR: &[&str] = &["administrator"];

/// A broker that is being served.
pub struct Engine {
    addresses: Addresses,
    broker: Arc<Broker>,
    gate: Arc<Gate>,
    tasks: TaskTracker,
    /// Cancelled by [`Engine::stop`] and by the control socket.
    shutdown: CancellationToken,
}

impl Engine {
    /// Opens the data directory and serves it; returns when clients can connect, or could if the gate were open.
    ///
    /// # Errors
    /// When an address, a file or the data directory cannot be used.
    #[expect(
        clippy::disallowed_methods,
        reason = "the facade is where the clock comes in"
    )]
    pub async fn start(options: Options) -> Result<Self, Error> {
        let settings = preparation::settings(&options)?;
        let listeners = Listeners::bind(&options, &settings)?;
        let control = options.control.as_deref().map(Control::bind).transpose()?;
        let shutdown = CancellationToken::new();
        let (broker, damages) = open(options.clone(), settings.clone()).await?;
        broker.set_closed(options.gate.is_some());
        let timers = Timers::start().map_err(Error::Timers)?;
        let tasks = TaskTracker::new();
        let addresses = listeners.addresses().clone();
        let identification = Identification {
            product: options.profile.product(),
            version: options.profile.version(),
            node_name: options.node_name.clone(),
        };
        let server = amqp::Server::new(
            Arc::clone(&broker),
            &identification,
            &preparation::terms(&options, &settings, timers.clone()),
        );
        let router = management::router(Arc::new(management::Node {
            broker: Arc::clone(&broker),
            name: options.node_name.clone(),
            product: identification.product,
            version: identification.version,
            listeners: listener_infos(&addresses),
            clients: Arc::<amqp::Server>::clone(&server),
            read_headers: amqp::read_headers,
            operator_policies_fixed: settings.operator_policies_fixed,
            security_headers: settings.security_headers,
        }));
        let tls = listeners.tls();
        let gate = Arc::new(Gate::start(
            options.gate,
            listeners,
            Arc::clone(&server),
            router,
            &tasks,
            &shutdown,
        )?);
        let (stopping, clients) = (shutdown.clone(), Arc::clone(&server));
        tasks.spawn(async move {
            stopping.cancelled().await;
            clients.shut_down();
        });
        timer::start(
            Arc::clone(&broker),
            timers.clone(),
            &tasks,
            shutdown.clone(),
        );
        patience::start(
            Arc::clone(&broker),
            Arc::clone(&server),
            timers.clone(),
            &tasks,
            shutdown.clone(),
        );
        let limits = watch::Limits {
            memory_bytes: options.memory_limit,
            disk_free_bytes: options.disk_free_limit.max(settings.disk_free_min),
            disk_free_warn_bytes: settings.disk_free_warn,
        };
        let data_dir = options.data_dir.clone();
        watch::start(
            Arc::clone(&broker),
            limits,
            data_dir,
            timers,
            &tasks,
            shutdown.clone(),
        );
        if let Some(control) = control {
            let commands = control::Supervised {
                broker: Arc::clone(&broker),
                tls,
                gate: Arc::clone(&gate),
                damages,
                shutdown: shutdown.clone(),
                started_at: Utc::now(),
                options,
            };
            control.serve(Arc::new(commands), &tasks, shutdown.clone());
        }
        Ok(Self {
            addresses,
            broker,
            gate,
            tasks,
            shutdown,
        })
    }

    /// Where clients reach it.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The broker that is served.
    #[must_use]
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Ends when clients are served.
    pub async fn opened(&self) {
        self.gate.opened().await;
    }

    /// Ends when something other than [`Engine::stop`] wants the engine to stop: the control
    /// socket, or a log that failed.
    pub async fn stopping(&self) {
        self.shutdown.cancelled().await;
    }

    /// Closes every connection with 320, then the log.
    ///
    /// # Errors
    /// When the log failed, now or before.
    pub async fn stop(self) -> Result<(), Error> {
        self.shutdown.cancel();
        self.tasks.close();
        if timeout(STOP_PATIENCE, self.tasks.wait()).await.is_err() {
            tracing::info!(tasks = self.tasks.len(), "some clients did not say goodbye");
        }
        let broker = self.broker;
        if let Some(error) = broker.failed() {
            return Err(error.into());
        }
        blocking(move || broker.close().map_err(Error::from)).await
    }
}

/// Runs an engine until `shutdown` or until it must end; only checks what it would read when that is asked for. Prints one line when it is ready:
/// `ready amqp=ADDR:PORT,… amqps=… management=…`, leaving out what is not served.
///
/// # Errors
/// As [`Engine::start`] and [`Engine::stop`].
pub async fn run(options: Options, shutdown: CancellationToken) -> Result<(), Error> {
    if options.check {
        return preparation::check(&options);
    }
    let engine = Engine::start(options).await?;
    let opened = tokio::select! {
        () = shutdown.cancelled() => false,
        () = engine.stopping() => false,
        () = engine.opened() => true,
    };
    if opened {
        say_ready(engine.addresses())?;
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = engine.stopping() => {}
        }
    }
    tracing::info!("stopping");
    engine.stop().await
}

fn say_ready(addresses: &Addresses) -> Result<(), Error> {
    let line = ready_line(addresses);
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(Error::Ready)?;
    tracing::info!("{line}");
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Opens the data directory and makes the logins that the options name. Tells how many damages were set aside.
async fn open(options: Options, settings: Settings) -> Result<(Arc<Broker>, usize), Error> {
    blocking(move || {
        let path = &options.data_dir;
        let error = |source| Error::DataDir {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(path).map_err(error)?;
        let disk = Arc::new(RealDisk::open(path).map_err(error)?);
        let store = store::Options::default();
        let broker_options = broker::Options {
            envelope: Arc::new(amqp::WireProperties),
            dialect: dialect(options.profile),
            consumer_timeout_ms: settings
                .consumer_timeout_ms
                .or(options.consumer_timeout_ms)
                .or_else(|| options.profile.consumer_timeout_ms()),
            relaxed_redeclaration: settings.relaxed_redeclaration,
            limits: NodeLimits {
                node: options.node_name.clone(),
                connections_max: Some(options.connections_max as u64),
                channels_max: options.channels_max_per_node,
                queues_max: options.queues_max,
                vhosts_max: options.vhosts_max,
            },
            store: store::Options {
                durability: durability(options.durability),
                file_bytes: settings.segment_size.unwrap_or(store.file_bytes),
                ..store
            },
            ..broker::Options::default()
        };
        let (broker, opened) = Broker::open(disk, broker_options)?;
        for damage in &opened.damage {
            tracing::error!(
                file = damage.file,
                bytes = ?damage.bytes,
                reason = damage.reason,
                "damaged bytes were set aside"
            );
        }
        if let Some(file) = options.definitions.as_deref().filter(|_| opened.is_new) {
            import(&broker, file)?;
        }
        for login in &options.users {
            broker.put_user_with_password(&login.name, &login.password, ADMINISTRATOR)?;
        }
        if broker.users().is_empty() {
            let (name, password) = DEFAULT_LOGIN;
            broker.put_user_with_password(name, password, ADMINISTRATOR)?;
        }
        secrets::load_monitoring_user(&broker, options.monitoring_user_file.as_deref())?;
        logins::apply(&broker, options.logins.as_deref())?;
        Ok((broker, opened.damage.len()))
    })
    .await
}

fn dialect(profile: Profile) -> Dialect {
    match profile {
        Profile::RabbitMq313 => Dialect::RabbitMq3,
        Profile::RabbitMq42 => Dialect::RabbitMq4,
        Profile::LavinMq29 => Dialect::LavinMq,
    }
}

fn durability(durability: Durability) -> store::Durability {
    match durability {
        Durability::Sync => store::Durability::Sync,
        Durability::Write => store::Durability::Write,
    }
}

fn import(broker: &Broker, file: &Path) -> Result<(), Error> {
    Ok(broker.import(&secrets::definitions(file)?, None)?)
}

fn listener_infos(addresses: &Addresses) -> Vec<ListenerInfo> {
    let protocols = [
        ("amqp", &addresses.amqp),
        ("amqp/ssl", &addresses.amqps),
        ("http", &addresses.management),
        ("https", &addresses.management_tls),
    ];
    let infos = protocols.into_iter().flat_map(|(protocol, addresses)| {
        addresses.iter().map(move |address| ListenerInfo {
            protocol,
            address: *address,
        })
    });
    infos.collect()
}

fn ready_line(addresses: &Addresses) -> String {
    let management = [addresses.management.as_slice(), &addresses.management_tls].concat();
    let served: [(&str, &[SocketAddr]); 3] = [
        ("amqp", &addresses.amqp),
        ("amqps", &addresses.amqps),
        ("management", &management),
    ];
    let mut line = "ready".to_owned();
    for (name, addresses) in served
        .into_iter()
        .filter(|(_, addresses)| !addresses.is_empty())
    {
        let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        line = format!("{line} {name}={}", list.join(","));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_names_what_is_served_and_nothing_else() {
        let addresses = Addresses {
            amqp: vec!["127.0.0.1:5672".parse().unwrap()],
            management: vec!["127.0.0.1:15672".parse().unwrap()],
            management_tls: vec!["127.0.0.1:15671".parse().unwrap()],
            ..Addresses::default()
        };
        assert_eq!(
            ready_line(&addresses),
            "ready amqp=127.0.0.1:5672 management=127.0.0.1:15672,127.0.0.1:15671"
        );
    }
}
