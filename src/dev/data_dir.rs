//! The data directory: who may use it now, and the files that are not the database's.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Error;

/// Held for as long as the value lives; freed by the kernel when the process dies.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory on the first start.
    pub(super) fn open(path: &Path) -> Result<DataDir, Error> {
        // Root's must let the unprivileged user of Postgres pass.
        let mode = if rustix::process::geteuid().is_root() {
            0o711
        } else {
            0o700
        };
        let fail = |source| Error::DataDir {
            path: path.to_owned(),
            source,
        };
        if !path.is_dir() {
            DirBuilder::new()
                .recursive(true)
                .mode(mode)
                .create(path)
                .map_err(fail)?;
        }
        let path = path.canonicalize().map_err(fail)?;
        let lock = lock(&path)?;
        Ok(DataDir { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// None if there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, Error> {
        let path = self.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::DataDir { path, source }),
        }
    }

    /// Whole or not at all, with this mode, whatever was there before.
    pub(super) fn write(&self, name: &str, text: &str, mode: u32) -> Result<(), Error> {
        let path = self.join(name);
        let draft = self.join(&format!("{name}.new"));
        let write = || {
            match std::fs::remove_file(&draft) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)
        };
        write().map_err(|source| Error::DataDir {
            path: path.clone(),
            source,
        })
    }
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let fail = |source| Error::DataDir {
        path: path.clone(),
        source,
    };
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(fail)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(fail)?;
            let pid = holder.trim().to_owned();
            return Err(Error::InUse {
                path: dir.to_owned(),
                pid,
            });
        }
        Err(TryLockError::Error(source)) => return Err(fail(source)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(fail)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_holder_is_told_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(&dir.path().join("data")).unwrap();
        let error = DataDir::open(&dir.path().join("data"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        assert!(
            error.contains(&first.path().display().to_string()),
            "{error}"
        );
        drop(first);
        DataDir::open(&dir.path().join("data")).unwrap();
    }

    #[test]
    fn a_file_gets_its_mode_even_if_it_had_another() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(dir.path()).unwrap();
        data_dir.write("a", "one", 0o644).unwrap();
        data_dir.write("a", "two", 0o600).unwrap();
        assert_eq!(data_dir.read("a").unwrap().as_deref(), Some("two"));
        let mode = std::fs::metadata(data_dir.join("a"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(data_dir.read("b").unwrap(), None);
    }
}
