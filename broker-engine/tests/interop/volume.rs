//! A small volume of its own for a test: memory behind a mount that only one process has.
//!
//! The mount lives in the namespace of a process that does nothing else; everybody reaches it through that process's
//! root below `/proc`. Root can do this, and so can other users where the system lets them have user namespaces.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// How to get a mount namespace: as root, or as anybody.
const WAYS: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];

/// What is always left: on a volume without a single page not even the note can be written that something may go.
const SPARED_BYTES: u64 = 1 << 20;

/// A file system of a few megabytes; gone when dropped.
pub(crate) struct Volume {
    holder: Child,
    root: PathBuf,
    _mount_point: TempDir,
}

impl Volume {
    /// Mounts an empty one.
    ///
    /// # Panics
    /// When the system lets this user make no namespaces.
    pub(crate) fn mount(bytes: u64) -> Self {
        let mount_point = tempfile::tempdir().expect("a directory for the mount");
        let mut refusals = Vec::new();
        for way in WAYS {
            match hold(way, mount_point.path(), bytes) {
                Ok(holder) => {
                    let inside = mount_point.path().strip_prefix("/");
                    let inside = inside.expect("temporary directories have absolute paths");
                    let root = PathBuf::from(format!("/proc/{}/root", holder.id())).join(inside);
                    return Self {
                        holder,
                        root,
                        _mount_point: mount_point,
                    };
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        panic!("no small volume can be mounted: {}", refusals.join("; "));
    }

    /// A path on the volume.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Bytes that are free.
    pub(crate) fn free(&self) -> u64 {
        let volume = rustix::fs::statvfs(&self.root).expect("the volume is mounted");
        volume.f_bavail * volume.f_frsize
    }

    /// Lets something else take so much of the volume, or what there is of it but [`SPARED_BYTES`]. With 0, it goes away.
    pub(crate) fn set_ballast(&self, bytes: u64) {
        let path = self.path("ballast");
        // There may have been none.
        let _ = fs::remove_file(&path);
        let bytes = bytes.min(self.free().saturating_sub(SPARED_BYTES));
        if bytes > 0 {
            let file = File::create(&path).expect("the volume has room");
            let flags = rustix::fs::FallocateFlags::empty();
            rustix::fs::fallocate(&file, flags, 0, bytes).expect("as much as there is");
        }
    }
}

/// Starts a process with a mount of its own, and waits until it has it.
fn hold(way: &[&str], mount_point: &Path, bytes: u64) -> Result<Child, String> {
    let script = r#"mount -t tmpfs -o "size=$1" none "$2" && echo mounted && exec cat"#;
    let mut holder = Command::new("unshare")
        .args(way)
        .args(["sh", "-c", script, "sh", &bytes.to_string()])
        .arg(mount_point)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("unshare: {error}"))?;
    let mut line = String::new();
    let said = BufReader::new(holder.stdout.take().expect("it is piped")).read_line(&mut line);
    if said.is_ok() && line.trim() == "mounted" {
        return Ok(holder);
    }
    let output = holder
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Closing its input would end it too; the mount goes with it.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
