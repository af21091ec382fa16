//! Which data directory a cluster outside of it belongs to, and its removal after that one's.
//!
//! A file in the cluster's home names the data directory and all directories above it, with their
//! identities (device and inode). A cluster goes when its data directory is gone while the nearest
//! directory above that still exists is the very one that was there before: a data directory on a
//! volume that is merely not mounted is not taken for deleted.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Doing, Error, cluster, leftovers};

const FILE: &str = "origin";

/// A line is `device inode path`, the data directory first.
pub(super) fn write(home: &Path, data_dir: &Path) -> Result<(), Error> {
    let mut text = String::new();
    for dir in data_dir.ancestors() {
        let (device, inode) = identity(dir).doing("cannot look at", dir)?;
        text.push_str(&format!("{device} {inode} {}\n", dir.display()));
    }
    let file = home.join(FILE);
    std::fs::write(&file, text).doing("cannot write", &file)
}

/// Removes the clusters below `root` whose data directories were deleted. What cannot be removed
/// is left for the next time.
pub(super) async fn prune(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else {
        return;
    };
    for home in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Ok(text) = std::fs::read_to_string(home.join(FILE)) else {
            continue;
        };
        if !is_deleted(&text) {
            continue;
        }
        let cleared = leftovers::clear(&home.join(cluster::DATA)).await;
        match cleared.and_then(|()| std::fs::remove_dir_all(&home).doing("cannot remove", &home)) {
            Ok(()) => {
                tracing::info!(home = %home.display(), "removed the database of a deleted data directory")
            }
            Err(error) => {
                tracing::warn!(%error, "cannot remove the database of a deleted data directory")
            }
        }
    }
}

fn is_deleted(origin: &str) -> bool {
    let mut recorded = origin.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ' ');
        let (device, inode) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(((device, inode), PathBuf::from(fields.next()?)))
    });
    let gone = |path: &Path| matches!(identity(path), Err(error) if error.kind() == std::io::ErrorKind::NotFound);
    match recorded.next() {
        Some((_, data_dir)) if gone(&data_dir) => {}
        _ => return false,
    }
    let nearest = recorded.find(|(_, path)| !gone(path));
    nearest.is_some_and(|(was, path)| identity(&path).is_ok_and(|is: (u64, u64)| is == was))
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> (tempfile::TempDir, PathBuf, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (root, parent) = (dir.path().join("shared"), dir.path().join("project"));
        let (home, data_dir) = (root.join("1"), parent.join("data"));
        std::fs::create_dir_all(&home).unwrap();
        std::fs::create_dir_all(&data_dir).unwrap();
        write(&home, &data_dir).unwrap();
        (dir, root, home, data_dir)
    }

    #[tokio::test]
    async fn a_cluster_goes_with_its_data_directory() {
        let (_dir, root, home, data_dir) = shared();
        prune(&root).await;
        assert!(home.exists());
        std::fs::remove_dir_all(data_dir.parent().unwrap()).unwrap();
        prune(&root).await;
        assert!(!home.exists());
    }

    #[tokio::test]
    async fn a_data_directory_that_is_not_mounted_keeps_its_cluster() {
        let (_dir, root, home, data_dir) = shared();
        // A mount point without its volume is another directory of the same name.
        let parent = data_dir.parent().unwrap();
        let aside = parent.with_extension("volume");
        std::fs::rename(parent, &aside).unwrap();
        std::fs::create_dir(parent).unwrap();
        prune(&root).await;
        assert!(home.exists());
    }
}
