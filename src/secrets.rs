//! Sealing of what Postgres must hold but nobody who reads Postgres may know: access-key
//! secrets and the certificate authority's key, encrypted under the installation's master key.
//!
//! Owns the key file and the sealed format; knows nothing of what it seals. A sealed value opens
//! only under the purpose it was sealed for, so that a row's secret cannot be moved to another row.
//!
//! Sealed form: version byte (1) ++ nonce (12 bytes) ++ AES-256-GCM ciphertext and tag (16 bytes),
//! with the version byte and the purpose as associated data. Nonces are random: safe for far more
//! than the number of secrets an installation seals (2^32 per key, NIST SP 800-38D section 8.3).

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// Room for the key in force and many before it.
const KEY_FILE_BYTES_MAX: u64 = 16 * 1024;

/// What a broker's secret of this id is sealed for.
pub fn broker_purpose(id: uuid::Uuid) -> String {
    format!("broker-secret:{id}")
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the master key file {path}: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot write the master key file {path}: {source}")]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "the master key file {path} can be read by others (mode {mode:03o}): run `chmod 600 {path}`"
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the master key file {path} must hold 32 bytes as hex or base64 on each line")]
    Malformed { path: PathBuf },
    #[error("the system's random number generator failed")]
    Random,
    #[error("the sealed value has an unknown format")]
    Format,
    #[error("the sealed value does not open: another master key, another purpose, or damage")]
    Open,
    #[error("sealing failed")]
    Seal,
}

/// The installation's key, and those that it had before. Cheap to clone; the keys' memory is
/// cleared with the last clone.
#[derive(Clone)]
pub struct MasterKey {
    /// The first seals; all of them open, so that a key can be replaced while processes run.
    keys: Arc<[LessSafeKey]>,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl MasterKey {
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> MasterKey {
        Self::ring(&[Zeroizing::new(bytes)])
    }

    fn ring(keys: &[Zeroizing<[u8; KEY_BYTES]>]) -> MasterKey {
        let key = |bytes: &Zeroizing<[u8; KEY_BYTES]>| {
            let key = UnboundKey::new(&AES_256_GCM, bytes.as_slice())
                .expect("AES-256 takes every key of 32 bytes");
            LessSafeKey::new(key)
        };
        MasterKey {
            keys: keys.iter().map(key).collect(),
        }
    }

    /// Reads a key file, which its owner alone may read: a key a line, 32 bytes as hex or base64,
    /// the one in force first and those it replaced below.
    pub fn from_file(path: &Path) -> Result<MasterKey, Error> {
        let read = |source| Error::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(read)?;
        let mode = file.metadata().map_err(read)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(KEY_FILE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(read)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Option<Vec<_>> = lines.map(decode).collect();
        match keys.filter(|keys| !keys.is_empty()) {
            Some(keys) => Ok(Self::ring(&keys)),
            None => Err(Error::Malformed {
                path: path.to_owned(),
            }),
        }
    }

    /// Makes a new key and its file (hex, mode 0600). An existing file is an error: a lost master
    /// key makes every sealed value worthless, so none is ever written over.
    pub fn generate_file(path: &Path) -> Result<MasterKey, Error> {
        let write = |source| Error::Write {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Zeroizing::new([0u8; KEY_BYTES]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| Error::Random)?;
        let text = Zeroizing::new(hex::encode(bytes.as_slice()) + "\n");
        // A half-written key must never be found under the final name.
        let draft = path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)
            .map_err(write)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(write)?;
        std::fs::hard_link(&draft, path).map_err(write)?;
        std::fs::remove_file(&draft).map_err(write)?;
        Ok(MasterKey::from_bytes(*bytes))
    }

    /// Encrypts `plain`; it opens only under the same `purpose`, e.g. `access-key:AKIA…`.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut nonce = [0u8; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| Error::Random)?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + plain.len() + TAG_BYTES);
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        self.keys[0]
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated(purpose)),
                &mut body,
            )
            .map_err(|_| Error::Seal)?;
        sealed.append(&mut body);
        Ok(sealed)
    }

    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let mut outcome = Err(Error::Open);
        for key in &*self.keys {
            outcome = open(key, purpose, sealed);
            if !matches!(outcome, Err(Error::Open)) {
                break;
            }
        }
        outcome
    }

    /// The same value sealed under the key in force; `None` when it is already.
    pub fn reseal(&self, purpose: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if open(&self.keys[0], purpose, sealed).is_ok() {
            return Ok(None);
        }
        let plain = Zeroizing::new(self.open(purpose, sealed)?);
        Ok(Some(self.seal(purpose, &plain)?))
    }
}

fn open(key: &LessSafeKey, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let (version, rest) = sealed.split_first().ok_or(Error::Format)?;
    if *version != VERSION || rest.len() < NONCE_LEN + TAG_BYTES {
        return Err(Error::Format);
    }
    let (nonce, body) = rest.split_at(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Format)?;
    let mut body = body.to_vec();
    let plain_bytes = key
        .open_in_place(nonce, Aad::from(associated(purpose)), &mut body)
        .map_err(|_| Error::Open)?
        .len();
    body.truncate(plain_bytes);
    Ok(body)
}

fn associated(purpose: &str) -> Vec<u8> {
    let mut data = Vec::with_capacity(1 + purpose.len());
    data.push(VERSION);
    data.extend_from_slice(purpose.as_bytes());
    data
}

fn decode(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let bytes = if text.len() == KEY_BYTES * 2 {
        hex::decode(text).ok()?
    } else {
        BASE64_STANDARD.decode(text).ok()?
    };
    let bytes = Zeroizing::new(bytes);
    Some(Zeroizing::new(
        <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fill: u8) -> MasterKey {
        MasterKey::from_bytes([fill; KEY_BYTES])
    }

    #[test]
    fn what_was_sealed_opens_again() {
        let sealed = key(7).seal("access-key:A", b"secret").unwrap();
        assert_eq!(key(7).open("access-key:A", &sealed).unwrap(), b"secret");
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
    }

    #[test]
    fn the_same_secret_never_seals_to_the_same_bytes() {
        assert_ne!(
            key(7).seal("p", b"secret").unwrap(),
            key(7).seal("p", b"secret").unwrap()
        );
    }

    #[test]
    fn another_key_another_purpose_or_one_flipped_bit_does_not_open() {
        let sealed = key(7).seal("access-key:A", b"secret").unwrap();
        assert!(matches!(
            key(8).open("access-key:A", &sealed),
            Err(Error::Open)
        ));
        assert!(matches!(
            key(7).open("access-key:B", &sealed),
            Err(Error::Open)
        ));
        for at in 1..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(
                matches!(key(7).open("access-key:A", &damaged), Err(Error::Open)),
                "byte {at}"
            );
        }
    }

    #[test]
    fn what_is_not_a_sealed_value_is_refused_by_its_format() {
        for bytes in [&b""[..], &[1; 20], &[2; 64]] {
            assert!(matches!(key(7).open("p", bytes), Err(Error::Format)));
        }
    }

    #[test]
    fn a_generated_file_reads_back_as_the_same_key_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let made = MasterKey::generate_file(&path).unwrap();
        let sealed = made.seal("p", b"secret").unwrap();
        let read = MasterKey::from_file(&path).unwrap();
        assert_eq!(read.open("p", &sealed).unwrap(), b"secret");
        assert!(matches!(
            MasterKey::generate_file(&path),
            Err(Error::Write { .. })
        ));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }

    #[test]
    fn a_key_may_be_written_as_base64() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        std::fs::write(&path, BASE64_STANDARD.encode([7u8; KEY_BYTES]) + "\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        let sealed = key(7).seal("p", b"secret").unwrap();
        assert_eq!(
            MasterKey::from_file(&path)
                .unwrap()
                .open("p", &sealed)
                .unwrap(),
            b"secret"
        );
    }

    #[test]
    fn a_replaced_key_still_opens_and_no_longer_seals() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let lines = [hex::encode([8u8; KEY_BYTES]), hex::encode([7u8; KEY_BYTES])];
        std::fs::write(&path, lines.join("\n") + "\n\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let both = MasterKey::from_file(&path).unwrap();
        let old = key(7).seal("p", b"secret").unwrap();
        assert_eq!(both.open("p", &old).unwrap(), b"secret");
        let new = both.reseal("p", &old).unwrap().unwrap();
        assert_eq!(key(8).open("p", &new).unwrap(), b"secret");
        assert!(key(7).open("p", &new).is_err());
        assert_eq!(both.reseal("p", &new).unwrap(), None);
        assert!(both.reseal("q", &old).is_err());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        MasterKey::generate_file(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = MasterKey::from_file(&path).unwrap_err();
        assert!(matches!(error, Error::Exposed { mode: 0o640, .. }));
        assert!(error.to_string().contains("chmod 600"));
    }

    #[test]
    fn a_file_without_a_key_in_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        for text in ["", "short", &"g".repeat(64), &"ab".repeat(31)] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(
                matches!(MasterKey::from_file(&path), Err(Error::Malformed { .. })),
                "{text:?}"
            );
        }
    }
}
