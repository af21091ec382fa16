//! What is kept, and what is refused.

mod web;

use std::os::unix::fs::PermissionsExt as _;

use aws_lc_rs::digest::{Context, SHA256};
use signing::SecretKey;

use super::*;

pub(super) struct Publisher {
    dir: tempfile::TempDir,
    key: SecretKey,
}

impl Publisher {
    pub(super) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            key: SecretKey::generate("k").unwrap(),
        }
    }

    pub(super) fn publish(&self, bytes: &[u8]) -> EngineArtefact {
        let path = self.dir.path().join("artefact");
        fs::write(&path, bytes).unwrap();
        let mut hash = Context::new(&SHA256);
        hash.update(bytes);
        let mut file = ArtefactFile {
            sha256: hex::encode(hash.finish()),
            size_bytes: bytes.len() as u64,
            key_id: "k".to_owned(),
            signature: String::new(),
        };
        file.signature = self.key.sign(file.statement("2").as_bytes());
        EngineArtefact {
            release: "2".to_owned(),
            artefact: format!("file://{}", path.display()),
            file: Some(file),
        }
    }

    pub(super) fn engines(&self) -> Engines {
        let dir = self.dir.path().join("engines");
        fs::create_dir_all(&dir).unwrap();
        let keys = TrustedKeys::new(vec![self.key.public()]);
        Engines::new(dir, "/builtin".into(), keys)
    }

    fn overwrite(&self, bytes: &[u8]) {
        fs::write(self.dir.path().join("artefact"), bytes).unwrap();
    }
}

#[tokio::test]
async fn a_signed_release_is_fetched_once_executable_and_mended_when_it_rots() {
    let publisher = Publisher::new();
    let engine = publisher.publish(b"#!/bin/sh\nexit 0\n");
    let engines = publisher.engines();
    let path = engines.provide(&engine).await.unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o500
    );
    publisher.overwrite(b"something else");
    assert_eq!(engines.provide(&engine).await.unwrap(), path, "kept");

    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(&path, b"#!/bin/sh\nexit 1\n").unwrap();
    let gone = engines.provide(&engine).await.unwrap_err();
    assert!(gone.is_final(), "{gone}");
    publisher.overwrite(b"#!/bin/sh\nexit 0\n");
    assert_eq!(engines.provide(&engine).await.unwrap(), path);
}

#[tokio::test]
async fn nothing_else_than_what_was_signed_is_kept() {
    let publisher = Publisher::new();
    let engine = publisher.publish(b"good");
    let engines = publisher.engines();
    for (bytes, reason) in [
        (&b"evil"[..], "was signed"),
        (b"much more than that", "bytes that were signed"),
        (b"go", "bytes that were signed"),
    ] {
        publisher.overwrite(bytes);
        let rejected = engines.provide(&engine).await.unwrap_err();
        assert!(rejected.is_final());
        assert!(rejected.to_string().contains(reason), "{rejected}");
    }
    assert_eq!(fs::read_dir(&engines.dir).unwrap().count(), 0);
    fs::remove_file(publisher.dir.path().join("artefact")).unwrap();
    assert!(!engines.provide(&engine).await.unwrap_err().is_final());
}

#[tokio::test]
async fn a_release_without_the_trusted_signature_is_not_even_fetched() {
    let publisher = Publisher::new();
    let engine = publisher.publish(b"good");
    let engines = publisher.engines();
    let other_release = EngineArtefact {
        release: "3".to_owned(),
        ..engine.clone()
    };
    let mut forged = engine.clone();
    if let Some(file) = &mut forged.file {
        file.signature = SecretKey::generate("k").unwrap().sign(b"x");
    }
    let unsigned = EngineArtefact {
        file: None,
        ..engine.clone()
    };
    let mut outside = engine.clone();
    if let Some(file) = &mut outside.file {
        file.sha256 = format!("../{}", &file.sha256[3..]);
    }
    for engine in [other_release, forged, unsigned, outside] {
        let rejected = engines.provide(&engine).await.unwrap_err();
        assert!(rejected.is_final(), "{rejected}");
    }
    let trusting_nobody = Engines::new(
        engines.dir.clone(),
        "/builtin".into(),
        TrustedKeys::default(),
    );
    let rejected = trusting_nobody.provide(&engine).await.unwrap_err();
    assert!(rejected.to_string().contains("--engine-key"), "{rejected}");
    let builtin = EngineArtefact {
        release: "1".to_owned(),
        artefact: EngineArtefact::BUILTIN.to_owned(),
        file: None,
    };
    let path = trusting_nobody.provide(&builtin).await.unwrap();
    assert_eq!(path, Path::new("/builtin"));
}
