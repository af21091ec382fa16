//! The profile files of the AWS CLI: `~/.aws/config` and `~/.aws/credentials`.
//!
//! INI with one level of nesting: indented `key = value` lines below a key without a value, as in
//! a `[services x]` section. A profile is the union of its section in both files; where both have
//! a key, the credentials file wins.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{ConfigError, Environment};

/// Key to value; keys in lower case, a nested key as `outer.inner`.
type Section = HashMap<String, String>;

#[derive(Debug, Clone, Default)]
pub struct ProfileFile {
    profiles: HashMap<String, Section>,
    services: HashMap<String, Section>,
}

/// The settings of one profile.
#[derive(Clone, Default)]
pub struct Profile(Section);

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").finish_non_exhaustive()
    }
}

impl Profile {
    pub fn get(&self, key: &str) -> Option<String> {
        self.0.get(key).filter(|value| !value.is_empty()).cloned()
    }
}

impl ProfileFile {
    pub fn read(environment: &Environment) -> Result<ProfileFile, ConfigError> {
        let mut merged = ProfileFile::default();
        if let Some(path) = environment.file("AWS_CONFIG_FILE", ".aws/config")
            && let Some(text) = read(&path)?
        {
            for (title, section) in parse(&path, &text)? {
                match title
                    .split_once(char::is_whitespace)
                    .map(|(kind, name)| (kind, unquote(name)))
                {
                    Some(("profile", name)) => merge(&mut merged.profiles, name, section),
                    Some(("services", name)) => merge(&mut merged.services, name, section),
                    Some(_) => {}
                    None if title == "default" => merge(&mut merged.profiles, &title, section),
                    // The CLI does not take a bare name for a profile in this file.
                    None => {}
                }
            }
        }
        if let Some(path) = environment.file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")
            && let Some(text) = read(&path)?
        {
            for (title, section) in parse(&path, &text)? {
                merge(&mut merged.profiles, unquote(&title), section);
            }
        }
        Ok(merged)
    }

    pub fn profile(&self, name: &str) -> Option<Profile> {
        self.profiles.get(name).cloned().map(Profile)
    }

    /// `endpoint_url` of `service` in the `[services <section>]` section.
    pub fn service_endpoint(&self, section: &str, service: &str) -> Option<String> {
        self.services
            .get(section)?
            .get(&format!("{service}.endpoint_url"))
            .cloned()
    }
}

fn merge(into: &mut HashMap<String, Section>, name: &str, section: Section) {
    into.entry(name.to_owned()).or_default().extend(section);
}

fn unquote(name: &str) -> &str {
    let name = name.trim();
    ['"', '\'']
        .into_iter()
        .find_map(|quote| name.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(name)
}

/// A file that does not exist says nothing.
fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn parse(path: &Path, text: &str) -> Result<Vec<(String, Section)>, ConfigError> {
    let fail = |line: usize, problem| ConfigError::Syntax {
        path: PathBuf::from(path),
        line: line + 1,
        problem,
    };
    let mut sections: Vec<(String, Section)> = Vec::new();
    // The key whose indented lines follow, if it has no value of its own.
    let mut outer: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let indented = line.starts_with([' ', '\t']);
        if !indented && trimmed.starts_with('[') {
            let title = trimmed
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                .ok_or_else(|| fail(number, "a section needs a closing bracket"))?;
            sections.push((title.trim().to_owned(), Section::new()));
            outer = None;
            continue;
        }
        let (_, section) = sections
            .last_mut()
            .ok_or_else(|| fail(number, "a setting outside any section"))?;
        match (trimmed.split_once('='), indented, &outer) {
            (Some((key, value)), true, Some(outer)) => {
                section.insert(
                    format!("{outer}.{}", key.trim().to_lowercase()),
                    value.trim().to_owned(),
                );
            }
            (Some((key, value)), _, _) => {
                let (key, value) = (key.trim().to_lowercase(), value.trim().to_owned());
                outer = value.is_empty().then(|| key.clone());
                section.insert(key, value);
            }
            // A continued value: none of the settings read here spans lines.
            (None, true, _) => {}
            (None, false, _) => return Err(fail(number, "expected `key = value`")),
        }
    }
    Ok(sections)
}
