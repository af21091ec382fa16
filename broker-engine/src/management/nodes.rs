//! `/api/nodes`: the one node of this broker.

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};

use super::auth::Monitor;
use super::error::Error;
use super::listing::Parameters;
use super::{Node, State};
use crate::broker::Alarm;

pub(super) async fn list(
    _monitor: Monitor,
    node: State,
    parameters: Parameters,
) -> Result<Json<Value>, Error> {
    Ok(Json(parameters.list(vec![describe(&node)])?))
}

pub(super) async fn show(
    _monitor: Monitor,
    node: State,
    parameters: Parameters,
    Path(name): Path<String>,
) -> Result<Json<Value>, Error> {
    if name == node.name {
        Ok(Json(parameters.one(describe(&node))))
    } else {
        Err(Error::NotFound)
    }
}

fn describe(node: &Node) -> Value {
    let alarms = node.broker.alarms();
    json!({
        "name": node.name,
        "type": "disc",
        "running": true,
        "os_pid": std::process::id().to_string(),
        "mem_alarm": alarms.is_on(Alarm::Memory),
        "disk_free_alarm": alarms.is_on(Alarm::Disk),
        "partitions": [],
        "rates_mode": "basic",
    })
}
