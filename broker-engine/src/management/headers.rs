//! Headers by which browsers protect whoever looks at the broker. Their values are those that Amazon MQ documents.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

const SECURE: [(HeaderName, HeaderValue); 3] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=47304000; includeSubDomains"),
    ),
];

/// The answer with them.
pub(super) async fn secure(mut response: Response) -> Response {
    response.headers_mut().extend(SECURE);
    response
}
