//! The keys of `rabbitmq.conf` that act.

use super::value::Entry;
use super::{Error, Settings};

/// What is kept for logins by tokens: these keys are accepted, and nothing reads them yet.
const OAUTH: [&str; 3] = ["auth_backends.", "auth_oauth2.", "management.oauth_"];

pub(super) fn set(settings: &mut Settings, entry: Entry<'_>) -> Result<(), Error> {
    match entry.key {
        "consumer_timeout" => settings.consumer_timeout_ms = Some(entry.u64()?),
        "heartbeat" => settings.heartbeat_s = Some(entry.u16()?),
        "management.restrictions.operator_policy_changes.disabled" => {
            settings.operator_policies_fixed = entry.boolean()?;
        }
        "quorum_queue.property_equivalence.relaxed_checks_on_redeclaration" => {
            settings.relaxed_redeclaration = entry.boolean()?;
        }
        "secure.management.http.headers.enabled" => settings.security_headers = entry.boolean()?,
        key if OAUTH.iter().any(|prefix| key.starts_with(prefix)) => {}
        unknown => return Err(Error::Unknown(unknown.to_owned())),
    }
    Ok(())
}
