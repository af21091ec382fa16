//! An artefact on its way into a file of this host.
//!
//! Invariant: what is finished has exactly the size and the SHA-256 that were signed; no more than that is ever written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use agent_api::ArtefactFile;
use aws_lc_rs::digest::{Context, SHA256};

use super::{BUFFER_BYTES, Rejected};

/// Bytes on their way into a file, counted and hashed.
pub(super) struct Download {
    url: String,
    file: ArtefactFile,
    path: PathBuf,
    out: File,
    hash: Context,
    bytes: u64,
}

impl Download {
    pub(super) fn start(url: &str, file: &ArtefactFile, path: &Path) -> Result<Self, Rejected> {
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
    pub(super) fn take(&mut self, chunk: &[u8]) -> Result<(), Rejected> {
        self.bytes += chunk.len() as u64;
        if self.bytes > self.file.size_bytes {
            return Err(self.wrong_size());
        }
        self.hash.update(chunk);
        self.out
            .write_all(chunk)
            .map_err(|source| self.failed(source))
    }

    pub(super) fn copy(mut self, source: &Path) -> Result<(), Rejected> {
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

    pub(super) fn finish(self) -> Result<(), Rejected> {
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
