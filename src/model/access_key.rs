//! Access keys: what requests to the API are signed with.

use chrono::{DateTime, Utc};

use super::{AccessKeyId, principal::Principal};

/// A stored key. The secret is sealed under the master key, for [`AccessKey::purpose`]:
/// verifying a signature needs it back in clear, so it cannot be a hash.
#[derive(Debug, Clone)]
pub struct AccessKey {
    pub id: AccessKeyId,
    pub principal: Principal,
    pub secret_sealed: Vec<u8>,
    pub enabled: bool,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
}

impl AccessKey {
    /// What the secret of the key `id` is sealed for; a secret cannot be moved to another key.
    pub fn purpose(id: &AccessKeyId) -> String {
        format!("access-key:{id}")
    }
}
