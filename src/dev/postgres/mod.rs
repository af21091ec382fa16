//! The private Postgres of one data directory: found or fetched, made, started, stopped.
//!
//! Owns the cluster, its processes and its socket; nothing of what is stored in it. Reached over a
//! unix socket in a private directory only, with a password.
//!
//! Invariants: at most one postmaster serves a data directory (the caller holds its lock, and what
//! a killed predecessor left running is stopped first). A cluster is used with binaries of its own
//! major version only. Nothing outside the data directory, the runtime directory and, when the
//! data directory cannot be reached by an unprivileged user, [`place::SHARED_ROOT`] is touched.

mod binaries;
mod cluster;
mod download;
mod leftovers;
mod origin;
mod place;
mod server;
mod user;

use std::path::{Path, PathBuf};

use super::progress::Progress;
use server::Server;
use user::Unprivileged;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{doing} {path}: {source}")]
    File {
        doing: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "Postgres is needed: install it (Debian: apt-get install postgresql; macOS: brew install postgresql), or set DATABASE_URL. \
         It was not found on PATH or in the usual places, and pip could not fetch it: {0}"
    )]
    NotFound(String),
    #[error(
        "this data directory's database was made by Postgres {needed}, which is not here ({found}): \
         install Postgres {needed}"
    )]
    OtherMajor { needed: u32, found: String },
    #[error("cannot run {program}: {source}")]
    Spawn {
        program: PathBuf,
        source: std::io::Error,
    },
    #[error("initdb failed: {0}")]
    Initdb(String),
    #[error("Postgres ended while starting; the last lines of {log} are:\n{tail}")]
    Died { log: PathBuf, tail: String },
    #[error("Postgres does not answer after {seconds} s: {cause} (its log is {log})")]
    Silent {
        seconds: u64,
        cause: String,
        log: PathBuf,
    },
    #[error("{path} belongs to another user (uid {uid}): remove it, or set TMPDIR")]
    ForeignDirectory { path: PathBuf, uid: u32 },
    #[error(
        "{closed} is closed to the user that runs Postgres (uid {uid}), which needs to pass it to reach {path}"
    )]
    Unreachable {
        path: PathBuf,
        closed: PathBuf,
        uid: u32,
    },
    #[error(
        "the database of this data directory is missing: {link} leads to {target}, which is gone. \
         Remove {link} to begin with an empty one"
    )]
    Dangling { link: PathBuf, target: PathBuf },
    #[error("process {pid}, a Postgres that an earlier start left behind, does not stop")]
    Stuck { pid: i32 },
    #[error("the system's random number generator failed")]
    Random,
}

/// Attaches what was being done, and to which path, to an I/O error.
trait Doing<T> {
    fn doing(self, doing: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, doing: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::File {
            doing,
            path: path.to_owned(),
            source,
        })
    }
}

/// A running private server.
#[derive(Debug)]
pub(super) struct Postgres {
    server: Server,
    pub(super) url: String,
    pub(super) version: String,
}

impl Postgres {
    /// `data_dir` exists, is canonical, and its lock is held.
    pub(super) async fn start(data_dir: &Path, progress: &Progress) -> Result<Postgres, Error> {
        let user = Unprivileged::choose();
        if user.is_some() {
            origin::prune(Path::new(place::SHARED_ROOT)).await;
        }
        let home = place::home(data_dir, user)?;
        leftovers::clear(&home.join(cluster::DATA)).await?;
        let binaries = binaries::find(cluster::major(&home)?, user, progress).await?;
        let password = cluster::prepare(&home, &binaries, user, progress).await?;
        let socket_dir = place::socket_dir(data_dir, user)?;
        let server = Server::start(&home, &socket_dir, &binaries, user, &password).await?;
        let url = server::url(&socket_dir, &password);
        Ok(Postgres {
            server,
            url,
            version: binaries.version,
        })
    }

    /// Disconnects clients, writes a checkpoint and ends all its processes.
    pub(super) async fn stop(self) {
        self.server.stop().await;
    }
}
