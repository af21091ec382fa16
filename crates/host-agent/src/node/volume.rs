//! A copy of a volume, from before an engine of another data format opened it.
//!
//! Invariant: a copy under its final name is whole and synced. Going back is two renames, and a
//! crash between them is recognised by the volume that is missing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::{Error, files};

/// The volume of a node and the places beside it.
pub(super) struct Volume {
    volume: PathBuf,
    /// Where copies of this node's volume lie, but for the generation.
    prefix: String,
    copy: PathBuf,
    doomed: PathBuf,
}

impl Volume {
    pub(super) fn new(volumes: &Path, volume: &Path, node_id: Uuid, generation: i64) -> Self {
        let prefix = format!(".before-{node_id}-");
        Self {
            volume: volume.to_owned(),
            copy: volumes.join(format!("{prefix}{generation}")),
            doomed: volumes.join(format!(".failed-{node_id}")),
            prefix,
        }
    }

    /// Copies the volume, unless that was done in this generation. No process may have it open.
    pub(super) fn keep(&self) -> Result<(), Error> {
        if self.copy.exists() {
            return Ok(());
        }
        self.forget()?;
        if !self.volume.exists() {
            return Ok(());
        }
        let mut name = self.copy.as_os_str().to_owned();
        name.push(".new");
        let unfinished = PathBuf::from(name);
        files::remove_tree(&unfinished)?;
        copy_tree(&self.volume, &unfinished).map_err(Error::file(&self.volume))?;
        fs::rename(&unfinished, &self.copy).map_err(Error::file(&self.copy))?;
        sync_parent(&self.copy)
    }

    /// Puts the copy of this generation in the volume's place, if there is one.
    pub(super) fn restore(&self) -> Result<(), Error> {
        if !self.copy.exists() {
            return Ok(());
        }
        if self.volume.exists() {
            files::remove_tree(&self.doomed)?;
            fs::rename(&self.volume, &self.doomed).map_err(Error::file(&self.volume))?;
        }
        fs::rename(&self.copy, &self.volume).map_err(Error::file(&self.copy))?;
        sync_parent(&self.volume)?;
        files::remove_tree(&self.doomed)
    }

    /// Removes the copies of all generations.
    pub(super) fn forget(&self) -> Result<(), Error> {
        let Some(volumes) = self.copy.parent() else {
            return Ok(());
        };
        files::remove_tree(&self.doomed)?;
        for entry in fs::read_dir(volumes)
            .map_err(Error::file(volumes))?
            .flatten()
        {
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(&self.prefix)
            {
                files::remove_tree(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// Copies files and directories, and syncs them. File systems that share blocks copy none.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target)?;
            File::open(&target)?.sync_all()?;
        }
    }
    File::open(to)?.sync_all()
}

fn sync_parent(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(parent) => File::open(parent)
            .and_then(|directory| directory.sync_all())
            .map_err(Error::file(parent)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(dir: &Path, generation: i64) -> Volume {
        Volume::new(dir, &dir.join("v"), Uuid::from_u128(1), generation)
    }

    #[test]
    fn what_was_kept_comes_back_whatever_became_of_the_volume() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::create_dir_all(dir.join("v/inner")).unwrap();
        fs::write(dir.join("v/inner/log"), b"before").unwrap();
        volume(dir, 3).keep().unwrap();
        fs::write(dir.join("v/inner/log"), b"after").unwrap();
        // Asked again, as by a second start of the same generation: the first copy counts.
        volume(dir, 3).keep().unwrap();
        // A crash between the renames.
        fs::rename(dir.join("v"), dir.join(".failed-x")).unwrap();
        volume(dir, 3).restore().unwrap();
        assert_eq!(fs::read(dir.join("v/inner/log")).unwrap(), b"before");
        volume(dir, 3).restore().unwrap();
        assert!(dir.join("v").exists());
    }

    #[test]
    fn a_copy_of_an_earlier_generation_is_never_used() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::create_dir(dir.join("v")).unwrap();
        fs::write(dir.join("v/log"), b"old").unwrap();
        volume(dir, 3).keep().unwrap();
        fs::write(dir.join("v/log"), b"new").unwrap();
        volume(dir, 4).restore().unwrap();
        assert_eq!(fs::read(dir.join("v/log")).unwrap(), b"new");
        volume(dir, 4).keep().unwrap();
        assert_eq!(fs::read_dir(dir).unwrap().count(), 2);
        volume(dir, 4).forget().unwrap();
        assert_eq!(fs::read_dir(dir).unwrap().count(), 1);
    }
}
