//! Reading request bodies: bounded in size and time, then as JSON.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::error::Failure;

const BODY_BYTES_MAX: usize = 1 << 20;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// What is read, and thrown away, of a request that is refused without its body.
const DRAIN_BYTES_MAX: usize = 64 << 10;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn read(body: Body) -> Result<Bytes, Failure> {
    let collecting = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_TIMEOUT, collecting).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Failure::BodyTooLarge),
        Ok(Err(_)) | Err(_) => Err(Failure::BodyIncomplete),
    }
}

/// Takes what a sender is about to send, if that is little, so that he is ready for the answer.
pub(super) async fn drain(body: Body) {
    let mut body = Limited::new(body, DRAIN_BYTES_MAX);
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    // Who is slower than that may find the connection closed.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, all).await;
}

/// The members of a JSON body; one that is missing altogether has none.
pub(super) fn json<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Failure> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| Failure::Serialization(error.to_string()))
}
