//! The authority itself: one self-signed ECDSA P-256 certificate and its key.

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, SerialNumber, date_time_ymd,
};
use uuid::Uuid;

use super::identity::host_uri;
use super::{Error, KeyAndRequest};

const AUTHORITY_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Hosts' clocks may lag; a certificate is valid from a little before it was signed.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// A signed leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub pem: String,
    /// Lower-case hex, 32 digits.
    pub serial_hex: String,
    pub not_after: DateTime<Utc>,
    /// When the holder should ask for the next one, counted from the signing: two thirds of the
    /// validity, so that a third is left for retries.
    pub renew_after: Duration,
}

/// Signs leaf certificates.
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority, valid for ten years.
    pub fn generate(now: DateTime<Utc>) -> Result<Self, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::Sign)?;
        let mut params = leaf_params("Warren certificate authority", now, AUTHORITY_TTL)?.params;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = false;
        let certificate_pem = params.self_signed(&key).map_err(Error::Sign)?.pem();
        Ok(Self {
            certificate_pem,
            issuer: Issuer::new(params, key),
        })
    }

    /// Reads back what [`Authority::certificate_pem`] and [`Authority::key_pem`] gave.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, Error> {
        let key = KeyPair::from_pem(key_pem).map_err(Error::Authority)?;
        let issuer = Issuer::from_ca_cert_pem(certificate_pem, key).map_err(Error::Authority)?;
        Ok(Self {
            certificate_pem: certificate_pem.to_owned(),
            issuer,
        })
    }

    /// What clients trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key, PKCS#8 PEM. It leaves the process only sealed.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Signs a certificate for a server reached at `addresses` and `names`.
    pub fn issue_server(
        &self,
        csr_pem: &str,
        addresses: &[IpAddr],
        names: &[String],
        now: DateTime<Utc>,
        ttl: Duration,
    ) -> Result<Certificate, Error> {
        let mut sans: Vec<SanType> = addresses.iter().copied().map(SanType::IpAddress).collect();
        for name in names {
            let name_ia5 = name
                .as_str()
                .try_into()
                .map_err(|_| Error::Name(name.clone()))?;
            sans.push(SanType::DnsName(name_ia5));
        }
        let common_name = names
            .first()
            .cloned()
            .or_else(|| addresses.first().map(ToString::to_string));
        let common_name = common_name.unwrap_or_else(|| "warren".to_owned());
        self.issue(
            csr_pem,
            &common_name,
            sans,
            ExtendedKeyUsagePurpose::ServerAuth,
            now,
            ttl,
        )
    }

    /// Signs the identity of a host's agent.
    pub fn issue_client(
        &self,
        csr_pem: &str,
        host_id: Uuid,
        now: DateTime<Utc>,
        ttl: Duration,
    ) -> Result<Certificate, Error> {
        let uri = host_uri(host_id);
        let uri_ia5 = uri
            .as_str()
            .try_into()
            .map_err(|_| Error::Name(uri.clone()))?;
        let sans = vec![SanType::URI(uri_ia5)];
        self.issue(
            csr_pem,
            &uri,
            sans,
            ExtendedKeyUsagePurpose::ClientAuth,
            now,
            ttl,
        )
    }

    /// A key and a server certificate for a listener of this process, PEM. The key stays here, so
    /// no request travels.
    pub fn issue_own_server(
        &self,
        addresses: &[IpAddr],
        names: &[String],
        now: DateTime<Utc>,
        ttl: Duration,
    ) -> Result<(String, Certificate), Error> {
        let own = KeyAndRequest::generate()?;
        let certificate = self.issue_server(&own.csr_pem, addresses, names, now, ttl)?;
        Ok((own.key_pem, certificate))
    }

    fn issue(
        &self,
        csr_pem: &str,
        common_name: &str,
        sans: Vec<SanType>,
        usage: ExtendedKeyUsagePurpose,
        now: DateTime<Utc>,
        ttl: Duration,
    ) -> Result<Certificate, Error> {
        let request = CertificateSigningRequestParams::from_pem(csr_pem).map_err(Error::Request)?;
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(Error::KeyAlgorithm);
        }
        let LeafParams {
            mut params,
            serial_hex,
            not_after,
        } = leaf_params(common_name, now, ttl)?;
        params.subject_alt_names = sans;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let signed = params
            .signed_by(&request.public_key, &self.issuer)
            .map_err(Error::Sign)?;
        Ok(Certificate {
            pem: signed.pem(),
            serial_hex,
            not_after,
            renew_after: ttl * 2 / 3,
        })
    }
}

struct LeafParams {
    params: CertificateParams,
    serial_hex: String,
    not_after: DateTime<Utc>,
}

fn leaf_params(common_name: &str, now: DateTime<Utc>, ttl: Duration) -> Result<LeafParams, Error> {
    let mut serial = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| Error::Random)?;
    // RFC 5280, 4.1.2.2: serial numbers are positive, and DER drops leading zeros.
    serial[0] = (serial[0] & 0x7f) | 0x40;

    let not_after = now + chrono::Duration::from_std(ttl).map_err(|_| Error::Validity)?;
    let seconds = u64::try_from(now.timestamp()).map_err(|_| Error::Validity)?;
    let now_time = date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);

    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = now_time - CLOCK_SKEW;
    params.not_after = now_time + ttl;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    Ok(LeafParams {
        params,
        serial_hex: hex::encode(serial),
        not_after,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::host_id_of;
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

    const TTL: Duration = Duration::from_secs(900);

    fn now() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    #[test]
    fn server_certificate_names_its_addresses_and_nothing_from_the_request() {
        let authority = Authority::generate(now()).unwrap();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let greedy = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        let csr_pem = greedy.serialize_request(&key).unwrap().pem().unwrap();
        let address: IpAddr = "127.83.12.4".parse().unwrap();

        let certificate = authority
            .issue_server(&csr_pem, &[address], &["localhost".to_owned()], now(), TTL)
            .unwrap();

        let der = der(&certificate.pem);
        let (_, parsed) = X509Certificate::from_der(&der).unwrap();
        let sans = &parsed
            .subject_alternative_name()
            .unwrap()
            .unwrap()
            .value
            .general_names;
        assert_eq!(
            *sans,
            vec![
                GeneralName::IPAddress(&[127, 83, 12, 4]),
                GeneralName::DNSName("localhost")
            ]
        );
        assert_eq!(
            parsed.validity().not_after.timestamp(),
            now().timestamp() + 900
        );
        assert_eq!(
            certificate.not_after,
            now() + chrono::Duration::seconds(900)
        );
        assert_eq!(certificate.renew_after, Duration::from_secs(600));
        assert_eq!(
            certificate.serial_hex,
            hex::encode(parsed.serial.to_bytes_be())
        );
        let usage = parsed.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && !usage.client_auth);
        assert!(!parsed.is_ca());
    }

    #[test]
    fn client_certificate_identifies_its_host_and_each_has_its_own_serial() {
        let authority = Authority::generate(now()).unwrap();
        let request = KeyAndRequest::generate().unwrap();
        let host_id = Uuid::from_u128(7);

        let first = authority
            .issue_client(&request.csr_pem, host_id, now(), TTL)
            .unwrap();
        let second = authority
            .issue_client(&request.csr_pem, host_id, now(), TTL)
            .unwrap();

        assert_eq!(host_id_of(&der(&first.pem)), Some(host_id));
        assert_ne!(first.serial_hex, second.serial_hex);
    }

    #[test]
    fn authority_read_back_signs_under_the_same_certificate() {
        let original = Authority::generate(now()).unwrap();
        let copy = Authority::from_pem(original.certificate_pem(), &original.key_pem()).unwrap();
        let request = KeyAndRequest::generate().unwrap();

        let leaf = copy
            .issue_client(&request.csr_pem, Uuid::from_u128(1), now(), TTL)
            .unwrap();

        let (ca_der, leaf_der) = (der(original.certificate_pem()), der(&leaf.pem));
        let (_, ca) = X509Certificate::from_der(&ca_der).unwrap();
        let (_, leaf) = X509Certificate::from_der(&leaf_der).unwrap();
        assert_eq!(leaf.issuer(), ca.subject());
        assert!(ca.is_ca());

        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca_der.clone()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
            std::sync::Arc::new(roots),
            provider,
        )
        .build()
        .unwrap();
        let at = rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(
            u64::try_from(now().timestamp()).unwrap(),
        ));
        verifier.verify_client_cert(&leaf_der, &[], at).unwrap();
    }

    #[test]
    fn a_request_that_was_tampered_with_is_refused() {
        let authority = Authority::generate(now()).unwrap();
        let signed = KeyAndRequest::generate().unwrap();
        let broken = signed.csr_pem.replacen('M', "N", 1);
        for csr_pem in [broken.as_str(), "", "no PEM at all"] {
            let outcome = authority.issue_client(csr_pem, Uuid::from_u128(1), now(), TTL);
            assert!(matches!(outcome, Err(Error::Request(_))), "{csr_pem:?}");
        }
    }

    #[test]
    fn other_key_algorithms_are_refused() {
        let authority = Authority::generate(now()).unwrap();
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let csr_pem = CertificateParams::default()
            .serialize_request(&key)
            .unwrap()
            .pem()
            .unwrap();
        let outcome = authority.issue_client(&csr_pem, Uuid::from_u128(1), now(), TTL);
        assert!(matches!(outcome, Err(Error::KeyAlgorithm)));
    }
}
