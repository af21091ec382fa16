//! Documents that come as a body or, as browsers and `curl -F` send files, in a form.

use axum::body::Bytes;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::error::Error;

const FORM: &str = "multipart/form-data";

/// A document, and where the browser that sent it goes next.
pub(super) struct Upload {
    pub(super) document: Bytes,
    next: Option<String>,
}

impl Upload {
    /// The answer once the document was taken over.
    pub(super) fn done(self) -> Response {
        // Nowhere but to other pages of this server.
        let own = |next: &String| !next.contains("//") && !next.contains([':', '\\']);
        match self.next.filter(own) {
            Some(next) => Redirect::to(&next).into_response(),
            None => StatusCode::NO_CONTENT.into_response(),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_form = kind
            .get(..FORM.len())
            .is_some_and(|kind| kind.eq_ignore_ascii_case(FORM));
        if !is_form {
            let document = Bytes::from_request(request, state).await;
            return Ok(Self {
                document: document.map_err(IntoResponse::into_response)?,
                next: None,
            });
        }
        let form = Multipart::from_request(request, state).await;
        let form = form.map_err(IntoResponse::into_response)?;
        read(form).await
    }
}

async fn read(mut form: Multipart) -> Result<Upload, Response> {
    let refused = |error: MultipartError| error.into_response();
    let (mut document, mut next) = (None, None);
    while let Some(field) = form.next_field().await.map_err(refused)? {
        match field.name() {
            Some("file") => document = Some(field.bytes().await.map_err(refused)?),
            Some("redirect") => next = Some(field.text().await.map_err(refused)?),
            Some(_) | None => {}
        }
    }
    let missing = || Error::BadRequest("the form has no file".to_owned()).into_response();
    let document = document.ok_or_else(missing)?;
    Ok(Upload { document, next })
}
