//! Messages that an exchange hands on later: they wait in a hidden queue of the exchange, in the order of their time.
//!
//! Owns the names and the header. The queue keeps them as any queue does, and gives each up when it is due.

use super::value::{Table, Value};

const PREFIX: &str = "amq.delayed.";

/// The argument by which a hidden queue names its exchange.
const EXCHANGE: &str = "x-delayed-exchange";

/// The name of the queue in which an exchange's messages wait.
pub(super) fn queue_name(exchange: &str) -> String {
    format!("{PREFIX}{exchange}")
}

/// Whether a queue is such a one.
pub(super) fn is_hidden(queue: &str) -> bool {
    queue.starts_with(PREFIX)
}

/// The arguments of the queue in which an exchange's messages wait.
pub(super) fn arguments(exchange: &str) -> Table {
    Table(vec![(EXCHANGE.to_owned(), Value::String(exchange.into()))])
}

/// The exchange whose messages wait in a queue.
pub(super) fn exchange_of(queue: &str, arguments: &Table) -> Option<String> {
    let exchange = arguments.get(EXCHANGE).and_then(Value::as_str)?;
    is_hidden(queue).then(|| exchange.to_owned())
}

/// For how long a message must wait.
pub(super) fn delay_ms(headers: &Table) -> Option<u64> {
    let delay = headers.get("x-delay")?.as_i64()?;
    u64::try_from(delay).ok().filter(|delay_ms| *delay_ms > 0)
}

/// Tells that the message waited: the delay becomes negative, and does not count again.
pub(super) fn note_waited(headers: &mut Table) {
    if let Some(delay_ms) = delay_ms(headers) {
        let waited = i64::try_from(delay_ms).unwrap_or(i64::MAX);
        let waited =
            i32::try_from(waited).map_or(Value::I64(-waited), |waited| Value::I32(-waited));
        headers.set("x-delay", waited);
    }
}
