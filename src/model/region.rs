//! Regions, and the pair of account and region that every customer's row is keyed by.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::AccountId;

/// A region's name: letters, digits and dashes, at most 32 of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Region(String);

impl Region {
    pub fn parse(text: &str) -> Option<Self> {
        let valid = (1..=32).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        valid.then(|| Self(text.to_owned()))
    }

    /// What belongs to an account and to no region of it, such as its users: AWS's name for that.
    pub fn global() -> Self {
        Self("aws-global".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or_else(|| {
            format!("`{text}` is no region name: use lower-case letters, digits and dashes")
        })
    }
}

/// Whose, and where: rows of another scope do not exist for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    pub account_id: AccountId,
    pub region: Region,
}
