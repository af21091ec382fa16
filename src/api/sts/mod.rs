//! AWS's Security Token Service, as far as sessions need it: AssumeRole and GetCallerIdentity, in
//! the query protocol (form in, XML out) that its clients speak.
//!
//! One path, `/`, on the API's own listener: point `AWS_ENDPOINT_URL_STS` at it. Errors on this
//! path are XML too, see [`error`].

mod error;
mod xml;

use axum::{
    Extension,
    body::Bytes,
    extract::{RawQuery, State},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use chrono::SecondsFormat;

use super::{error::Failure, query, router::ApiState};
use crate::{
    app::{AssumeRole, Caller, Session},
    error::Error,
    model::Invalid,
};
pub(super) use error::render;
use xml::Element;

/// Where the service answers.
pub(super) const PATH: &str = "/";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const MEDIA_TYPE: &str = "text/xml";

/// A call whose parameters are a form.
pub(super) async fn call(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Response, Failure> {
    let form = std::str::from_utf8(&body)
        .map_err(|_| Failure::Serialization("The request is not a form in UTF-8.".to_owned()))?;
    answer(&state, &caller, &Parameters::of_form(form)).await
}

/// A call whose parameters are in the URL, which may be presigned.
pub(super) async fn call_by_url(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    answer(&state, &caller, &Parameters(query.unwrap_or_default())).await
}

async fn answer(
    state: &ApiState,
    caller: &Caller,
    parameters: &Parameters,
) -> Result<Response, Failure> {
    let result = match parameters.value("Action").as_deref() {
        Some("GetCallerIdentity") => caller_identity(caller),
        Some("AssumeRole") => {
            let request = parameters.assume_role()?;
            assumed_role(&state.app.assume_role(caller, &request).await?)
        }
        _ => return Err(Failure::UnknownOperation),
    };
    let metadata = Element::new("ResponseMetadata").text("RequestId", caller.request_id);
    let (name, result) = result;
    let document = Element::new(&format!("{name}Response"))
        .attribute("xmlns", NAMESPACE)
        .child(result)
        .child(metadata);
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], document.to_string()).into_response())
}

fn caller_identity(caller: &Caller) -> (&'static str, Element) {
    let result = Element::new("GetCallerIdentityResult")
        .text("Arn", caller.principal.arn())
        .text("UserId", &caller.unique_id)
        .text("Account", &caller.principal.account_id);
    ("GetCallerIdentity", result)
}

fn assumed_role(session: &Session) -> (&'static str, Element) {
    let expiration = session
        .expires_at
        .to_rfc3339_opts(SecondsFormat::Secs, true);
    let credentials = Element::new("Credentials")
        .text("AccessKeyId", &session.access_key_id)
        .text("SecretAccessKey", &session.secret)
        .text("SessionToken", &session.token)
        .text("Expiration", expiration);
    let user = Element::new("AssumedRoleUser")
        .text("AssumedRoleId", &session.unique_id)
        .text("Arn", session.principal.arn());
    let result = Element::new("AssumeRoleResult")
        .child(credentials)
        .child(user);
    ("AssumeRole", result)
}

/// Parameters in the form of a URL's query.
struct Parameters(String);

impl Parameters {
    /// Forms write spaces as `+`.
    fn of_form(form: &str) -> Self {
        Self(form.replace('+', "%20"))
    }

    fn value(&self, name: &str) -> Option<String> {
        query::value(Some(&self.0), name)
    }

    fn need(&self, name: &'static str) -> Result<String, Error> {
        self.value(name)
            .ok_or_else(|| Invalid::missing(name).into())
    }

    /// The values of `Name.member.1.suffix`, `Name.member.2.suffix` …
    fn list(&self, name: &str, suffix: &str) -> Vec<String> {
        (1..)
            .map_while(|number| self.value(&format!("{name}.member.{number}{suffix}")))
            .collect()
    }

    fn assume_role(&self) -> Result<AssumeRole, Error> {
        // What would be lost silently could let someone in whom a tag should keep out.
        if self.value("Tags.member.1.Key").is_some() {
            let text = "Session tags are not supported.";
            return Err(Invalid::new("tags", text).into());
        }
        let duration_s = self
            .value("DurationSeconds")
            .map(|text| {
                let wrong = || Invalid::new("durationSeconds", "DurationSeconds is not a number.");
                text.parse().map_err(|_| wrong())
            })
            .transpose()?;
        Ok(AssumeRole {
            role_arn: self.need("RoleArn")?,
            session_name: self.need("RoleSessionName")?,
            duration_s,
            policy: self.value("Policy"),
            policy_arns: self.list("PolicyArns", ".arn"),
            external_id: self.value("ExternalId"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_clients_write_it() {
        let form = "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fci&\
                    RoleSessionName=a%2Bb&DurationSeconds=900&Policy=%7B+%7D&\
                    PolicyArns.member.1.arn=one&PolicyArns.member.2.arn=two";
        let request = Parameters::of_form(form).assume_role().unwrap();
        assert_eq!(request.role_arn, "arn:aws:iam::123456789012:role/ci");
        assert_eq!(request.session_name, "a+b");
        assert_eq!(request.duration_s, Some(900));
        assert_eq!(request.policy.as_deref(), Some("{ }"));
        assert_eq!(request.policy_arns, ["one", "two"]);
    }

    #[test]
    fn session_tags_are_refused_rather_than_lost() {
        let form = "RoleArn=a&RoleSessionName=b&Tags.member.1.Key=team";
        assert!(Parameters::of_form(form).assume_role().is_err());
    }
}
