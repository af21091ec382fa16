//! AWS's Security Token Service, as far as sessions need it: AssumeRole and GetCallerIdentity, in
//! the query protocol (form in, XML out) that its clients speak.
//!
//! One path, `/`, on the API's own listener: point `AWS_ENDPOINT_URL_STS` at it. Errors on this
//! path are XML too, see [`error`].

mod error;
mod form;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
mod xml;

use axum::{
    Extension,
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use chrono::SecondsFormat;
use serde_json::json;

use super::{audit::Told, error::Failure, router::ApiState};
use crate::{
    app::{Caller, Session},
    model::{principal_tag::AskedTag, session::AssumeRole},
};
pub(super) use error::{code, render};
pub(super) use form::Form;
use xml::Element;

/// Where the service answers.
pub(super) const PATH: &str = "/";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const MEDIA_TYPE: &str = "text/xml";

/// A call whose parameters are a form, or in the URL, which may be presigned.
pub(super) async fn call(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Extension(form): Extension<Form>,
) -> Result<Response, Failure> {
    let (result, told) = match form.action() {
        "GetCallerIdentity" => (caller_identity(&caller), None),
        "AssumeRole" => {
            let session = state.app.assume_role(&caller, &assume_role(&form)).await?;
            (assumed_role(&session), Some(told(&session)))
        }
        unknown => return Err(Failure::UnknownAction(unknown.to_owned())),
    };
    let metadata = Element::new("ResponseMetadata").text("RequestId", caller.request_id);
    let document = Element::new(&format!("{}Response", form.action()))
        .attribute("xmlns", NAMESPACE)
        .child(result)
        .child(metadata);
    let mut response = ([(CONTENT_TYPE, MEDIA_TYPE)], document.to_string()).into_response();
    if let Some(told) = told {
        response.extensions_mut().insert(told);
    }
    Ok(response)
}

fn caller_identity(caller: &Caller) -> Element {
    Element::new("GetCallerIdentityResult")
        .text("Arn", caller.principal.arn())
        .text("UserId", &caller.unique_id)
        .text("Account", &caller.principal.account_id)
}

fn assume_role(form: &Form) -> AssumeRole {
    let tag = |member: &std::collections::BTreeMap<String, String>| AskedTag {
        key: member.get("Key").cloned(),
        value: member.get("Value").cloned(),
    };
    AssumeRole {
        role_arn: form.value("RoleArn"),
        session_name: form.value("RoleSessionName"),
        duration_s: form.value("DurationSeconds"),
        policy: form.value("Policy"),
        policy_arns: form.fields("PolicyArns", "arn"),
        external_id: form.value("ExternalId"),
        tags: form.list("Tags").map(tag).collect(),
        transitive_tag_keys: form.fields("TransitiveTagKeys", ""),
        source_identity: form.value("SourceIdentity"),
        has_mfa: form.has("SerialNumber") || form.has("TokenCode"),
        has_provided_contexts: form.has("ProvidedContexts"),
    }
}

fn expiration(session: &Session) -> String {
    let at = session.expires_at;
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn assumed_role(session: &Session) -> Element {
    let credentials = Element::new("Credentials")
        .text("AccessKeyId", &session.access_key_id)
        .text("SecretAccessKey", &session.secret)
        .text("SessionToken", &session.token)
        .text("Expiration", expiration(session));
    let user = Element::new("AssumedRoleUser")
        .text("AssumedRoleId", &session.unique_id)
        .text("Arn", session.principal.arn());
    let mut result = Element::new("AssumeRoleResult")
        .child(credentials)
        .child(user);
    if let Some(percent) = session.packed_percent {
        result = result.text("PackedPolicySize", percent);
    }
    if let Some(name) = &session.source_identity {
        result = result.text("SourceIdentity", name);
    }
    result
}

/// The session's key is what its later calls are found by; its secret and its token are no one's
/// business.
fn told(session: &Session) -> Told {
    let mut response = json!({
        "credentials": {
            "accessKeyId": session.access_key_id.as_str(),
            "expiration": expiration(session),
        },
        "assumedRoleUser": {
            "assumedRoleId": session.unique_id,
            "arn": session.principal.arn(),
        },
    });
    if let Some(percent) = session.packed_percent {
        response["packedPolicySize"] = json!(percent);
    }
    if let Some(name) = &session.source_identity {
        response["sourceIdentity"] = json!(name);
    }
    Told {
        resource_arn: session.role_arn.clone(),
        response,
    }
}
