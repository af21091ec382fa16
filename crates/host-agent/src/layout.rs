//! Where things lie below the agent's data directory.
//!
//! ```text
//! <data-dir>/agent.lock          one agent per directory
//!            identity.json       the host's key and certificate
//!            enrolment.json      the key of an enrolment that has not been answered yet
//!            intent.json         the last intent, for starts without the control plane
//!            nodes/<node>/       node.json, tls.pem, monitoring.json, definitions.json, node.log
//!            volumes/<volume>/   the engine's data
//!            engines/<sha256>    engine releases that were fetched
//! ```
//!
//! Control sockets may lie elsewhere: the path of a unix socket ends at 107 bytes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::{Error, files};

/// `sockaddr_un.sun_path` holds 108 bytes on Linux and 104 on macOS, with the closing zero.
const SOCKET_PATH_BYTES_MAX: usize = 103;

#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
    runtime: PathBuf,
}

impl Layout {
    /// Makes the directories. `temp_dirs` are where sockets may go when the data directory's own
    /// path is too long for them, best first.
    pub(crate) fn open(root: &Path, temp_dirs: &[PathBuf]) -> Result<Self, Error> {
        files::create_private_dir(root)?;
        let root = fs::canonicalize(root).map_err(Error::file(root))?;
        files::create_private_dir(&root.join("nodes"))?;
        files::create_private_dir(&root.join("volumes"))?;
        files::create_private_dir(&root.join("engines"))?;
        let runtime = runtime_dir(&root, temp_dirs);
        files::create_private_dir(&runtime)?;
        let held = fs::symlink_metadata(&runtime).map_err(Error::file(&runtime))?;
        let private = held.is_dir() && held.permissions().mode() & 0o077 == 0;
        if !private || held.uid() != rustix::process::geteuid().as_raw() {
            return Err(Error::RuntimeDir(runtime));
        }
        Ok(Self { root, runtime })
    }

    pub(crate) fn identity(&self) -> PathBuf {
        self.root.join("identity.json")
    }

    pub(crate) fn enrolment(&self) -> PathBuf {
        self.root.join("enrolment.json")
    }

    pub(crate) fn intent(&self) -> PathBuf {
        self.root.join("intent.json")
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    pub(crate) fn engines(&self) -> PathBuf {
        self.root.join("engines")
    }

    pub(crate) fn node(&self, node_id: Uuid) -> PathBuf {
        self.root.join("nodes").join(node_id.to_string())
    }

    /// Fails for a name that would lead out of the volume root: it is deleted recursively one day.
    pub(crate) fn volume(&self, name: &str) -> Result<PathBuf, Error> {
        let plain = name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if name.is_empty() || name.starts_with('.') || name.len() > 128 || !plain {
            return Err(Error::VolumeName(name.to_owned()));
        }
        Ok(self.volumes().join(name))
    }

    pub(crate) fn control_socket(&self, node_id: Uuid) -> PathBuf {
        self.runtime.join(socket_name(node_id))
    }
}

fn socket_name(node_id: Uuid) -> String {
    format!("{}.sock", node_id.simple())
}

fn runtime_dir(root: &Path, temp_dirs: &[PathBuf]) -> PathBuf {
    let fits =
        |dir: &Path| dir.join(socket_name(Uuid::nil())).as_os_str().len() <= SOCKET_PATH_BYTES_MAX;
    let own = root.join("run");
    if fits(&own) {
        return own;
    }
    let user = rustix::process::geteuid().as_raw();
    let name = format!(
        "warren-{user}-{:016x}",
        fnv1a(root.as_os_str().as_encoded_bytes())
    );
    let mut elsewhere = temp_dirs
        .iter()
        .map(|dir| dir.join(&name))
        .filter(|dir| fits(dir));
    elsewhere
        .next()
        .unwrap_or_else(|| Path::new("/tmp").join(&name))
}

/// A hash that stays the same over releases: a restarted agent must find the sockets again.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_stay_in_the_data_dir_while_their_path_fits() {
        let temp = [PathBuf::from("/run/user/1000")];
        assert_eq!(
            runtime_dir(Path::new("/srv/w"), &temp),
            Path::new("/srv/w/run")
        );

        let long = PathBuf::from(format!("/srv/{}", "x".repeat(90)));
        let moved = runtime_dir(&long, &temp);
        assert!(moved.starts_with("/run/user/1000"), "{moved:?}");
        assert_eq!(moved, runtime_dir(&long, &temp));

        let long_temp = [PathBuf::from(format!("/{}", "t".repeat(100)))];
        assert!(runtime_dir(&long, &long_temp).starts_with("/tmp"));
    }

    #[test]
    fn volume_names_cannot_lead_out_of_the_volume_root() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path(), &[]).unwrap();
        for name in ["", ".", "..", "../x", "a/b", ".hidden", "a\0b", "a b"] {
            assert!(
                matches!(layout.volume(name), Err(Error::VolumeName(_))),
                "{name:?}"
            );
        }
        assert!(
            layout
                .volume("b-1234_0.v1")
                .unwrap()
                .starts_with(layout.volumes())
        );
    }

    #[test]
    fn a_runtime_dir_that_others_can_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        fs::create_dir(&run).unwrap();
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(
            Layout::open(dir.path(), &[]),
            Err(Error::RuntimeDir(_))
        ));
    }
}
