//! Signed manifests into the database, and what is there.

use std::path::Path;

use signing::{Document, TrustedKeys};

use super::{Error, read};
use crate::db::{self, Pool};
use crate::model::clock::Clock;
use crate::model::engine::{Artefact, EngineRelease, Manifest, PAYLOAD_TYPE};
use crate::roles::admin::table;

/// Takes in a whole manifest, or nothing of it. The one that was imported last may come again.
/// Returns how many lines it has.
pub async fn import(
    pool: &Pool,
    clock: &dyn Clock,
    file: &Path,
    trusted: &TrustedKeys,
) -> Result<usize, Error> {
    if trusted.is_empty() {
        return Err(Error::NoKey);
    }
    let bytes = read(file)?;
    let opened = Document::parse(&bytes)
        .and_then(|document| document.open(PAYLOAD_TYPE, trusted))
        .map_err(Error::Untrusted)?;
    let manifest: Manifest = serde_json::from_slice(&opened.payload).map_err(Error::Payload)?;
    let now = clock.now();
    manifest.check(now)?;
    for entry in &manifest.releases {
        if let Some(file) = entry.file() {
            let statement = file.statement(&entry.release);
            trusted
                .verify(&file.key_id, statement.as_bytes(), &file.signature)
                .map_err(|source| Error::UntrustedFile {
                    release: entry.release.clone(),
                    source,
                })?;
        }
    }
    let mut transaction = db::begin(pool).await?;
    let imported = db::engine_manifest_serial(&mut transaction).await?;
    if manifest.serial < imported {
        return Err(Error::NotNewer {
            serial: manifest.serial,
            imported,
        });
    }
    for entry in &manifest.releases {
        let line = entry.line();
        if !db::engine_release_put(&mut transaction, &line, now).await? {
            return Err(Error::OtherProgram {
                engine: line.engine_type.name(),
                version: line.engine_version.to_string(),
                release: line.release,
            });
        }
    }
    if manifest.serial > imported {
        let document = String::from_utf8_lossy(&bytes);
        let serial = manifest.serial;
        db::engine_manifest_create(&mut transaction, serial, &document, &opened.signed_by, now)
            .await?;
    }
    transaction.commit().await.map_err(db::Error::from)?;
    tracing::info!(
        serial = manifest.serial,
        signed_by = opened.signed_by,
        "imported a catalogue"
    );
    Ok(manifest.releases.len())
}

/// Prints every line, newest first.
pub async fn list(pool: &Pool) -> Result<(), Error> {
    let mut conn = pool.acquire().await.map_err(db::Error::from)?;
    let catalogue = db::catalogue_fetch(&mut conn).await?;
    let rows = catalogue.lines().iter().map(row);
    let heading = [
        "ENGINE",
        "VERSION",
        "RELEASE",
        "RELEASED",
        "SUPPORT ENDS",
        "READS",
        "WRITES",
        "ARTEFACT",
    ];
    table(heading, rows).map_err(|error| Error::Output(std::io::Error::other(error.to_string())))
}

fn row(line: &EngineRelease) -> [String; 8] {
    let reads: Vec<_> = line.formats.reads.iter().map(u32::to_string).collect();
    let artefact = match &line.artefact {
        Artefact::Builtin => "built in".to_owned(),
        Artefact::Simulated => "simulated".to_owned(),
        Artefact::File { url, file } => {
            format!("{url} (sha256 {}, signed by {})", file.sha256, file.key_id)
        }
    };
    [
        line.engine_type.name().to_owned(),
        line.engine_version.to_string(),
        line.release.clone(),
        line.released.to_string(),
        match (line.withdrawn, line.end_of_support) {
            (true, _) => "withdrawn".to_owned(),
            (false, Some(day)) => day.to_string(),
            (false, None) => "-".to_owned(),
        },
        reads.join(","),
        line.formats.writes.to_string(),
        artefact,
    ]
}
