//! Where the cluster and its socket live.
//!
//! The cluster belongs into the data directory. When root starts the server in a place that the
//! unprivileged user cannot reach (root's home, say), opening that place to everyone is not ours
//! to do: the cluster goes to [`SHARED_ROOT`], and a link in the data directory leads to it.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;

use super::user::Unprivileged;
use super::{Doing, Error, origin};

/// Clusters of data directories that only root can reach.
pub(super) const SHARED_ROOT: &str = "/var/lib/warren";
/// `sun_path` holds 107 bytes and a terminator on Linux, 103 on macOS.
const SOCKET_PATH_BYTES_MAX: usize = 103;
const LONGEST_SOCKET_NAME: &str = "/.s.PGSQL.5432.lock";

/// The directory that holds the cluster, its password and its log; made on the first start.
pub(super) fn home(data_dir: &Path, user: Option<Unprivileged>) -> Result<PathBuf, Error> {
    let path = data_dir.join("postgres");
    match std::fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_symlink() => {
            let target = std::fs::read_link(&path).doing("cannot read the link", &path)?;
            if !target.is_dir() {
                return Err(Error::Dangling { link: path, target });
            }
            reachable(&target, user)?;
            return Ok(target);
        }
        Ok(_) => {
            reachable(&path, user)?;
            return Ok(path);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(source).doing("cannot look at", &path),
    }
    match user {
        Some(user) if user.stopped_at(data_dir).is_some() => {
            let home = Path::new(SHARED_ROOT).join(random_name()?);
            make_shared(Path::new(SHARED_ROOT), &home, data_dir, user)?;
            symlink(&home, &path).doing("cannot make the link", &path)?;
            Ok(home)
        }
        user => {
            private_dir(&path, user)?;
            Ok(path)
        }
    }
}

fn reachable(path: &Path, user: Option<Unprivileged>) -> Result<(), Error> {
    match user.and_then(|user| Some((user.uid, user.stopped_at(path)?))) {
        Some((uid, closed)) => Err(Error::Unreachable {
            path: path.to_owned(),
            closed,
            uid,
        }),
        None => Ok(()),
    }
}

fn make_shared(root: &Path, home: &Path, data_dir: &Path, user: Unprivileged) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(root)
        .doing("cannot make", root)?;
    reachable(root, Some(user))?;
    private_dir(home, Some(user))?;
    origin::write(home, data_dir)
}

/// The directory of the socket: private, short, and the same for every start of one data
/// directory in one environment.
pub(super) fn socket_dir(data_dir: &Path, user: Option<Unprivileged>) -> Result<PathBuf, Error> {
    use std::os::unix::ffi::OsStrExt;
    let name = hex::encode(&digest(&SHA256, data_dir.as_os_str().as_bytes()).as_ref()[..6]);
    let runtime = match user {
        Some(_) => Some(PathBuf::from("/run")),
        None => std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
    };
    let usable = |base: &PathBuf| {
        base.is_absolute()
            && base.as_os_str().len() + name.len() + "/warren-".len() + LONGEST_SOCKET_NAME.len()
                <= SOCKET_PATH_BYTES_MAX
            && user.is_none_or(|user| user.stopped_at(base).is_none())
            && rustix::fs::access(base, rustix::fs::Access::WRITE_OK).is_ok()
    };
    let base = runtime
        .filter(usable)
        .or_else(|| Some(std::env::temp_dir()).filter(usable))
        .unwrap_or_else(|| PathBuf::from("/tmp"));
    let path = base.join(format!("warren-{name}"));
    private_dir(&path, user)?;
    // No server of this data directory runs at this point, so whatever is here is stale.
    for entry in std::fs::read_dir(&path).doing("cannot list", &path)? {
        let stale = entry.doing("cannot list", &path)?.path();
        std::fs::remove_file(&stale).doing("cannot remove", &stale)?;
    }
    Ok(path)
}

/// A directory of the server's user that nobody else may enter. One that someone else made under
/// the expected name (in a directory open to all) is refused, not used.
fn private_dir(path: &Path, user: Option<Unprivileged>) -> Result<(), Error> {
    let owner = user.map_or_else(|| rustix::process::geteuid().as_raw(), |user| user.uid);
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {
            if let Some(user) = user {
                user.own(path).doing("cannot give away", path)?;
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(source).doing("cannot make", path),
    }
    let metadata = std::fs::symlink_metadata(path).doing("cannot look at", path)?;
    if !metadata.is_dir() || metadata.uid() != owner {
        return Err(Error::ForeignDirectory {
            path: path.to_owned(),
            uid: metadata.uid(),
        });
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).doing("cannot close", path)
}

pub(super) fn random_name() -> Result<String, Error> {
    let mut bytes = [0u8; 8];
    rand::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_stays_where_it_was_first_put() {
        let dir = tempfile::tempdir().unwrap();
        let first = home(dir.path(), None).unwrap();
        assert_eq!(first, dir.path().join("postgres"));
        assert_eq!(home(dir.path(), None).unwrap(), first);
        assert_eq!(
            std::fs::metadata(&first).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn a_link_is_followed_and_a_dangling_one_is_explained() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(other.path(), dir.path().join("postgres")).unwrap();
        assert_eq!(home(dir.path(), None).unwrap(), other.path());
        drop(other);
        assert!(matches!(
            home(dir.path(), None),
            Err(Error::Dangling { .. })
        ));
    }

    #[test]
    fn socket_paths_fit_and_differ_by_data_directory() {
        let long = Path::new("/a-very-long-path").join("x".repeat(200));
        let one = socket_dir(&long, None).unwrap();
        let two = socket_dir(Path::new("/b"), None).unwrap();
        assert_ne!(one, two);
        assert!(one.as_os_str().len() + LONGEST_SOCKET_NAME.len() <= SOCKET_PATH_BYTES_MAX);
        std::fs::remove_dir(one).unwrap();
        std::fs::remove_dir(two).unwrap();
    }

    #[test]
    fn a_directory_that_is_a_link_is_not_taken_for_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("link");
        symlink("/tmp", &path).unwrap();
        assert!(matches!(
            private_dir(&path, None),
            Err(Error::ForeignDirectory { .. })
        ));
    }
}
