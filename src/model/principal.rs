//! Who calls the API.

use super::AccountId;

/// The identity that an access key speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub account_id: AccountId,
    /// The path of its ARN below the account, such as `root` or `user/alice`.
    pub path: String,
}

impl Principal {
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{}:{}", self.account_id, self.path)
    }
}
