//! A host's identity inside its certificate: the URI name `warren:host:<uuid>`.

use uuid::Uuid;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

const PREFIX: &str = "warren:host:";

/// The name that a host's certificate carries.
pub fn host_uri(host_id: Uuid) -> String {
    format!("{PREFIX}{host_id}")
}

/// The host that a certificate speaks for. The caller has verified the chain: this only reads.
pub fn host_id_of(certificate_der: &[u8]) -> Option<Uuid> {
    let (_, certificate) = X509Certificate::from_der(certificate_der).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| {
        let GeneralName::URI(uri) = name else {
            return None;
        };
        uri.strip_prefix(PREFIX)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_identifies_nobody() {
        assert_eq!(host_id_of(&[]), None);
        assert_eq!(host_id_of(&[0x30, 0x82, 0xff, 0xff, 1, 2, 3]), None);
    }
}
