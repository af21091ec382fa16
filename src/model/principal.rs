//! Who calls the API.

use std::fmt;

use super::AccountId;

/// The identity behind a request, within its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub account_id: AccountId,
    pub identity: Identity,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The account itself: may do everything in it.
    Root,
    User(Name),
    /// Somebody who assumed a role for a while.
    Session {
        role: Name,
        session: Name,
    },
}

/// Name of a user, a role, a session or a policy: 1 to 64 letters, digits and `_+=,.@-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// What policies are attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    User(Name),
    Role(Name),
    /// Users that share policies; nobody signs in as one.
    Group(Name),
}

impl Principal {
    pub fn root(account_id: AccountId) -> Self {
        Self {
            account_id,
            identity: Identity::Root,
        }
    }

    pub fn user(account_id: AccountId, name: Name) -> Self {
        Self {
            account_id,
            identity: Identity::User(name),
        }
    }

    /// As AWS writes it: of root and users in the service `iam`, of sessions in `sts`.
    pub fn arn(&self) -> String {
        let service = match self.identity {
            Identity::Root | Identity::User(_) => "iam",
            Identity::Session { .. } => "sts",
        };
        format!(
            "arn:aws:{service}::{}:{}",
            self.account_id,
            self.identity.path()
        )
    }

    /// Whose policies decide; `None` for root, which needs none.
    pub fn subject(&self) -> Option<Subject> {
        match &self.identity {
            Identity::Root => None,
            Identity::User(name) => Some(Subject::User(name.clone())),
            Identity::Session { role, .. } => Some(Subject::Role(role.clone())),
        }
    }
}

impl Identity {
    /// The part of its ARN after the account.
    pub fn path(&self) -> String {
        match self {
            Self::Root => "root".to_owned(),
            Self::User(name) => format!("user/{name}"),
            Self::Session { role, session } => format!("assumed-role/{role}/{session}"),
        }
    }

    /// Reads the path of one that holds access keys: root or a user.
    pub fn parse(path: &str) -> Option<Self> {
        match path.split_once('/') {
            None => (path == "root").then_some(Self::Root),
            Some(("user", name)) => Name::parse(name).map(Self::User),
            Some(_) => None,
        }
    }
}

impl Subject {
    /// The part of its ARN after the account: `user/alice`, `role/deployer` or `group/ops`.
    pub fn path(&self) -> String {
        let kind = match self {
            Self::User(_) => "user",
            Self::Role(_) => "role",
            Self::Group(_) => "group",
        };
        format!("{kind}/{}", self.name())
    }

    /// As it stands in the names of IAM's operations: `PutUserPolicy`.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::User(_) => "User",
            Self::Role(_) => "Role",
            Self::Group(_) => "Group",
        }
    }

    pub fn parse(path: &str) -> Option<Self> {
        match path.split_once('/')? {
            ("user", name) => Name::parse(name).map(Self::User),
            ("role", name) => Name::parse(name).map(Self::Role),
            ("group", name) => Name::parse(name).map(Self::Group),
            _ => None,
        }
    }

    pub fn name(&self) -> &Name {
        match self {
            Self::User(name) | Self::Role(name) | Self::Group(name) => name,
        }
    }

    pub fn arn(&self, account_id: &AccountId) -> String {
        format!("arn:aws:iam::{account_id}:{}", self.path())
    }
}

impl Name {
    pub const CHARS_MAX: usize = 64;

    pub fn parse(text: &str) -> Option<Self> {
        let is_name = (1..=Self::CHARS_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
        is_name.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_those_that_aws_writes() {
        let account = AccountId::parse("123456789012").unwrap();
        let name = |text| Name::parse(text).unwrap();
        let root = Principal::root(account.clone());
        assert_eq!(root.arn(), "arn:aws:iam::123456789012:root");
        assert_eq!(root.subject(), None);
        let alice = Principal::user(account.clone(), name("alice"));
        assert_eq!(alice.arn(), "arn:aws:iam::123456789012:user/alice");
        let session = Principal {
            account_id: account.clone(),
            identity: Identity::Session {
                role: name("deployer"),
                session: name("ci@1"),
            },
        };
        assert_eq!(
            session.arn(),
            "arn:aws:sts::123456789012:assumed-role/deployer/ci@1"
        );
        assert_eq!(
            session.subject().unwrap().arn(&account),
            "arn:aws:iam::123456789012:role/deployer"
        );
    }

    #[test]
    fn only_root_and_users_hold_keys() {
        for path in ["root", "user/alice"] {
            assert_eq!(Identity::parse(path).unwrap().path(), path);
        }
        for path in ["", "root/x", "user/", "user/a b", "role/deployer", "alice"] {
            assert_eq!(Identity::parse(path), None, "{path}");
        }
    }
}
