//! Which Postgres to run: what the machine has, else what pip can fetch.

use std::path::{Path, PathBuf};

use super::super::progress::Progress;
use super::user::{Unprivileged, command};
use super::{Error, download};

/// The oldest major version whose features are used.
const MAJOR_MIN: u32 = 15;

/// Parents of version directories, each with a `bin` in it, by distribution.
const PARENTS: &[&str] = &[
    "/usr/lib/postgresql",
    "/usr/local/opt",
    "/opt/homebrew/opt",
    "/usr",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    pub(super) major: u32,
    /// For people, e.g. `15.18`.
    pub(super) version: String,
}

impl Binaries {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The newest, or exactly major `needed` when a cluster of it exists.
pub(super) async fn find(
    needed: Option<u32>,
    user: Option<Unprivileged>,
    progress: &Progress,
) -> Result<Binaries, Error> {
    let installed: Vec<Binaries> = candidates()
        .into_iter()
        .filter_map(|dir| examine(dir, user))
        .collect();
    if let Some(best) = choose(&installed, needed) {
        return Ok(best);
    }
    if needed.is_none_or(|needed| needed == download::MAJOR) {
        let fetched = download::fetch(user, progress)
            .await
            .map_err(Error::NotFound)?;
        return examine(fetched.clone(), user).ok_or_else(|| {
            Error::NotFound(format!(
                "what it fetched to {} does not run here",
                fetched.display()
            ))
        });
    }
    let versions: Vec<&str> = installed
        .iter()
        .map(|found| found.version.as_str())
        .collect();
    let found = match versions.as_slice() {
        [] => "there is none".to_owned(),
        versions => format!("there is {}", versions.join(", ")),
    };
    Err(Error::OtherMajor {
        needed: needed.unwrap_or(MAJOR_MIN),
        found,
    })
}

fn choose(installed: &[Binaries], needed: Option<u32>) -> Option<Binaries> {
    installed
        .iter()
        .filter(|found| needed.map_or(found.major >= MAJOR_MIN, |needed| found.major == needed))
        .max_by_key(|found| found.major)
        .cloned()
}

/// Directories with a server in them. A name on PATH is often a link: what it leads to has the
/// other programs beside it.
fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).filter_map(|dir| {
        dir.join("postgres")
            .canonicalize()
            .ok()?
            .parent()
            .map(Path::to_owned)
    });
    let installed = PARENTS
        .iter()
        .filter_map(|parent| std::fs::read_dir(parent).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let mut dirs: Vec<PathBuf> = on_path
        .chain(installed)
        .filter(|dir| dir.join("postgres").is_file() && dir.join("initdb").is_file())
        .collect();
    dirs.sort();
    dirs.dedup();
    dirs
}

/// None if it does not run as that user.
fn examine(dir: PathBuf, user: Option<Unprivileged>) -> Option<Binaries> {
    let output = command(&dir.join("postgres"), user)
        .current_dir("/")
        .arg("--version")
        .output()
        .ok()?;
    let (major, version) = parse_version(&String::from_utf8_lossy(&output.stdout))?;
    Some(Binaries {
        dir,
        major,
        version,
    })
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn parse_version(text: &str) -> Option<(u32, String)> {
    let version = text
        .split_once("(PostgreSQL)")?
        .1
        .split_whitespace()
        .next()?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((digits.parse().ok()?, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_distributions_and_betas_are_read() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(parse_version(debian), Some((15, "15.18".to_owned())));
        assert_eq!(
            parse_version("postgres (PostgreSQL) 19beta1"),
            Some((19, "19beta1".to_owned()))
        );
        assert_eq!(parse_version("something else"), None);
    }

    #[test]
    fn the_newest_is_chosen_unless_a_cluster_needs_another() {
        let found = |major| Binaries {
            dir: "/x".into(),
            major,
            version: major.to_string(),
        };
        let installed = [found(15), found(17), found(13)];
        assert_eq!(choose(&installed, None).unwrap().major, 17);
        assert_eq!(choose(&installed, Some(15)).unwrap().major, 15);
        assert_eq!(choose(&installed, Some(16)), None);
        assert_eq!(choose(&[found(13)], None), None);
    }
}
