//! Certificates for servers under test.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

/// Writes `ca.pem` of a new authority, and `leaf.pem` and `leaf.key` of a certificate for 127.0.0.1.
pub(crate) fn write(directory: &Path) {
    let key = KeyPair::generate().expect("a key can be generated");
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, "test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority
        .self_signed(&key)
        .expect("an authority can sign itself");
    let leaf_key = KeyPair::generate().expect("a key can be generated");
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names
        .push(SanType::IpAddress([127, 0, 0, 1].into()));
    let issuer = Issuer::from_params(&authority, &key);
    let leaf = leaf
        .signed_by(&leaf_key, &issuer)
        .expect("the authority can sign");
    let files = [
        ("ca.pem", certificate.pem()),
        ("leaf.pem", leaf.pem()),
        ("leaf.key", leaf_key.serialize_pem()),
    ];
    for (name, text) in files {
        std::fs::write(directory.join(name), text).expect("the directory is writable");
    }
}
