//! The publisher's side: keys, and manifests signed with them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use agent_api::ArtefactFile;
use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use signing::{Document, PublicKey, SecretKey};
use zeroize::Zeroizing;

use super::{Error, read};
use crate::model::engine::{
    DataFormats, EngineType, EngineVersion, Entry, EntryArtefact, Manifest, PAYLOAD_TYPE,
};

/// A manifest before it is signed: it names files instead of what they are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    serial: i64,
    expires: Option<DateTime<Utc>>,
    releases: Vec<DraftEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftEntry {
    engine_type: EngineType,
    engine_version: EngineVersion,
    release: String,
    released: NaiveDate,
    end_of_support: Option<NaiveDate>,
    #[serde(default)]
    withdrawn: bool,
    formats: DataFormats,
    /// The executable, relative to the draft; none for the built-in engine.
    file: Option<PathBuf>,
    /// Where agents will find it; the file itself where it lies if not given.
    url: Option<String>,
}

/// Makes a key, keeps its secret half in a new file, and returns the public half.
pub fn keygen(name: &str, file: &Path) -> Result<PublicKey, Error> {
    let key = SecretKey::generate(name).map_err(Error::Key)?;
    let wrong = |source| Error::File {
        path: file.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    let mut out = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(wrong)?;
    let text = key.to_text();
    out.write_all(text.as_bytes()).map_err(wrong)?;
    out.write_all(b"\n").map_err(wrong)?;
    out.sync_all().map_err(wrong)?;
    Ok(key.public())
}

/// Writes the signed manifest of a draft. Every file is read, and signed by itself besides.
pub fn sign(draft: &Path, key: &Path, now: DateTime<Utc>) -> Result<Vec<u8>, Error> {
    let secret = Zeroizing::new(read(key)?);
    let secret = std::str::from_utf8(&secret)
        .map_err(|_| Error::Key(signing::Error::MalformedKey("the secret key".to_owned())))?;
    let key = SecretKey::parse(secret).map_err(Error::Key)?;
    let json = |source| Error::Json {
        path: draft.to_owned(),
        source,
    };
    let read_draft: Draft = serde_json::from_slice(&read(draft)?).map_err(json)?;
    let directory = draft.parent().unwrap_or_else(|| Path::new(""));
    let entry = |entry: DraftEntry| sign_entry(entry, directory, &key);
    let manifest = Manifest {
        serial: read_draft.serial,
        expires: read_draft.expires,
        releases: read_draft
            .releases
            .into_iter()
            .map(entry)
            .collect::<Result<_, _>>()?,
    };
    manifest.check(now)?;
    let payload = serde_json::to_vec_pretty(&manifest).map_err(Error::Payload)?;
    let document = Document::sign(PAYLOAD_TYPE, &payload, &key);
    serde_json::to_vec_pretty(&document).map_err(Error::Payload)
}

fn sign_entry(draft: DraftEntry, directory: &Path, key: &SecretKey) -> Result<Entry, Error> {
    let artefact = match &draft.file {
        None => EntryArtefact::Builtin,
        Some(file) => {
            let path = directory.join(file);
            let bytes = read(&path)?;
            let mut made = ArtefactFile {
                sha256: hex::encode(digest(&SHA256, &bytes)),
                size_bytes: bytes.len() as u64,
                key_id: key.name().to_owned(),
                signature: String::new(),
            };
            made.signature = key.sign(made.statement(&draft.release).as_bytes());
            let wrong = |source| Error::File {
                path: path.clone(),
                source,
            };
            let url = match draft.url {
                Some(url) => url,
                None => format!("file://{}", path.canonicalize().map_err(wrong)?.display()),
            };
            EntryArtefact::File {
                url,
                sha256: made.sha256,
                size_bytes: made.size_bytes,
                key_id: made.key_id,
                signature: made.signature,
            }
        }
    };
    Ok(Entry {
        engine_type: draft.engine_type,
        engine_version: draft.engine_version,
        release: draft.release,
        released: draft.released,
        end_of_support: draft.end_of_support,
        withdrawn: draft.withdrawn,
        formats: draft.formats,
        artefact,
    })
}
