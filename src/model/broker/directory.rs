//! The LDAP directory that keeps a broker's users and groups.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{Invalid, password::Password};

const ATTRIBUTE: &str = "ldapServerMetadata";
/// The directory, and one that stands in for it.
const HOSTS_MAX: usize = 2;
const TEXT_CHARS_MAX: usize = 1024;
/// The developer guide, "Integrating ActiveMQ brokers with LDAP".
const PASSWORD_CHARS_MAX: usize = 128;

/// A directory as callers name it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DirectoryRequest {
    pub hosts: Option<Vec<String>>,
    pub role_base: Option<String>,
    pub role_name: Option<String>,
    pub role_search_matching: Option<String>,
    pub role_search_subtree: Option<bool>,
    pub service_account_password: Option<Password>,
    pub service_account_username: Option<String>,
    pub user_base: Option<String>,
    pub user_role_name: Option<String>,
    pub user_search_matching: Option<String>,
    pub user_search_subtree: Option<bool>,
}

/// A directory without the secret of the account that searches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    pub hosts: Vec<String>,
    pub role_base: String,
    pub role_name: Option<String>,
    pub role_search_matching: String,
    pub role_search_subtree: Option<bool>,
    pub service_account_username: String,
    /// Which of the broker's sealed secrets is the account's password.
    pub service_account_secret: Uuid,
    pub user_base: String,
    pub user_role_name: Option<String>,
    pub user_search_matching: String,
    pub user_search_subtree: Option<bool>,
}

/// A valid directory whose password is yet to be sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftDirectory {
    /// Its secret is nil.
    pub directory: Directory,
    pub password: Password,
}

impl DirectoryRequest {
    /// Checks every member.
    pub fn draft(self) -> Result<DraftDirectory, Invalid> {
        let hosts = need("hosts", self.hosts)?;
        check_hosts(&hosts)?;
        let password = self.service_account_password;
        let password = password.ok_or_else(|| missing("serviceAccountPassword"))?;
        let length = password.expose().chars().count();
        if !(1..=PASSWORD_CHARS_MAX).contains(&length) {
            return Err(Invalid::new(
                ATTRIBUTE,
                format!(
                    "[serviceAccountPassword] is invalid. It must be 1-{PASSWORD_CHARS_MAX} \
                     characters long."
                ),
            ));
        }
        Ok(DraftDirectory {
            directory: Directory {
                hosts,
                role_base: text("roleBase", self.role_base)?,
                role_name: maybe_text("roleName", self.role_name)?,
                role_search_matching: filter("roleSearchMatching", self.role_search_matching)?,
                role_search_subtree: self.role_search_subtree,
                service_account_username: text(
                    "serviceAccountUsername",
                    self.service_account_username,
                )?,
                service_account_secret: Uuid::nil(),
                user_base: text("userBase", self.user_base)?,
                user_role_name: maybe_text("userRoleName", self.user_role_name)?,
                user_search_matching: filter("userSearchMatching", self.user_search_matching)?,
                user_search_subtree: self.user_search_subtree,
            },
            password,
        })
    }
}

impl Directory {
    /// Whether both name the same directory, whatever their secrets.
    pub fn is_same(&self, other: &Self) -> bool {
        let secret = self.service_account_secret;
        *self
            == Self {
                service_account_secret: secret,
                ..other.clone()
            }
    }
}

fn missing(member: &str) -> Invalid {
    Invalid::new(ATTRIBUTE, format!("[{member}] is required."))
}

fn need<T>(member: &str, value: Option<T>) -> Result<T, Invalid> {
    value.ok_or_else(|| missing(member))
}

fn text(member: &str, value: Option<String>) -> Result<String, Invalid> {
    let value = need(member, value)?;
    let plain = !value.chars().any(char::is_control);
    if plain && (1..=TEXT_CHARS_MAX).contains(&value.chars().count()) {
        return Ok(value);
    }
    Err(Invalid::new(
        ATTRIBUTE,
        format!("[{member}] is invalid. It must be 1-{TEXT_CHARS_MAX} characters long."),
    ))
}

fn maybe_text(member: &str, value: Option<String>) -> Result<Option<String>, Invalid> {
    // Clients that have nothing to say send an empty string.
    let value = value.filter(|value| !value.is_empty());
    value.map(|value| text(member, Some(value))).transpose()
}

/// A search filter (RFC 4515): parentheses that match.
fn filter(member: &str, value: Option<String>) -> Result<String, Invalid> {
    let value = text(member, value)?;
    let mut depth = 0_i32;
    for c in value.chars() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth < 0 {
            break;
        }
    }
    if depth == 0 && value.starts_with('(') {
        return Ok(value);
    }
    Err(Invalid::new(
        ATTRIBUTE,
        format!("[{member}] is invalid. Specify a search filter such as [(uid={{0}})]."),
    ))
}

/// One or two names or addresses; ports and schemes are not theirs to say.
fn check_hosts(hosts: &[String]) -> Result<(), Invalid> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let name = |host: &String| host.len() <= 253 && host.split('.').all(label);
    if hosts.is_empty() || hosts.len() > HOSTS_MAX {
        let text = format!("[hosts] is invalid. Specify one or {HOSTS_MAX} hosts.");
        return Err(Invalid::new(ATTRIBUTE, text));
    }
    if let Some(host) = hosts.iter().find(|host| !name(host)) {
        let text = format!("Host [{host}] is invalid. Specify a fully qualified domain name.");
        return Err(Invalid::new(ATTRIBUTE, text));
    }
    if hosts.iter().collect::<HashSet<_>>().len() < hosts.len() {
        return Err(Invalid::new(ATTRIBUTE, "[hosts] names a host twice."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> DirectoryRequest {
        let text = |text: &str| Some(text.to_owned());
        DirectoryRequest {
            hosts: Some(vec!["ldap.example.org".into(), "ldap-2.example.org".into()]),
            role_base: text("ou=groups,dc=example,dc=org"),
            role_name: text(""),
            role_search_matching: text("(member:=uid={1})"),
            role_search_subtree: Some(true),
            service_account_password: Some(Password::new("hunter2")),
            service_account_username: text("cn=amq,dc=example,dc=org"),
            user_base: text("ou=users,dc=example,dc=org"),
            user_role_name: text("memberOf"),
            user_search_matching: text("(uid={0})"),
            user_search_subtree: None,
        }
    }

    #[test]
    fn a_directory_is_read_with_its_optional_members() {
        let draft = request().draft().unwrap();
        assert_eq!(draft.directory.role_name, None);
        assert_eq!(draft.directory.user_role_name.as_deref(), Some("memberOf"));
        let other = Directory {
            service_account_secret: Uuid::max(),
            ..draft.directory.clone()
        };
        assert!(draft.directory.is_same(&other));
        assert!(!draft.directory.is_same(&Directory {
            user_base: "ou=others".into(),
            ..other
        }));
    }

    #[test]
    fn the_password_is_in_no_printed_request() {
        let printed = serde_json::to_string(&request()).unwrap();
        assert!(!printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let refuse = |change: fn(&mut DirectoryRequest)| {
            let mut request = request();
            change(&mut request);
            let refused = request.draft().unwrap_err();
            assert_eq!(refused.attribute, "ldapServerMetadata");
            refused.message
        };
        assert_eq!(refuse(|r| r.hosts = None), "[hosts] is required.");
        assert_eq!(
            refuse(|r| r.service_account_password = None),
            "[serviceAccountPassword] is required."
        );
        assert_eq!(
            refuse(|r| r.hosts = Some(vec!["ldaps://example.org:636".into()])),
            "Host [ldaps://example.org:636] is invalid. Specify a fully qualified domain name."
        );
        for change in [
            (|r| r.hosts = Some(Vec::new())) as fn(&mut DirectoryRequest),
            |r| r.hosts = Some(vec!["a".into(), "b".into(), "c".into()]),
            |r| r.hosts = Some(vec!["a".into(), "a".into()]),
            |r| r.user_search_matching = Some("uid={0}".into()),
            |r| r.role_search_matching = Some("(a))((b)".into()),
            |r| r.user_base = Some(String::new()),
            |r| r.service_account_password = Some(Password::new("x".repeat(129))),
        ] {
            refuse(change);
        }
    }
}
