//! Names that come from outside: of resources, keys, people and versions; and catalogues of engine releases.

use std::fmt::Display;

use crate::model::{
    AccessKeyId, AccountId, BrokerId, ConfigurationId, Region,
    arn::ResourceArn,
    engine::{EngineVersion, Manifest},
    principal::{Identity, Name, Subject},
};
use chrono::DateTime;

/// Whatever is taken for a name is written as it came.
pub fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    written(text, AccessKeyId::parse);
    written(text, AccountId::parse);
    written(text, BrokerId::parse);
    written(text, ConfigurationId::parse);
    written(text, EngineVersion::parse);
    written(text, Name::parse);
    written(text, Region::parse);
    written(text, ResourceArn::parse);
    if let Some(identity) = Identity::parse(text) {
        assert_eq!(identity.path(), text);
    }
    if let Some(subject) = Subject::parse(text) {
        assert_eq!(subject.path(), text);
    }
    if let Some(version) = EngineVersion::parse(text) {
        let offered = version.without_patch();
        assert_eq!(version.minor(), offered.minor());
        assert!(!offered.has_patch());
    }
}

fn written<T: Display>(text: &str, parse: impl Fn(&str) -> Option<T>) {
    if let Some(name) = parse(text) {
        assert_eq!(name.to_string(), text);
    }
}

/// Documents that would be catalogues: as signed files, and as what is in them.
pub fn manifests(bytes: &[u8]) {
    if let Ok(document) = signing::Document::parse(bytes) {
        let opened = document.open("application/json", &signing::TrustedKeys::default());
        assert!(opened.is_err(), "nobody is trusted");
    }
    let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) else {
        return;
    };
    if manifest.check(DateTime::UNIX_EPOCH).is_err() {
        return;
    }
    let text = serde_json::to_vec(&manifest).expect("a manifest can be written");
    assert_eq!(
        serde_json::from_slice::<Manifest>(&text).expect("and read"),
        manifest
    );
    for entry in &manifest.releases {
        assert!(entry.engine_version.has_patch());
        assert!(EngineVersion::parse(entry.engine_version.as_str()).is_some());
        assert!(entry.formats.reads.contains(&entry.formats.writes));
        if let Some(file) = entry.file() {
            assert!(file.size_bytes > 0 && file.sha256.len() == 64);
        }
    }
}
