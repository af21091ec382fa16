//! Certificates of a test's own authority, for the broker and for a client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

pub(crate) const CA: &str = "ca.pem";
pub(crate) const CERTIFICATE: &str = "server.pem";
pub(crate) const KEY: &str = "server.key";
pub(crate) const CLIENT_CERTIFICATE: &str = "client.pem";
pub(crate) const CLIENT_KEY: &str = "client.key";

/// Writes the authority's certificate, one for `host` and this machine's loopback names, and one for a client.
pub(crate) fn write(directory: &Path, host: Ipv4Addr) {
    let key = KeyPair::generate().expect("a key can be generated");
    let mut authority = CertificateParams::default();
    let name = &mut authority.distinguished_name;
    name.push(DnType::CommonName, "test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&key).expect("a key fits its request");
    put(directory, CA, &certificate.pem());

    let issuer = Issuer::from_params(&authority, &key);
    let names = ["localhost".to_owned(), "guest".to_owned()];
    for (name, files) in names
        .into_iter()
        .zip([(CERTIFICATE, KEY), (CLIENT_CERTIFICATE, CLIENT_KEY)])
    {
        let key = KeyPair::generate().expect("a key can be generated");
        let mut leaf = CertificateParams::new([name.clone()]).expect("the name is ASCII");
        leaf.distinguished_name.push(DnType::CommonName, name);
        leaf.subject_alt_names.extend(
            [
                IpAddr::V4(host),
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ]
            .map(SanType::IpAddress),
        );
        let certificate = leaf
            .signed_by(&key, &issuer)
            .expect("the authority can sign");
        put(directory, files.0, &certificate.pem());
        put(directory, files.1, &key.serialize_pem());
    }
}

fn put(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).expect("the directory is writable");
}
