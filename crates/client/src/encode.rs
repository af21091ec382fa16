//! Percent-encoding as AWS clients do it: everything but unreserved characters.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// RFC 3986 section 2.3: letters, digits and `-._~` stay.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One path label or one query key or value.
pub fn label(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// A whole path: its slashes stay.
pub(crate) fn path(text: &str) -> String {
    const IN_PATH: &AsciiSet = &ENCODED.remove(b'/');
    utf8_percent_encode(text, IN_PATH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_encode_as_botocore_does() {
        assert_eq!(label("x/y z~-._"), "x%2Fy%20z~-._");
        assert_eq!(label("arn:aws:mq"), "arn%3Aaws%3Amq");
        assert_eq!(label("ä"), "%C3%A4");
    }

    #[test]
    fn an_encoded_path_encodes_again() {
        assert_eq!(path("/v1/tags/arn%3Aaws"), "/v1/tags/arn%253Aaws");
    }
}
