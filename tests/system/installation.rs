//! The roles apart, as production runs them: `migrate`, `admin`, `serve`, `worker` and `agent`
//! against one database.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use test_support::process::{Family, Process};
use test_support::{directory, network, postgres, python};

use crate::balancer::Balancer;
use crate::patience::PATIENCE;
use crate::remote::Remote;
use crate::tree::clean;

pub(crate) struct Installation {
    // Dropped in this order: processes before the directory they write to.
    pub(crate) apis: Vec<Api>,
    pub(crate) workers: Vec<Process>,
    pub(crate) agent: Process,
    pub(crate) family: Family,
    balancer: Balancer,
    key: Key,
    setting: Setting,
}

/// One `warren serve`.
pub(crate) struct Api {
    pub(crate) process: Process,
    /// Of the public API, and of the agents' endpoint.
    ports: (u16, u16),
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// What every process of an installation is told.
pub(crate) struct Setting {
    directory: TempDir,
    pub(crate) database_url: String,
    /// Where spans are sent.
    collector: Option<String>,
}

impl Installation {
    /// One API, one worker, one host.
    pub(crate) fn start() -> Self {
        Self::with(Setting::new())
    }

    /// [`Self::start`], and everything sends its spans to this collector.
    pub(crate) fn traced(collector: &str) -> Self {
        Self::with(Setting {
            collector: Some(collector.to_owned()),
            ..Setting::new()
        })
    }

    fn with(setting: Setting) -> Self {
        let key = setting.account("ours");
        std::fs::write(
            setting.path("ca.pem"),
            setting.succeed(&["admin", "ca", "show"]),
        )
        .expect("the directory is writable");

        let family = Family::new();
        let api = setting.api(&family, (network::free_port(), network::free_port()));
        let workers = vec![setting.worker(&family, &[], None)];
        let token = setting.host_token("host-1", "a");
        let balancer = Balancer::start();
        balancer.add(api.ports.1);
        let agent = setting.agent(&family, balancer.port, Some(&token));
        Self {
            apis: vec![api],
            workers,
            agent,
            family,
            balancer,
            key,
            setting,
        }
    }

    /// Another account with a key.
    pub(crate) fn account(&self, name: &str) -> Key {
        self.setting.account(name)
    }

    /// `warren admin` with these arguments; returns what it prints.
    pub(crate) fn administer(&self, arguments: &[&str]) -> String {
        self.setting.succeed(&[&["admin"], arguments].concat())
    }

    /// A new access key of the account or, with `--user`, of one of its users.
    pub(crate) fn key(&self, owner: &[&str]) -> Key {
        self.setting.key(owner)
    }

    /// One more API.
    pub(crate) fn serve(&mut self) {
        let ports = (network::free_port(), network::free_port());
        self.apis.push(self.setting.api(&self.family, ports));
        self.balancer.add(ports.1);
    }

    /// An API that is started otherwise, with its own options, beside those of the installation.
    pub(crate) fn serve_with(&self, options: &[&str]) -> Process {
        let agents = format!("127.0.0.1:{}", network::free_port());
        let mut command = self.setting.warren(&["serve", "--agent-listen", &agents]);
        self.family.spawn("warren serve", command.args(options))
    }

    /// An API that was killed, on its ports.
    pub(crate) fn serve_again(&mut self, index: usize) {
        let ports = self.apis[index].ports;
        self.apis[index] = self.setting.api(&self.family, ports);
    }

    /// One more worker.
    pub(crate) fn work(&mut self) {
        self.work_with(&[]);
    }

    /// One more worker, with options of its own.
    pub(crate) fn work_with(&mut self, options: &[&str]) {
        let worker = self.setting.worker(&self.family, options, None);
        self.workers.push(worker);
    }

    /// A worker in the place of one that was stopped.
    pub(crate) fn work_again(&mut self, index: usize) {
        self.workers[index] = self.setting.worker(&self.family, &[], None);
    }

    /// The only worker, and it dies at this point of a workflow.
    pub(crate) fn work_until(&mut self, point: &str) {
        self.workers.clear();
        self.workers
            .push(self.setting.worker(&self.family, &[], Some(point)));
    }

    /// The agent that was stopped, with the identity it has.
    pub(crate) fn watch_again(&mut self) {
        self.agent = self.setting.agent(&self.family, self.balancer.port, None);
    }

    /// A dump of the database, taken while everything runs.
    pub(crate) fn back_up(&self) -> PathBuf {
        let file = self.setting.path("backup");
        postgres::dump(&self.setting.database_url, &file);
        file
    }

    /// The control plane is lost with its database, and built up again from a dump and the master key.
    pub(crate) fn restore(&mut self, dump: &Path) {
        for api in &mut self.apis {
            api.process.kill();
        }
        self.workers.clear();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be built");
        self.setting.database_url = runtime.block_on(postgres::empty_database());
        postgres::restore(dump, &self.setting.database_url);
        self.setting.succeed(&["migrate"]);
        for index in 0..self.apis.len() {
            self.serve_again(index);
        }
        self.work();
    }

    pub(crate) fn api_port(&self, index: usize) -> u16 {
        self.apis[index].ports.0
    }

    pub(crate) fn endpoint(&self, index: usize) -> String {
        format!("http://127.0.0.1:{}", self.apis[index].ports.0)
    }

    /// Where agents reach the control plane.
    pub(crate) fn control_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.balancer.port)
    }

    /// What gives any client of AWS this key, and an API of the installation.
    pub(crate) fn environment(key: &Key, endpoint: &str) -> BTreeMap<String, String> {
        let variables = [
            ("AWS_ACCESS_KEY_ID", key.id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", &key.secret),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL_MQ", endpoint),
            ("AWS_ENDPOINT_URL_STS", endpoint),
        ];
        let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        owned.into()
    }

    pub(crate) fn script(&self, name: &str) -> Command {
        let mut script = python::script(name);
        script
            .envs(Self::environment(&self.key, &self.endpoint(0)))
            .env("WARREN_CA", self.setting.path("ca.pem"));
        script
    }

    /// Runs one statement against the installation's database: what no caller could do.
    pub(crate) fn execute(&self, statement: &str) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be built");
        let done = runtime.block_on(async {
            let mut connection = PgConnection::connect(&self.setting.database_url).await?;
            let statement = sqlx::AssertSqlSafe(statement.to_owned());
            sqlx::query(statement).execute(&mut connection).await
        });
        done.expect("the statement can be executed");
    }

    /// How many rows a table has.
    pub(crate) fn rows(&self, table: &str) -> i64 {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be built");
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&self.setting.database_url)
                .await
                .expect("the database runs");
            sqlx::query_scalar(count)
                .fetch_one(&mut connection)
                .await
                .expect("the table can be counted")
        })
    }

    /// How many volumes the host has.
    pub(crate) fn volumes(&self) -> usize {
        let place = self.setting.path("host-1").join("volumes");
        std::fs::read_dir(place).map_or(0, |found| found.count())
    }

    pub(crate) fn remote(&self) -> Remote {
        Remote::start(self.script("remote.py"))
    }
}

impl Setting {
    /// A database with the newest schema, and a master key.
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be built");
        let setting = Self {
            directory: tempfile::tempdir().expect("a temporary directory can be created"),
            database_url: runtime.block_on(postgres::empty_database()),
            collector: None,
        };
        master_key(&setting.path("master.key"));
        setting.succeed(&["migrate"]);
        setting
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn warren(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(directory::binary("warren"));
        clean(&mut command);
        command
            .args(arguments)
            .env("DATABASE_URL", &self.database_url)
            .env("WARREN_MASTER_KEY_FILE", self.path("master.key"));
        if let Some(collector) = &self.collector {
            command
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
                .env("OTEL_BSP_SCHEDULE_DELAY", "200");
        }
        command
    }

    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        python::succeed(&mut self.warren(arguments))
    }

    pub(crate) fn account(&self, name: &str) -> Key {
        self.succeed(&["admin", "account", "create", "--name", name]);
        self.key(&["--account", name])
    }

    fn key(&self, owner: &[&str]) -> Key {
        let printed = self.succeed(&[&["admin", "access-key", "create"], owner].concat());
        Key {
            id: value(&printed, "AWS_ACCESS_KEY_ID"),
            secret: value(&printed, "AWS_SECRET_ACCESS_KEY"),
        }
    }

    fn host_token(&self, name: &str, zone: &str) -> String {
        self.succeed(&[
            "admin",
            "host-token",
            "create",
            "--host-name",
            name,
            "--zone",
            zone,
        ])
        .trim()
        .to_owned()
    }

    fn api(&self, family: &Family, ports: (u16, u16)) -> Api {
        let (public, agents) = ports;
        let mut command = self.warren(&["serve"]);
        command
            .args(["--listen", &format!("127.0.0.1:{public}")])
            .args(["--agent-listen", &format!("127.0.0.1:{agents}")])
            // Clients of tests ask as fast as they can; what they would be told is tested elsewhere.
            .args(["--requests-per-second", "0"]);
        let process = family.spawn("warren serve", &mut command);
        let address = SocketAddr::from(([127, 0, 0, 1], public));
        network::eventually("the API is healthy", PATIENCE, || {
            network::get(address, "/health").filter(|(status, _)| *status == 200)
        });
        Api { process, ports }
    }

    fn worker(&self, family: &Family, options: &[&str], crash_at: Option<&str>) -> Process {
        let mut command = self.warren(&["worker"]);
        command.args(options);
        if let Some(point) = crash_at {
            command.env("WARREN_CRASH_AT", point);
        }
        family.spawn("warren worker", &mut command)
    }

    fn agent(&self, family: &Family, port: u16, token: Option<&str>) -> Process {
        let mut command = self.warren(&["agent"]);
        command
            .args(["--control-url", &format!("https://127.0.0.1:{port}")])
            .arg("--ca")
            .arg(self.path("ca.pem"))
            .arg("--data-dir")
            .arg(self.path("host-1"));
        if let Some(token) = token {
            command.args(["--token", token]);
        }
        family.spawn("warren agent", &mut command)
    }
}

/// The value behind `name=` in what a command printed.
fn value(printed: &str, name: &str) -> String {
    let mut lines = printed
        .lines()
        .map(|line| line.trim().trim_start_matches("export "));
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    found
        .unwrap_or_else(|| panic!("{name} is not in:\n{printed}"))
        .trim_matches(['"', '\''])
        .to_owned()
}

fn master_key(path: &Path) {
    warren::secrets::MasterKey::generate_file(path).expect("a key file can be made");
}
