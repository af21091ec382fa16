//! The user name that a client's certificate stands for, by the rule that the options choose.
//!
//! Names are written as RabbitMQ writes them, so that the same users fit. Whoever calls this has verified the
//! certificate against the configured authority; nothing here decides whether to believe it.

use std::fmt::Write as _;
use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{FromDer, Oid, Tag};
use x509_parser::extensions::GeneralName;
use x509_parser::x509::AttributeTypeAndValue;

use crate::options::{SanType, TlsLogin};

/// Which part of a certificate names the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameRule {
    pub(super) from: TlsLogin,
    pub(super) san_type: SanType,
    /// Which of the alternative names of that type, counted from 0.
    pub(super) san_index: usize,
}

impl NameRule {
    /// The name that a certificate in DER carries; `None` when it has no such part.
    pub(super) fn name(&self, certificate: &[u8]) -> Option<String> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let name = match self.from {
            TlsLogin::DistinguishedName => distinguished_name(&certificate),
            TlsLogin::CommonName => common_names(&certificate),
            TlsLogin::SubjectAlternativeName => self.alternative_name(&certificate),
        };
        name.filter(|name| !name.is_empty())
    }

    fn alternative_name(&self, certificate: &X509Certificate<'_>) -> Option<String> {
        let extension = certificate.subject_alternative_name().ok()??;
        let names = extension.value.general_names.iter();
        names
            .filter_map(|name| self.of_type(name))
            .nth(self.san_index)
    }

    fn of_type(&self, name: &GeneralName<'_>) -> Option<String> {
        match (self.san_type, name) {
            (SanType::Dns, GeneralName::DNSName(name))
            | (SanType::Email, GeneralName::RFC822Name(name))
            | (SanType::Uri, GeneralName::URI(name)) => Some((*name).to_owned()),
            (SanType::Ip, GeneralName::IPAddress(octets)) => address(octets),
            _ => None,
        }
    }
}

fn address(octets: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(octets).ok().map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(octets).ok().map(IpAddr::from);
    v4.or_else(v6).map(|address| address.to_string())
}

/// All common names, joined as RabbitMQ does; none is the empty name.
fn common_names(certificate: &X509Certificate<'_>) -> Option<String> {
    let names = certificate.subject().iter_common_name().map(text);
    Some(names.collect::<Option<Vec<_>>>()?.join(","))
}

/// The subject as RFC 4514 writes it: the last part first.
fn distinguished_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let parts = certificate.subject().iter().map(|part| {
        let attributes = part.iter().map(|attribute| {
            let value = escaped(&text(attribute)?);
            Some(format!("{}={value}", label(attribute.attr_type())))
        });
        Some(attributes.collect::<Option<Vec<_>>>()?.join("+"))
    });
    let mut parts = parts.collect::<Option<Vec<String>>>()?;
    parts.reverse();
    Some(parts.join(","))
}

/// An attribute's value in UTF-8. One that cannot be read makes the name unusable: left out, it could turn one name into
/// another.
fn text(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let value = attribute.attr_value();
    match value.tag() {
        Tag::BmpString => {
            let (units, rest) = value.data.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        Tag::UniversalString => {
            let (units, rest) = value.data.as_chunks::<4>();
            let units = units
                .iter()
                .map(|unit| char::from_u32(u32::from_be_bytes(*unit)));
            units
                .collect::<Option<String>>()
                .filter(|_| rest.is_empty())
        }
        Tag::T61String => Some(value.data.iter().copied().map(char::from).collect()),
        _ => String::from_utf8(value.data.to_vec()).ok(),
    }
}

/// An attribute's short name, or its number in dots.
fn label(kind: &Oid<'_>) -> String {
    let id = kind.to_id_string();
    let short = match id.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "SERIALNUMBER",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "TITLE",
        "2.5.4.42" => "GIVENNAME",
        "2.5.4.43" => "INITIALS",
        "2.5.4.44" => "GENERATIONQUALIFIER",
        "2.5.4.65" => "PSEUDONYM",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "EMAILADDRESS",
        _ => return id,
    };
    short.to_owned()
}

/// A value with the escapes of RFC 4514; everything outside printable ASCII byte by byte.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => {
                escaped.extend(['\\', char::from(byte)]);
            }
            b' ' if at == 0 || at == last => escaped.push_str("\\ "),
            b'#' if at == 0 => escaped.push_str("\\#"),
            b' '..=b'}' => escaped.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(escaped, "\\{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType as Alternative};

    use super::*;

    fn certificate(subject: &[(DnType, &str)], alternatives: Vec<Alternative>) -> Vec<u8> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            parameters
                .distinguished_name
                .push(kind.clone(), (*value).to_owned());
        }
        parameters.subject_alt_names = alternatives;
        let key = KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    fn rule(from: TlsLogin, san_type: SanType, san_index: usize) -> NameRule {
        NameRule {
            from,
            san_type,
            san_index,
        }
    }

    #[test]
    fn a_distinguished_name_is_written_backwards_and_escaped() {
        let der = certificate(
            &[
                (DnType::CommonName, "worker"),
                (DnType::OrganizationName, "Fish, Chips; \u{e9}"),
                (DnType::CountryName, "SE"),
            ],
            Vec::new(),
        );
        let by_name = rule(TlsLogin::DistinguishedName, SanType::Dns, 0);
        assert_eq!(
            by_name.name(&der).unwrap(),
            "C=SE,O=Fish\\, Chips\\; \\C3\\A9,CN=worker"
        );
        let by_common_name = rule(TlsLogin::CommonName, SanType::Dns, 0);
        assert_eq!(by_common_name.name(&der).unwrap(), "worker");
        let by_alternative = rule(TlsLogin::SubjectAlternativeName, SanType::Dns, 0);
        assert_eq!(by_alternative.name(&der), None);
    }

    #[test]
    fn an_alternative_name_is_chosen_by_type_and_number() {
        let der = certificate(
            &[],
            vec![
                Alternative::DnsName("a.example".try_into().unwrap()),
                Alternative::URI("urn:worker".try_into().unwrap()),
                Alternative::DnsName("b.example".try_into().unwrap()),
                Alternative::IpAddress([10, 0, 0, 7].into()),
                Alternative::Rfc822Name("w@example".try_into().unwrap()),
            ],
        );
        let name =
            |san_type, index| rule(TlsLogin::SubjectAlternativeName, san_type, index).name(&der);
        assert_eq!(name(SanType::Dns, 1).as_deref(), Some("b.example"));
        assert_eq!(name(SanType::Uri, 0).as_deref(), Some("urn:worker"));
        assert_eq!(name(SanType::Ip, 0).as_deref(), Some("10.0.0.7"));
        assert_eq!(name(SanType::Email, 0).as_deref(), Some("w@example"));
        assert_eq!(name(SanType::Email, 1), None);
        let by_common_name = rule(TlsLogin::CommonName, SanType::Dns, 0);
        assert_eq!(by_common_name.name(&der), None, "an empty name is none");
    }

    #[test]
    fn spaces_at_the_ends_and_a_leading_hash_are_escaped() {
        assert_eq!(escaped(" a b "), "\\ a b\\ ");
        assert_eq!(escaped("#1#"), "\\#1#");
        assert_eq!(escaped("~"), "\\7E");
    }

    #[test]
    fn garbage_is_no_certificate() {
        assert_eq!(
            rule(TlsLogin::CommonName, SanType::Dns, 0).name(b"\x30\x03"),
            None
        );
    }
}
