//! Signing requests: made for this process's own listeners, and read for the key they ask for.

use rcgen::{
    CertificateParams, CertificateSigningRequestParams, KeyPair, PKCS_ECDSA_P256_SHA256,
    PublicKeyData,
};

use super::Error;

/// A fresh key with the request that asks for its certificate, both PEM.
pub struct KeyAndRequest {
    pub key_pem: String,
    pub csr_pem: String,
}

impl KeyAndRequest {
    /// Makes an ECDSA P-256 key. The request names nothing: the signer decides the names.
    pub fn generate() -> Result<Self, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::Sign)?;
        let request = CertificateParams::default()
            .serialize_request(&key)
            .map_err(Error::Sign)?;
        let csr_pem = request.pem().map_err(Error::Sign)?;
        Ok(Self {
            key_pem: key.serialize_pem(),
            csr_pem,
        })
    }
}

/// The public key a request asks a certificate for, once the request's signature has proven that
/// the sender holds the private half.
pub fn public_key_of(csr_pem: &str) -> Result<Vec<u8>, Error> {
    let request = CertificateSigningRequestParams::from_pem(csr_pem).map_err(Error::Request)?;
    Ok(request.public_key.der_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_its_own_key() {
        let (first, second) = (
            KeyAndRequest::generate().unwrap(),
            KeyAndRequest::generate().unwrap(),
        );
        assert_eq!(
            public_key_of(&first.csr_pem).unwrap(),
            public_key_of(&first.csr_pem).unwrap()
        );
        assert_ne!(
            public_key_of(&first.csr_pem).unwrap(),
            public_key_of(&second.csr_pem).unwrap()
        );
        assert!(matches!(public_key_of("x"), Err(Error::Request(_))));
    }
}
