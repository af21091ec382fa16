//! Engine releases on this host: fetched once, believed only as signed, kept by their hash.
//!
//! Invariant: a path that [`Engines::provide`] returns was, at that moment, a file of exactly the
//! signed size and SHA-256, and only this user could have changed it since. A file under its final
//! name is whole; what a crash leaves of a download has another name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use agent_api::{ArtefactFile, EngineArtefact, NodeIntent};
use aws_lc_rs::digest::{Context, SHA256};
use parking_lot::Mutex;
use signing::TrustedKeys;
use uuid::Uuid;

/// What releases that no node needs may take up, in bytes.
const IDLE_BYTES_MAX: u64 = 2 << 30;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A download that stands still for so long is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
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
    #[error("{url} cannot be fetched: {source}")]
    Fetch { url: String, source: reqwest::Error },
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
            Self::Fetch { .. } | Self::File { .. } | Self::Interrupted => false,
        }
    }
}

/// The built-in engine, and the cache of all others.
#[derive(Debug)]
pub(crate) struct Engines {
    dir: PathBuf,
    builtin: PathBuf,
    keys: TrustedKeys,
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
        let _fetching = self.fetching.lock().await;
        let path = self.dir.join(&file.sha256);
        let kept = {
            let (path, file) = (path.clone(), file.clone());
            blocking(move || Ok(is_whole(&path, &file))).await?
        };
        if !kept {
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
        let failed = |source| Rejected::Fetch {
            url: url.to_owned(),
            source,
        };
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()
            .map_err(failed)?;
        let response = client.get(url).send().await.map_err(failed)?;
        let mut response = response.error_for_status().map_err(failed)?;
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            download.take(&chunk)?;
        }
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

/// Bytes on their way into a file, counted and hashed.
struct Download {
    url: String,
    file: ArtefactFile,
    path: PathBuf,
    out: File,
    hash: Context,
    bytes: u64,
}

impl Download {
    fn start(url: &str, file: &ArtefactFile, path: &Path) -> Result<Self, Rejected> {
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(path);
        Ok(Self {
            url: url.to_owned(),
            file: file.clone(),
            path: path.to_owned(),
            out: opened.map_err(|source| Rejected::File {
                path: path.to_owned(),
                source,
            })?,
            hash: Context::new(&SHA256),
            bytes: 0,
        })
    }

    /// No more is written than was signed, whatever comes.
    fn take(&mut self, chunk: &[u8]) -> Result<(), Rejected> {
        self.bytes += chunk.len() as u64;
        if self.bytes > self.file.size_bytes {
            return Err(self.wrong_size());
        }
        self.hash.update(chunk);
        self.out
            .write_all(chunk)
            .map_err(|source| self.failed(source))
    }

    fn copy(mut self, source: &Path) -> Result<(), Rejected> {
        let wrong = |cause| Rejected::File {
            path: source.to_owned(),
            source: cause,
        };
        let mut from = File::open(source).map_err(wrong)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = from.read(&mut buffer).map_err(wrong)?;
            if count == 0 {
                return self.finish();
            }
            self.take(&buffer[..count])?;
        }
    }

    fn finish(self) -> Result<(), Rejected> {
        if self.bytes != self.file.size_bytes {
            return Err(self.wrong_size());
        }
        let found = hex::encode(self.hash.clone().finish());
        if found != self.file.sha256 {
            return Err(Rejected::WrongHash {
                url: self.url,
                found,
                sha256: self.file.sha256,
            });
        }
        let executable = fs::Permissions::from_mode(0o500);
        self.out
            .set_permissions(executable)
            .and_then(|()| self.out.sync_all())
            .map_err(|source| self.failed(source))
    }

    fn wrong_size(&self) -> Rejected {
        Rejected::WrongSize {
            url: self.url.clone(),
            size_bytes: self.file.size_bytes,
        }
    }

    fn failed(&self, source: io::Error) -> Rejected {
        Rejected::File {
            path: self.path.clone(),
            source,
        }
    }
}

/// Whether the file is what was signed. One that is not goes away.
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
        tracing::warn!(path = %path.display(), "a kept engine is damaged and goes");
        let _ = fs::remove_file(path);
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

#[cfg(test)]
mod tests {
    use signing::SecretKey;

    use super::*;

    struct Publisher {
        dir: tempfile::TempDir,
        key: SecretKey,
    }

    impl Publisher {
        fn new() -> Self {
            Self {
                dir: tempfile::tempdir().unwrap(),
                key: SecretKey::generate("k").unwrap(),
            }
        }

        fn publish(&self, bytes: &[u8]) -> EngineArtefact {
            let path = self.dir.path().join("artefact");
            fs::write(&path, bytes).unwrap();
            let mut hash = Context::new(&SHA256);
            hash.update(bytes);
            let mut file = ArtefactFile {
                sha256: hex::encode(hash.finish()),
                size_bytes: bytes.len() as u64,
                key_id: "k".to_owned(),
                signature: String::new(),
            };
            file.signature = self.key.sign(file.statement("2").as_bytes());
            EngineArtefact {
                release: "2".to_owned(),
                artefact: format!("file://{}", path.display()),
                file: Some(file),
            }
        }

        fn engines(&self) -> Engines {
            let dir = self.dir.path().join("engines");
            fs::create_dir_all(&dir).unwrap();
            let keys = TrustedKeys::new(vec![self.key.public()]);
            Engines::new(dir, "/builtin".into(), keys)
        }

        fn overwrite(&self, bytes: &[u8]) {
            fs::write(self.dir.path().join("artefact"), bytes).unwrap();
        }
    }

    #[tokio::test]
    async fn a_signed_release_is_fetched_once_executable_and_mended_when_it_rots() {
        let publisher = Publisher::new();
        let engine = publisher.publish(b"#!/bin/sh\nexit 0\n");
        let engines = publisher.engines();
        let path = engines.provide(&engine).await.unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o500
        );
        publisher.overwrite(b"something else");
        assert_eq!(engines.provide(&engine).await.unwrap(), path, "kept");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(&path, b"#!/bin/sh\nexit 1\n").unwrap();
        let gone = engines.provide(&engine).await.unwrap_err();
        assert!(gone.is_final(), "{gone}");
        publisher.overwrite(b"#!/bin/sh\nexit 0\n");
        assert_eq!(engines.provide(&engine).await.unwrap(), path);
    }

    #[tokio::test]
    async fn nothing_else_than_what_was_signed_is_kept() {
        let publisher = Publisher::new();
        let engine = publisher.publish(b"good");
        let engines = publisher.engines();
        for (bytes, reason) in [
            (&b"evil"[..], "was signed"),
            (b"much more than that", "bytes that were signed"),
            (b"go", "bytes that were signed"),
        ] {
            publisher.overwrite(bytes);
            let rejected = engines.provide(&engine).await.unwrap_err();
            assert!(rejected.is_final());
            assert!(rejected.to_string().contains(reason), "{rejected}");
        }
        assert_eq!(fs::read_dir(&engines.dir).unwrap().count(), 0);
        fs::remove_file(publisher.dir.path().join("artefact")).unwrap();
        assert!(!engines.provide(&engine).await.unwrap_err().is_final());
    }

    #[tokio::test]
    async fn a_release_without_the_trusted_signature_is_not_even_fetched() {
        let publisher = Publisher::new();
        let engine = publisher.publish(b"good");
        let engines = publisher.engines();
        let other_release = EngineArtefact {
            release: "3".to_owned(),
            ..engine.clone()
        };
        let mut forged = engine.clone();
        if let Some(file) = &mut forged.file {
            file.signature = SecretKey::generate("k").unwrap().sign(b"x");
        }
        let unsigned = EngineArtefact {
            file: None,
            ..engine.clone()
        };
        let mut outside = engine.clone();
        if let Some(file) = &mut outside.file {
            file.sha256 = format!("../{}", &file.sha256[3..]);
        }
        for engine in [other_release, forged, unsigned, outside] {
            let rejected = engines.provide(&engine).await.unwrap_err();
            assert!(rejected.is_final(), "{rejected}");
        }
        let trusting_nobody = Engines::new(
            engines.dir.clone(),
            "/builtin".into(),
            TrustedKeys::default(),
        );
        let rejected = trusting_nobody.provide(&engine).await.unwrap_err();
        assert!(rejected.to_string().contains("--engine-key"), "{rejected}");
        let builtin = EngineArtefact {
            release: "1".to_owned(),
            artefact: EngineArtefact::BUILTIN.to_owned(),
            file: None,
        };
        let path = trusting_nobody.provide(&builtin).await.unwrap();
        assert_eq!(path, Path::new("/builtin"));
    }
}
