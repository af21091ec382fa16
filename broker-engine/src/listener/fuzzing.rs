//! The decoders of this module as functions of any bytes.

use super::client_name::NameRule;
use crate::options::{SanType, TlsLogin};

/// A client's certificate: whatever it is, every rule finds a name or none.
pub fn certificates(bytes: &[u8]) {
    let types = [SanType::Dns, SanType::Email, SanType::Uri, SanType::Ip];
    let alternative = types.map(|san_type| (TlsLogin::SubjectAlternativeName, san_type));
    let others =
        [TlsLogin::DistinguishedName, TlsLogin::CommonName].map(|from| (from, SanType::Dns));
    for (from, san_type) in alternative.into_iter().chain(others) {
        let rule = NameRule {
            from,
            san_type,
            san_index: 0,
        };
        assert_ne!(rule.name(bytes).as_deref(), Some(""), "a name is not empty");
    }
}
