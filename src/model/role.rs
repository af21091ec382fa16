//! Roles: what users, and other roles, become for a while.

use super::{
    Invalid,
    policy::TrustPolicy,
    principal::{Name, Subject},
};

/// Shortest and longest life of a session, in seconds, and that of one who names none.
pub const SESSION_S_MIN: u32 = 900;
pub const SESSION_S_MAX: u32 = 43_200;
pub const SESSION_S_DEFAULT: u32 = 3_600;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub name: Name,
    pub terms: RoleTerms,
}

/// Who may become a role, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleTerms {
    /// The document as its author wrote it.
    pub trust_policy: String,
    /// Longest life of a session, in seconds.
    pub session_s_max: u32,
}

impl Role {
    pub fn subject(&self) -> Subject {
        Subject::Role(self.name.clone())
    }
}

impl RoleTerms {
    /// Checks the document and the time.
    pub fn check(trust_policy: &str, session_s_max: u32) -> Result<Self, Invalid> {
        TrustPolicy::parse(trust_policy)
            .map_err(|error| Invalid::new("trustPolicy", error.to_string()))?;
        if !(SESSION_S_DEFAULT..=SESSION_S_MAX).contains(&session_s_max) {
            return Err(Invalid::new(
                "sessionSecondsMax",
                format!(
                    "A role's longest session is between {SESSION_S_DEFAULT} and {SESSION_S_MAX} \
                     seconds."
                ),
            ));
        }
        Ok(Self {
            trust_policy: trust_policy.to_owned(),
            session_s_max,
        })
    }
}
