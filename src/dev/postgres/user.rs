//! Who runs Postgres: it refuses to run as root.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::Mode;

const NOBODY: Unprivileged = Unprivileged {
    uid: 65534,
    gid: 65534,
};

/// The user that the server runs as when this process is root's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unprivileged {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Unprivileged {
    /// None unless this process runs as root. `postgres` if there is such a user, else `nobody`.
    pub(super) fn choose() -> Option<Unprivileged> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        Some(
            find(&users, "postgres")
                .or_else(|| find(&users, "nobody"))
                .unwrap_or(NOBODY),
        )
    }

    /// The nearest directory on the way to `path` that this user may not pass, if any. Judged by
    /// mode bits alone: access lists can only make it wrong in the direction of caution.
    pub(super) fn stopped_at(self, path: &Path) -> Option<PathBuf> {
        let closed = |dir: &Path| match std::fs::metadata(dir) {
            Ok(metadata) => {
                use std::os::unix::fs::MetadataExt;
                let mode = Mode::from_raw_mode(metadata.mode());
                let needed = match (metadata.uid() == self.uid, metadata.gid() == self.gid) {
                    (true, _) => Mode::XUSR,
                    (false, true) => Mode::XGRP,
                    (false, false) => Mode::XOTH,
                };
                !mode.contains(needed)
            }
            Err(_) => true,
        };
        path.ancestors().find(|dir| closed(dir)).map(Path::to_owned)
    }

    pub(super) fn own(self, path: &Path) -> std::io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
    }
}

/// A command of the server, as its user, without the variables that would redirect it.
pub(super) fn command(program: &Path, user: Option<Unprivileged>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C");
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

fn find(users: &str, name: &str) -> Option<Unprivileged> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        (uid != 0).then_some(Unprivileged { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name_and_is_never_root() {
        let users =
            "root:x:0:0::/root:/bin/sh\npostgres2:x:7:7:::\npostgres:x:101:104:::\nzero:x:0:0:::";
        assert_eq!(
            find(users, "postgres"),
            Some(Unprivileged { uid: 101, gid: 104 })
        );
        assert_eq!(find(users, "zero"), None);
        assert_eq!(find(users, "nobody"), None);
    }

    #[test]
    fn a_closed_directory_on_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        // Not the owner of anything here.
        let stranger = Unprivileged {
            uid: 4_000_000,
            gid: 4_000_000,
        };
        let open =
            |mode| std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode));
        open(0o700).unwrap();
        assert_eq!(stranger.stopped_at(&inner), Some(dir.path().to_owned()));
        open(0o711).unwrap();
        assert_eq!(stranger.stopped_at(&inner), None);
    }
}
