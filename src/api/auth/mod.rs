//! Who is calling: AWS Signature Version 4, verified on every request.
//!
//! [`claim`] reads what a request says of itself, [`canonical`] what was signed. Both are pure;
//! this module asks for the key, counts the account's requests, and tells the handlers the
//! [`Caller`].

mod canonical;
mod claim;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use claim::fuzzing;

use axum::{
    body::Bytes,
    extract::{Request, State},
    http::header::USER_AGENT,
    middleware::Next,
    response::Response,
};

use super::{audit, body, error::Failure, origin, router::ApiState, throttle::Admission};
use crate::{
    app::{CallNote, Caller, Credential, CredentialKind},
    model::RequestId,
};
use canonical::Signed;
use claim::Claim;
pub(super) use error::Error;

/// The body that a signature covers, for who comes before the handlers.
#[derive(Clone)]
pub(super) struct SignedBody(pub(super) Bytes);

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
    let (claim, credential) = match identify(&state, &signed).await {
        Ok(known) => known,
        Err(failure) => {
            // Whoever still sends when the connection is closed may never get to read why.
            body::drain(body).await;
            return Err(failure);
        }
    };
    let body = body::read(body).await?;
    claim.check_signature(&signed, &body, &credential.secret)?;
    let account_id = &credential.principal.account_id;
    let admission = state.throttle.admit(account_id, state.app.clock.now());
    if admission == (Admission::Refused { is_told: false }) {
        return Err(Failure::Throttled);
    }
    let standing = state.app.standing(&credential).await?;
    let standing = standing.ok_or(Error::UnknownKey)?;
    state
        .app
        .note_use(&claim.access_key, &credential, &standing)
        .await?;

    let request_id = parts.extensions.get::<RequestId>().copied();
    let user_agent = parts.headers.get(USER_AGENT);
    let caller = Caller {
        session: match &credential.kind {
            CredentialKind::Key { .. } => None,
            CredentialKind::Session(token) => Some(token.caller_session()),
        },
        access_key_id: claim.access_key,
        principal: credential.principal,
        grants: standing.grants,
        unique_id: standing.unique_id,
        tags: standing.tags,
        region: claim.region,
        request_id: request_id.unwrap_or_else(|| RequestId(state.app.entropy.uuid())),
        trace: parts.extensions.get().copied(),
        source_address: origin.address,
        is_secure: origin.is_secure,
        user_agent: user_agent.and_then(|agent| Some(agent.to_str().ok()?.to_owned())),
        received_at: state.app.clock.now(),
        note: CallNote::default(),
    };
    if admission != Admission::Admitted {
        let failure = Failure::Throttled;
        audit::tell_refused(&state, caller, (&parts, &body), &failure).await;
        return Err(failure);
    }
    parts.extensions.insert(caller);
    parts.extensions.insert(SignedBody(body.clone()));
    Ok(next.run(Request::from_parts(parts, body.into())).await)
}

/// By whose key a request says that it is signed. The cheap questions come first: nobody unknown has us keep a body.
async fn identify(state: &ApiState, signed: &Signed<'_>) -> Result<(Claim, Credential), Failure> {
    let claim = Claim::read(signed)?;
    claim.check_scope(signed.path, &state.app.settings.regions)?;
    claim.check_time(state.app.clock.now())?;
    let token = claim.token.as_deref();
    let credential = state.app.credential(&claim.access_key, token).await?;
    Ok((claim, credential.map_err(Error::from)?))
}
