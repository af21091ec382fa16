//! A private Postgres for the running test binary, and a migrated database for each test.
//!
//! The first test that asks starts the cluster and migrates a template; each database is a clone
//! of it. **Invariant:** the cluster ends with the test process, however that ends: a watchdog
//! waits for the end of a pipe that only the test process holds. The cluster forgets nothing
//! faster than it must, so it runs without syncs, unless `WARREN_TEST_SYNC` is set.

mod binaries;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use crate::directory;

const TEMPLATE: &str = "warren_template";
const SUPERUSER: &str = "postgres";

static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start);
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A fresh database with the newest schema.
#[derive(Debug, Clone)]
pub struct Database {
    /// For processes under test, as `DATABASE_URL`.
    pub url: String,
    pub pool: PgPool,
}

/// Creates a migrated database of the test's own.
pub async fn database() -> Database {
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let cluster = tokio::task::spawn_blocking(|| &*CLUSTER)
        .await
        .expect("the cluster starts, or says why not");
    create(cluster, &name, TEMPLATE).await;
    let url = cluster.url(&name);
    let pool = PgPoolOptions::new()
        .max_connections(10)
        .connect(&url)
        .await
        .expect("a database that was just created accepts connections");
    Database { url, pool }
}

/// The address of a database without any table.
pub async fn empty_database() -> String {
    let name = format!("empty_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let cluster = tokio::task::spawn_blocking(|| &*CLUSTER)
        .await
        .expect("the cluster starts, or says why not");
    create(cluster, &name, "template0").await;
    cluster.url(&name)
}

/// Writes everything in a database to a file, while it is in use.
pub fn dump(url: &str, file: &Path) {
    run(client("pg_dump")
        .args(["--format=custom", "--dbname", url, "--file"])
        .arg(file));
}

/// Reads a file of [`dump`] into a database without any table.
pub fn restore(file: &Path, url: &str) {
    run(client("pg_restore")
        .args(["--exit-on-error", "--no-owner", "--dbname", url])
        .arg(file));
}

fn client(program: &str) -> Command {
    Command::new(CLUSTER.binaries.join(program))
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .expect("the server's clients are installed beside it");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn create(cluster: &Cluster, name: &str, template: &str) {
    let mut connection = PgConnection::connect(&cluster.url(SUPERUSER))
        .await
        .expect("the test cluster accepts connections");
    sqlx::raw_sql(AssertSqlSafe(format!(
        "create database {name} template {template}"
    )))
    .execute(&mut connection)
    .await
    .expect("a database can be created");
}

struct Cluster {
    directory: PathBuf,
    binaries: PathBuf,
    /// The end of its stdin tells it that the test process is gone.
    _watchdog: Child,
}

impl Cluster {
    fn start() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("warren-pg-")
            .tempdir()
            .expect("a temporary directory can be created")
            .keep();
        let account = unprivileged_account();
        let binaries = binaries::find(&directory, account);
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700))
            .expect("an own directory's mode can be set");
        if let Some((uid, gid)) = account {
            chown(&directory, Some(uid), Some(gid)).expect("root may give directories away");
        }
        let command = |program: &Path| {
            let mut command = Command::new(program);
            command
                .current_dir(&directory)
                .env("TZ", "UTC")
                .process_group(0);
            if let Some((uid, gid)) = account {
                command.uid(uid).gid(gid);
            }
            command
        };

        let data = directory.join("data");
        let initialised = command(&binaries.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C"])
            .arg(format!("--username={SUPERUSER}"))
            .arg("--pgdata")
            .arg(&data)
            .output()
            .expect("initdb can be run");
        assert!(
            initialised.status.success(),
            "initdb failed: {}",
            String::from_utf8_lossy(&initialised.stderr)
        );

        // Measurements wait for the disk, as production does.
        let settings: &[&str] = if std::env::var_os("WARREN_TEST_SYNC").is_some() {
            &[]
        } else {
            &[
                "-c",
                "fsync=off",
                "-c",
                "synchronous_commit=off",
                "-c",
                "full_page_writes=off",
            ]
        };
        let script = r#""$@" </dev/null & read -r _; kill -QUIT $!; wait; rm -rf "$0""#;
        let mut watchdog = command(Path::new("/bin/sh"))
            .args(["-c", script])
            .arg(&directory)
            .arg(binaries.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&directory)
            .args(["-c", "listen_addresses=", "-c", "max_connections=400"])
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("/bin/sh can be run");
        let mut log = BufReader::new(watchdog.stderr.take().expect("stderr is a pipe")).lines();
        let mut seen = String::new();
        loop {
            let Some(Ok(line)) = log.next() else {
                panic!("postgres did not start:\n{seen}")
            };
            let _ = writeln!(seen, "{line}");
            if line.contains("ready to accept connections") {
                break;
            }
        }
        // Postgres would block on a full pipe.
        std::thread::spawn(move || log.for_each(drop));

        let cluster = Self {
            directory,
            binaries,
            _watchdog: watchdog,
        };
        // Callers may be inside a runtime of their own, which must not be entered twice.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime can be built")
                    .block_on(cluster.migrate_template());
            });
        });
        cluster
    }

    fn url(&self, database: &str) -> String {
        format!(
            "postgresql:///{database}?host={}&user={SUPERUSER}",
            self.directory.display()
        )
    }

    async fn migrate_template(&self) {
        create(self, TEMPLATE, "template0").await;
        let migrations = Migrator::new(directory::repository().join("migrations"))
            .await
            .expect("the migrations can be read");
        let mut connection = PgConnection::connect(&self.url(TEMPLATE))
            .await
            .expect("the template accepts connections");
        migrations
            .run(&mut connection)
            .await
            .expect("the migrations apply");
        connection
            .close()
            .await
            .expect("the template is left, else it cannot be cloned");
    }
}

/// Postgres refuses to run as root: then it runs as `postgres`, or as nobody.
fn unprivileged_account() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
    let entry = |name: &str| {
        let fields: Vec<&str> = accounts
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields[0] == name)?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    Some(
        entry(SUPERUSER)
            .or_else(|| entry("nobody"))
            .unwrap_or((65534, 65534)),
    )
}
