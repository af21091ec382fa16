//! The cluster's files: made once, never half.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use aws_lc_rs::rand;

use super::super::progress::Progress;
use super::binaries::Binaries;
use super::user::{Unprivileged, command};
use super::{Doing, Error};

/// The cluster itself, below its home.
pub(super) const DATA: &str = "data";
pub(super) const SUPERUSER: &str = "warren";
const PASSWORD: &str = "password";

/// The major version that made the cluster, if there is one.
pub(super) fn major(home: &Path) -> Result<Option<u32>, Error> {
    let path = home.join(DATA).join("PG_VERSION");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(source).doing("cannot read", &path),
    }
}

/// Makes the cluster on the first start, and returns the superuser's password.
pub(super) async fn prepare(
    home: &Path,
    binaries: &Binaries,
    user: Option<Unprivileged>,
    progress: &Progress,
) -> Result<String, Error> {
    let password_file = home.join(PASSWORD);
    let data = home.join(DATA);
    if data.exists() {
        return std::fs::read_to_string(&password_file)
            .map(|text| text.trim().to_owned())
            .doing("cannot read", &password_file);
    }
    progress.step(&format!(
        "making a private database with Postgres {}",
        binaries.version
    ));
    let password = new_password(&password_file, user)?;
    // A start that is killed in here leaves a draft, which the next one makes anew.
    let draft = home.join("data.partial");
    if draft.exists() {
        std::fs::remove_dir_all(&draft).doing("cannot remove", &draft)?;
    }
    let mut initdb = command(&binaries.program("initdb"), user);
    initdb
        .arg("--pgdata")
        .arg(&draft)
        .arg("--pwfile")
        .arg(&password_file)
        .args(["--username", SUPERUSER, "--auth", "scram-sha-256"])
        .args(["--encoding", "UTF8", "--locale", "C"])
        .current_dir(home)
        .stdin(Stdio::null());
    let program: PathBuf = binaries.program("initdb");
    // Its own group: a Ctrl-C in these seconds waits for it instead of breaking it off.
    let output = tokio::process::Command::from(initdb)
        .process_group(0)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| Error::Spawn { program, source })?;
    if !output.status.success() {
        return Err(Error::Initdb(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    std::fs::rename(&draft, &data).doing("cannot rename", &draft)?;
    Ok(password)
}

fn new_password(path: &Path, user: Option<Unprivileged>) -> Result<String, Error> {
    let mut bytes = [0u8; 24];
    rand::fill(&mut bytes).map_err(|_| Error::Random)?;
    let password = hex::encode(bytes);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .doing("cannot write", path)?;
    // initdb reads it as the server's user.
    if let Some(user) = user {
        user.own(path).doing("cannot give away", path)?;
    }
    writeln!(file, "{password}")
        .and_then(|()| file.sync_all())
        .doing("cannot write", path)?;
    Ok(password)
}
