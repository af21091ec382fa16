//! Engine releases on this host: fetched once, believed only as signed, kept by their hash.
//!
//! Invariant: a path that [`Engines::provide`] returns was, at that moment, a file of exactly the
//! signed size and SHA-256, and only this user could have changed it since. A file under its final
//! name is whole; what a crash leaves of a download has another name.

mod download;
#[cfg(test)]
mod tests;
mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use agent_api::{ArtefactFile, EngineArtefact, NodeIntent};
use aws_lc_rs::digest::{Context, SHA256};
use parking_lot::Mutex;
use signing::TrustedKeys;
use uuid::Uuid;

use download::Download;
use web::Patience;

/// What releases that no node needs may take up, in bytes.
const IDLE_BYTES_MAX: u64 = 2 << 30;
const DOWNLOAD_PREFIX: &str = ".fetch-";
const BUFFER_BYTES: usize = 1 << 16;

/// Why a release cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    #[error("release {0} comes without a hash and a signature")]
    Unsigned(String),
    #[error("release {0} is not built in, and this host trusts no engine key (--engine-key)")]
    NoKey(String),
    #[error("release {release} is not trusted: {source}")]
    Untrusted {
        release: String,
        source: signing::Error,
    },
    #[error("{url} has more or fewer than the {size_bytes} bytes that were signed")]
    WrongSize { url: String, size_bytes: u64 },
    #[error("{url} has SHA-256 {found}, and {sha256} was signed")]
    WrongHash {
        url: String,
        found: String,
        sha256: String,
    },
    #[error("{0} is no https:, http: or file: URL")]
    Url(String),
    #[error("{url} cannot be fetched: {}", web::reason(source))]
    Fetch { url: String, source: reqwest::Error },
    #[error("{url} did not arrive within {limit_s} s")]
    Slow { url: String, limit_s: u64 },
    #[error("{path}: {source}", path = .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("interrupted")]
    Interrupted,
}

impl Rejected {
    /// Whether asking again cannot help: what was signed is wrong, or what is there.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Unsigned(_)
            | Self::NoKey(_)
            | Self::Untrusted { .. }
            | Self::WrongSize { .. }
            | Self::WrongHash { .. }
            | Self::Url(_) => true,
            Self::Fetch { .. } | Self::Slow { .. } | Self::File { .. } | Self::Interrupted => false,
        }
    }
}

/// The built-in engine, and the cache of all others.
#[derive(Debug)]
pub(crate) struct Engines {
    dir: PathBuf,
    builtin: PathBuf,
    keys: TrustedKeys,
    patience: Patience,
    /// Hashes that nodes have to do with.
    needed: Mutex<BTreeMap<Uuid, BTreeSet<String>>>,
    /// One download at a time: nodes that are upgraded together need the same one.
    fetching: tokio::sync::Mutex<()>,
}

impl Engines {
    /// `dir` exists, and only this user can enter it.
    pub(crate) fn new(dir: PathBuf, builtin: PathBuf, keys: TrustedKeys) -> Self {
        Self {
            dir,
            builtin,
            keys,
            patience: Patience::default(),
            needed: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// Notes what a node may have to run, which is then kept.
    pub(crate) fn need(&self, intent: &NodeIntent) {
        let fallback = intent.fallback.as_ref().map(|fallback| &fallback.engine);
        let files = [Some(&intent.engine), fallback].into_iter().flatten();
        let hashes = files.filter_map(|engine| Some(engine.file.as_ref()?.sha256.clone()));
        self.needed.lock().insert(intent.node_id, hashes.collect());
    }

    /// A node is none of this host's business any more.
    pub(crate) fn forget(&self, node_id: Uuid) {
        self.needed.lock().remove(&node_id);
    }

    /// The executable of a release. Verified on each call: what lies on a disk may rot.
    pub(crate) async fn provide(&self, engine: &EngineArtefact) -> Result<PathBuf, Rejected> {
        if engine.is_builtin() {
            return Ok(self.builtin.clone());
        }
        let file = self.trusted(engine)?;
        let path = self.dir.join(&file.sha256);
        // What is here waits for no turn: a server that hangs keeps no other node from starting.
        if is_kept(&path, file).await? {
            return Ok(path);
        }
        let _fetching = self.fetching.lock().await;
        if !is_kept(&path, file).await? {
            self.fetch(&engine.artefact, file, &path).await?;
            tracing::info!(
                release = engine.release,
                sha256 = file.sha256,
                "fetched an engine"
            );
        }
        self.tidy(&file.sha256);
        Ok(path)
    }

    fn trusted<'a>(&self, engine: &'a EngineArtefact) -> Result<&'a ArtefactFile, Rejected> {
        let release = || engine.release.clone();
        // The hash becomes a file's name.
        let named = |file: &&ArtefactFile| {
            let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            file.sha256.len() == 64 && file.sha256.bytes().all(hex)
        };
        let file = engine.file.as_ref().filter(named);
        let file = file.ok_or_else(|| Rejected::Unsigned(release()))?;
        if self.keys.is_empty() {
            return Err(Rejected::NoKey(release()));
        }
        let statement = file.statement(&engine.release);
        self.keys
            .verify(&file.key_id, statement.as_bytes(), &file.signature)
            .map_err(|source| Rejected::Untrusted {
                release: release(),
                source,
            })?;
        Ok(file)
    }

    async fn fetch(&self, url: &str, file: &ArtefactFile, path: &Path) -> Result<(), Rejected> {
        let temporary = self.dir.join(format!(
            "{DOWNLOAD_PREFIX}{}",
            Uuid::from_u128(fastrand::u128(..))
        ));
        let fetched = self.fetch_into(url, file, &temporary).await;
        let placed = match fetched {
            Ok(()) => place(&temporary, path).map_err(|source| Rejected::File {
                path: path.to_owned(),
                source,
            }),
            Err(rejected) => Err(rejected),
        };
        if placed.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        placed
    }

    async fn fetch_into(
        &self,
        url: &str,
        file: &ArtefactFile,
        temporary: &Path,
    ) -> Result<(), Rejected> {
        let mut download = Download::start(url, file, temporary)?;
        if let Some(source) = url.strip_prefix("file://") {
            let source = PathBuf::from(source);
            return blocking(move || download.copy(&source)).await;
        }
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            return Err(Rejected::Url(url.to_owned()));
        }
        web::fetch(url, file.size_bytes, &self.patience, &mut download).await?;
        blocking(move || download.finish()).await
    }

    /// Removes leftovers, and the releases that were not needed for longest when there are many.
    fn tidy(&self, just_used: &str) {
        let needed: BTreeSet<String> = self.needed.lock().values().flatten().cloned().collect();
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        let mut idle: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == just_used || needed.contains(&name) {
                continue;
            }
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if name.starts_with(DOWNLOAD_PREFIX) {
                let _ = fs::remove_file(entry.path());
                continue;
            }
            let used = metadata.accessed().or_else(|_| metadata.modified());
            let used = used.unwrap_or(SystemTime::UNIX_EPOCH);
            idle.push((used, metadata.len(), entry.path()));
        }
        idle.sort();
        let mut bytes: u64 = idle.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in idle {
            if bytes <= IDLE_BYTES_MAX {
                break;
            }
            bytes -= size;
            match fs::remove_file(&path) {
                Ok(()) => tracing::info!(path = %path.display(), "removed an idle engine"),
                Err(error) => tracing::warn!(path = %path.display(), %error, "cannot remove it"),
            }
        }
    }
}

async fn is_kept(path: &Path, file: &ArtefactFile) -> Result<bool, Rejected> {
    let (path, file) = (path.to_owned(), file.clone());
    blocking(move || Ok(is_whole(&path, &file))).await
}

/// Whether the file is what was signed. One that is not stays where it is, and the next download takes its place: whoever
/// looks may look at one that is being replaced.
fn is_whole(path: &Path, file: &ArtefactFile) -> bool {
    let Ok(mut kept) = File::open(path) else {
        return false;
    };
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; BUFFER_BYTES];
    let read = loop {
        match kept.read(&mut buffer) {
            Ok(0) => break true,
            Ok(count) => hash.update(&buffer[..count]),
            Err(_) => break false,
        }
    };
    let whole = read && hex::encode(hash.finish()) == file.sha256;
    if !whole {
        tracing::warn!(path = %path.display(), "a kept engine is damaged");
    }
    whole
}

fn place(temporary: &Path, path: &Path) -> io::Result<()> {
    fs::rename(temporary, path)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Rejected> + Send + 'static,
) -> Result<T, Rejected> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(Rejected::Interrupted))
}
