//! A directory of the operating system.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IoSlice},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{FallocateFlags, FlockOperation};

use super::{Disk, DiskFile};

const LOCK_FILE: &str = "lock";

/// Files in a directory that this process owns; readable by its user only.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    directory: File,
}

impl RealDisk {
    /// Opens the directory, creating it (mode 0700) and its parents where they are missing.
    pub fn open(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)?;
        let directory = File::open(path)?;
        if let Some(parent) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            // The directory's own name must survive a power cut too.
            File::open(parent)?.sync_all()?;
        }
        Ok(Self {
            path: path.to_owned(),
            directory,
        })
    }

    fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        options
    }
}

impl Disk for RealDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(
            Self::options()
                .create_new(true)
                .open(self.path.join(name))?,
        )))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(
            Self::options().open(self.path.join(name))?,
        )))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
                && name != LOCK_FILE
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.directory.sync_all()
    }

    fn available_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.directory)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let file = Self::options()
            .create(true)
            .truncate(false)
            .open(self.path.join(LOCK_FILE))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn write_pieces_at(&self, pieces: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let (mut pieces, mut offset) = (pieces, offset);
        while !pieces.is_empty() {
            match rustix::io::pwritev(&self.0, pieces, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut pieces, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            // Some file systems cannot reserve space; there a full volume shows at the write and is fatal.
            Err(rustix::io::Errno::OPNOTSUPP) if self.0.metadata()?.len() >= len => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP) => self.0.set_len(len),
            Err(error) => Err(error.into()),
        }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::{Disk, RealDisk};

    #[test]
    fn a_directory_is_locked_once() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (
            RealDisk::open(directory.path()).unwrap(),
            RealDisk::open(directory.path()).unwrap(),
        );
        let guard = first.lock().unwrap();
        assert!(guard.is_some());
        assert!(second.lock().unwrap().is_none());
        drop(guard);
        assert!(second.lock().unwrap().is_some());
    }

    #[test]
    fn a_removed_file_stays_readable_while_open() {
        let directory = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(directory.path()).unwrap();
        let file = disk.create("one").unwrap();
        file.preallocate(8192).unwrap();
        file.write_at(b"content", 4096).unwrap();
        disk.remove("one").unwrap();
        let mut buffer = [0; 7];
        file.read_at(&mut buffer, 4096).unwrap();
        assert_eq!((&buffer, file.len().unwrap()), (b"content", 8192));
        assert!(disk.list().unwrap().is_empty());
    }
}
