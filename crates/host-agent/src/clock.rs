//! The agent's only reading of the wall clock. Decisions take `now` as an argument.

use chrono::{DateTime, Utc};

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that the others take"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
