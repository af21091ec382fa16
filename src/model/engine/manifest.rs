//! The catalogue as its publisher writes it. Whoever imports it has verified the signatures.

use std::collections::BTreeSet;

use agent_api::ArtefactFile;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{Artefact, DataFormats, EngineRelease, EngineType, EngineVersion};

/// The type of signed manifests.
pub const PAYLOAD_TYPE: &str = "application/vnd.warren.engine-catalogue.v1+json";

/// Releases that an installation may run. Members that are not known are refused: they could be
/// conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Grows with every edition, so that an old one is not taken for news.
    pub serial: i64,
    /// From then on it is not imported any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<DateTime<Utc>>,
    pub releases: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub engine_type: EngineType,
    /// With its patch number.
    pub engine_version: EngineVersion,
    pub release: String,
    pub released: NaiveDate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_of_support: Option<NaiveDate>,
    #[serde(default)]
    pub withdrawn: bool,
    pub formats: DataFormats,
    pub artefact: EntryArtefact,
}

/// What the publisher says of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EntryArtefact {
    /// Dates of the engine that comes with Warren.
    Builtin,
    File {
        url: String,
        /// Lower-case hex.
        sha256: String,
        size_bytes: u64,
        key_id: String,
        /// Base64.
        signature: String,
    },
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("the manifest has expired at {0}")]
    Expired(DateTime<Utc>),
    #[error("the manifest has no positive serial number")]
    Serial,
    #[error("{release} of {engine} {version}: {reason}")]
    Entry {
        engine: &'static str,
        version: EngineVersion,
        release: String,
        reason: &'static str,
    },
}

impl Manifest {
    /// Checks all that can be told without the network and the database.
    pub fn check(&self, now: DateTime<Utc>) -> Result<(), ManifestError> {
        if self.serial < 1 {
            return Err(ManifestError::Serial);
        }
        if let Some(expires) = self.expires.filter(|expires| *expires <= now) {
            return Err(ManifestError::Expired(expires));
        }
        let mut seen = BTreeSet::new();
        for entry in &self.releases {
            let key = (
                entry.engine_type.name(),
                entry.engine_version.as_str(),
                entry.release.as_str(),
            );
            let reason = if seen.insert(key) {
                entry.fault()
            } else {
                Some("it is listed twice")
            };
            if let Some(reason) = reason {
                return Err(ManifestError::Entry {
                    engine: entry.engine_type.name(),
                    version: entry.engine_version.clone(),
                    release: entry.release.clone(),
                    reason,
                });
            }
        }
        Ok(())
    }
}

impl Entry {
    fn fault(&self) -> Option<&'static str> {
        let name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte);
        let release = &self.release;
        if release.is_empty() || release.len() > 64 || !release.bytes().all(name) {
            return Some("a release is named by letters, digits, dots, hyphens, plus signs");
        }
        // Versions are read from text by serde without a look at them.
        if EngineVersion::parse(self.engine_version.as_str()).is_none()
            || !self.engine_version.has_patch()
        {
            return Some("its version needs a patch number, such as 4.2.1");
        }
        if !self.formats.reads.contains(&self.formats.writes) {
            return Some("it does not read what it writes");
        }
        let EntryArtefact::File {
            url,
            sha256,
            size_bytes,
            ..
        } = &self.artefact
        else {
            return None;
        };
        let schemes = ["https://", "http://", "file:///"];
        if !schemes.iter().any(|scheme| url.starts_with(scheme)) {
            return Some("its URL is none of https:, http: and file:");
        }
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if sha256.len() != 64 || !sha256.bytes().all(hex) {
            return Some("its SHA-256 is not 64 lower-case hex digits");
        }
        if *size_bytes == 0 || i64::try_from(*size_bytes).is_err() {
            return Some("its size is no size");
        }
        None
    }

    /// The file that the entry speaks of, unless that is the built-in engine.
    pub fn file(&self) -> Option<ArtefactFile> {
        match &self.artefact {
            EntryArtefact::Builtin => None,
            EntryArtefact::File {
                sha256,
                size_bytes,
                key_id,
                signature,
                ..
            } => Some(ArtefactFile {
                sha256: sha256.clone(),
                size_bytes: *size_bytes,
                key_id: key_id.clone(),
                signature: signature.clone(),
            }),
        }
    }

    /// The line of the catalogue.
    pub fn line(&self) -> EngineRelease {
        let artefact = match (&self.artefact, self.file()) {
            (EntryArtefact::File { url, .. }, Some(file)) => Artefact::File {
                url: url.clone(),
                file,
            },
            (EntryArtefact::File { .. } | EntryArtefact::Builtin, _) => Artefact::Builtin,
        };
        EngineRelease {
            engine_type: self.engine_type,
            engine_version: self.engine_version.clone(),
            release: self.release.clone(),
            artefact,
            formats: self.formats.clone(),
            released: self.released,
            end_of_support: self.end_of_support,
            withdrawn: self.withdrawn,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(changes: &[(&str, serde_json::Value)]) -> Result<(), String> {
        let mut entry = json!({
            "engine_type": "RABBITMQ", "engine_version": "4.2.2", "release": "0.2.0",
            "released": "2026-11-01", "formats": {"reads": [1, 2], "writes": 2},
            "artefact": {"file": {"url": "https://example.org/e", "sha256": "0".repeat(64),
                "size_bytes": 1, "key_id": "k", "signature": "s"}},
        });
        for (pointer, value) in changes {
            *entry.pointer_mut(pointer).unwrap() = value.clone();
        }
        let manifest = json!({"serial": 1, "expires": "2027-01-01T00:00:00Z", "releases": [entry]});
        let manifest: Manifest = serde_json::from_value(manifest).map_err(|e| e.to_string())?;
        let now = "2026-12-31T23:59:59Z".parse().unwrap();
        manifest.check(now).map_err(|e| e.to_string())
    }

    #[test]
    fn a_whole_manifest_passes_and_each_fault_is_named() {
        assert_eq!(manifest(&[]), Ok(()));
        for (pointer, value, text) in [
            ("/engine_version", json!("4.2"), "needs a patch number"),
            ("/engine_version", json!("four"), "needs a patch number"),
            ("/release", json!("0.2.0 beta"), "is named by"),
            ("/formats/writes", json!(3), "does not read what it writes"),
            (
                "/artefact/file/url",
                json!("ftp://x"),
                "https:, http: and file:",
            ),
            ("/artefact/file/sha256", json!("AB"), "64 lower-case"),
            ("/artefact/file/size_bytes", json!(0), "no size"),
        ] {
            let refused = manifest(&[(pointer, value)]).unwrap_err();
            assert!(refused.contains(text), "{refused}");
        }
        let unknown = json!({"reads": [2], "writes": 2, "needs": "more"});
        assert!(
            manifest(&[("/formats", unknown)])
                .unwrap_err()
                .contains("needs")
        );
    }

    #[test]
    fn an_expired_manifest_or_one_without_number_is_refused() {
        let manifest = |serial, expires: &str| Manifest {
            serial,
            expires: Some(expires.parse().unwrap()),
            releases: Vec::new(),
        };
        let now = "2026-12-31T00:00:00Z".parse().unwrap();
        assert_eq!(
            manifest(0, "2027-01-01T00:00:00Z").check(now),
            Err(ManifestError::Serial)
        );
        assert_eq!(
            manifest(1, "2026-12-31T00:00:00Z").check(now),
            Err(ManifestError::Expired(now))
        );
    }
}
