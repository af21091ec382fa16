//! Who is calling: AWS Signature Version 4, verified on every request.
//!
//! [`claim`] reads what a request says of itself, [`canonical`] what was signed. Both are pure;
//! this module asks for the key and tells the handlers the [`Caller`].

mod canonical;
mod claim;
mod error;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

use super::{body, error::Failure, origin, router::ApiState};
use crate::{app::Caller, model::RequestId};
use canonical::Signed;
use claim::Claim;
pub(super) use error::Error;

/// Lets a request through when its signature is good, with its body read and its [`Caller`]
/// attached.
pub(super) async fn authenticate(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let (mut parts, body) = request.into_parts();
    let origin = origin::of(&parts, &state.trusted_proxies);
    let signed = Signed {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        host: origin.host.as_deref(),
    };
    // The cheap questions come first: nobody unknown makes us read a body.
    let claim = Claim::read(&signed)?;
    claim.check_scope(&state.app.settings.regions)?;
    claim.check_time(state.app.clock.now())?;
    let key = state.app.signing_key(&claim.access_key).await?;
    let key = key.filter(|key| key.enabled).ok_or(Error::UnknownKey)?;
    let body = body::read(body).await?;
    claim.check_signature(&signed, &body, &key.secret)?;
    state.app.note_key_use(&claim.access_key, &key).await?;

    let request_id = parts.extensions.get::<RequestId>().copied();
    let caller = Caller {
        principal: key.principal,
        region: claim.region,
        request_id: request_id.unwrap_or_else(|| RequestId(state.app.entropy.uuid())),
        source_address: origin.address,
    };
    parts.extensions.insert(caller);
    Ok(next.run(Request::from_parts(parts, body.into())).await)
}
