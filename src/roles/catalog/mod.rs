//! `warren catalog`: what engine releases there are, from their publisher to the database.
//!
//! Nothing gets in that a trusted key does not vouch for twice: for the manifest as a whole, and
//! for each file by itself, so that agents can tell again.

mod import;
mod publish;

use std::path::PathBuf;

use signing::{PublicKey, TrustedKeys};

pub use import::{import, list};
pub use publish::{keygen, sign};

use crate::model::engine::ManifestError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}", path = .path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path}: {source}", path = .path.display())]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{0}")]
    Key(#[source] signing::Error),
    #[error("the manifest is not trusted: {0}")]
    Untrusted(#[source] signing::Error),
    #[error("release {release} is not trusted: {source}")]
    UntrustedFile {
        release: String,
        source: signing::Error,
    },
    #[error("the signed manifest cannot be read: {0}")]
    Payload(serde_json::Error),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("no key is trusted: give --engine-key")]
    NoKey,
    #[error("manifest {serial} is not newer than {imported}, which was imported before")]
    NotNewer { serial: i64, imported: i64 },
    #[error(
        "release {release} of {engine} {version} is known as another program, or is not built in"
    )]
    OtherProgram {
        engine: &'static str,
        version: String,
        release: String,
    },
    #[error("the database: {0}")]
    Database(#[from] crate::db::Error),
    #[error("cannot write the output: {0}")]
    Output(std::io::Error),
}

/// Reads trusted keys as the command line has them.
pub fn trusted_keys(texts: &[String]) -> Result<TrustedKeys, Error> {
    let keys: Result<Vec<PublicKey>, _> = texts.iter().map(|text| text.parse()).collect();
    Ok(TrustedKeys::new(keys.map_err(Error::Key)?))
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}
