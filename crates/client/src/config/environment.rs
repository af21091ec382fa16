//! The process environment as a value, so that resolution is a function of its arguments.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// `Debug` shows no values: some are secrets.
#[derive(Clone, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

impl Environment {
    /// Variables that are not valid Unicode do not exist here; none of ours could be.
    pub fn of_process() -> Environment {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Environment { variables }
    }

    /// A variable set to nothing is a variable not set, as for the AWS CLI.
    pub fn var(&self, name: &str) -> Option<String> {
        self.variables
            .get(name)
            .filter(|value| !value.is_empty())
            .cloned()
    }

    /// The file that `variable` names, else `default` in the home directory. `~/` is expanded.
    pub(crate) fn file(&self, variable: &str, default: &str) -> Option<PathBuf> {
        let home = self.var("HOME");
        match self.var(variable) {
            Some(path) => match (path.strip_prefix("~/"), home) {
                (Some(rest), Some(home)) => Some(Path::new(&home).join(rest)),
                _ => Some(path.into()),
            },
            None => Some(Path::new(&home?).join(default)),
        }
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Environment {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Environment {
        let variables = pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Environment { variables }
    }
}
