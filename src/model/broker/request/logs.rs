//! Which logs a broker shall write.

use super::LogsRequest;
use crate::model::{Invalid, engine::EngineType};

/// What is asked of the logs; the audit log is ActiveMQ's alone.
pub(super) fn read(
    request: Option<LogsRequest>,
    engine: EngineType,
) -> Result<LogsRequest, Invalid> {
    let request = request.unwrap_or_default();
    if request.audit.is_some() && engine.is_rabbitmq_like() {
        let text = format!(
            "Audit logging is not supported for {} brokers.",
            engine.label()
        );
        return Err(Invalid::new("logs", text));
    }
    Ok(request)
}
