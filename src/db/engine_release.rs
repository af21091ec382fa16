//! The catalogue of engine releases: the built-in lines, and those of signed manifests.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use super::{Error, Result, row::Place};
use crate::model::BrokerId;
use crate::model::engine::{
    Artefact, ArtefactFile, Catalogue, DataFormats, EngineRelease, EngineType, EngineVersion,
    SIMULATED, Situation,
};

#[derive(sqlx::FromRow)]
struct Row {
    engine_type: String,
    engine_version: String,
    release: String,
    reads: Vec<i32>,
    writes: i32,
    released_on: NaiveDate,
    end_of_support: Option<NaiveDate>,
    withdrawn: bool,
    /// `builtin`, `simulated` or `file`.
    artefact: String,
    url: Option<String>,
    sha256: Option<String>,
    size_bytes: Option<i64>,
    key_id: Option<String>,
    signature: Option<String>,
}

impl TryFrom<Row> for EngineRelease {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let place = Place {
            table: "engine_artefacts",
            row: &format!("{} {}", row.engine_version, row.release),
        };
        let version = EngineVersion::parse(&row.engine_version);
        let format = |number: i32| place.need("reads", u32::try_from(number).ok());
        let artefact = match row.url {
            None if row.artefact == SIMULATED => Artefact::Simulated,
            None => Artefact::Builtin,
            Some(url) => Artefact::File {
                url,
                file: ArtefactFile {
                    sha256: place.need("sha256", row.sha256)?,
                    size_bytes: place.need(
                        "size_bytes",
                        row.size_bytes.and_then(|size| u64::try_from(size).ok()),
                    )?,
                    key_id: place.need("key_id", row.key_id)?,
                    signature: place.need("signature", row.signature)?,
                },
            },
        };
        Ok(Self {
            engine_type: place.need("engine_type", EngineType::parse(&row.engine_type))?,
            engine_version: place.need("engine_version", version)?,
            release: row.release,
            artefact,
            formats: DataFormats {
                reads: row.reads.into_iter().map(format).collect::<Result<_>>()?,
                writes: format(row.writes)?,
            },
            released: row.released_on,
            end_of_support: row.end_of_support,
            withdrawn: row.withdrawn,
        })
    }
}

/// Every release. Read for each use: a migration or an import may add some at any time.
pub async fn catalogue_fetch(conn: &mut PgConnection) -> Result<Catalogue> {
    let rows: Vec<Row> = sqlx::query_as(
        "select engine_type, coalesce(patch_version, engine_version) as engine_version, release,
                reads, writes, released_on, end_of_support, withdrawn, artefact, null as url,
                null as sha256, null::bigint as size_bytes, null as key_id, null as signature
         from engine_releases
         union all
         select engine_type, engine_version, release, reads, writes, released_on, end_of_support,
                withdrawn, 'file' as artefact, url, sha256, size_bytes, key_id, signature
         from engine_artefacts",
    )
    .fetch_all(conn)
    .await?;
    let releases: Result<Vec<_>> = rows.into_iter().map(EngineRelease::try_from).collect();
    Ok(Catalogue::new(releases?))
}

/// The serial number of the newest manifest that was imported; 0 before the first. Until the
/// transaction ends nobody else imports one.
pub async fn engine_manifest_serial(conn: &mut PgConnection) -> Result<i64> {
    sqlx::query("lock table engine_manifests in exclusive mode")
        .execute(&mut *conn)
        .await?;
    let serial = sqlx::query_scalar("select coalesce(max(serial), 0) from engine_manifests")
        .fetch_one(conn)
        .await?;
    Ok(serial)
}

/// Keeps a manifest as it was signed.
pub async fn engine_manifest_create(
    conn: &mut PgConnection,
    serial: i64,
    document: &str,
    signed_by: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "insert into engine_manifests (serial, document, signed_by, imported_at)
         values ($1, $2, $3, $4)",
    )
    .bind(serial)
    .bind(document)
    .bind(signed_by)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds a line, or gives the one that there is new dates. `false` when a release of this name is
/// another program, or the built-in engine has no such line.
pub async fn engine_release_put(
    conn: &mut PgConnection,
    line: &EngineRelease,
    now: DateTime<Utc>,
) -> Result<bool> {
    let Artefact::File { url, file } = &line.artefact else {
        let done = sqlx::query(
            "update engine_releases set released_on = $4, end_of_support = $5, withdrawn = $6
             where engine_type = $1 and patch_version = $2 and release = $3",
        )
        .bind(line.engine_type.name())
        .bind(line.engine_version.as_str())
        .bind(&line.release)
        .bind(line.released)
        .bind(line.end_of_support)
        .bind(line.withdrawn)
        .execute(conn)
        .await?;
        return Ok(done.rows_affected() == 1);
    };
    let formats = &line.formats;
    let number = |format: u32| i32::try_from(format).unwrap_or(i32::MAX);
    let reads: Vec<i32> = formats.reads.iter().map(|format| number(*format)).collect();
    let done = sqlx::query(
        "insert into engine_artefacts (engine_type, engine_version, release, url, sha256,
                                       size_bytes, key_id, signature, reads, writes, released_on,
                                       end_of_support, withdrawn, imported_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         on conflict (engine_type, engine_version, release) do update
         set url = excluded.url, key_id = excluded.key_id, signature = excluded.signature,
             released_on = excluded.released_on, end_of_support = excluded.end_of_support,
             withdrawn = excluded.withdrawn, imported_at = excluded.imported_at
         where engine_artefacts.sha256 = excluded.sha256
           and engine_artefacts.size_bytes = excluded.size_bytes
           and engine_artefacts.reads = excluded.reads
           and engine_artefacts.writes = excluded.writes",
    )
    .bind(line.engine_type.name())
    .bind(line.engine_version.as_str())
    .bind(&line.release)
    .bind(url)
    .bind(&file.sha256)
    .bind(i64::try_from(file.size_bytes).unwrap_or(i64::MAX))
    .bind(&file.key_id)
    .bind(&file.signature)
    .bind(reads)
    .bind(number(formats.writes))
    .bind(line.released)
    .bind(line.end_of_support)
    .bind(line.withdrawn)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

#[derive(sqlx::FromRow)]
struct SituationRow {
    engine_type: String,
    version: String,
    release: Option<String>,
    staged_version: Option<String>,
    staged_release: Option<String>,
    auto_minor_version_upgrade: bool,
}

/// The situations that brokers are in that have run and stay, each once.
pub async fn engine_situations(conn: &mut PgConnection) -> Result<Vec<Situation>> {
    let rows: Vec<SituationRow> = sqlx::query_as(
        "select distinct engine_type, intended->>'engine_version' as version,
                intended->>'engine_release' as release,
                staged->>'engine_version' as staged_version,
                staged->>'engine_release' as staged_release,
                (settings->>'auto_minor_version_upgrade')::boolean as auto_minor_version_upgrade
         from brokers where applied is not null and deletion_requested_at is null",
    )
    .fetch_all(conn)
    .await?;
    let read = |row: SituationRow| {
        let place = Place {
            table: "brokers",
            row: &row.version,
        };
        let version = |text: &str| place.need("intended", EngineVersion::parse(text));
        Ok(Situation {
            engine_type: place.need("engine_type", EngineType::parse(&row.engine_type))?,
            version: version(&row.version)?,
            release: row.release,
            staged_version: row.staged_version.as_deref().map(version).transpose()?,
            staged_release: row.staged_release,
            auto_minor_version_upgrade: row.auto_minor_version_upgrade,
        })
    };
    rows.into_iter().map(read).collect()
}

/// Brokers in this situation that have not left `release` again, oldest first.
pub async fn brokers_in_situation(
    conn: &mut PgConnection,
    situation: &Situation,
    release: &str,
    limit: i64,
) -> Result<Vec<BrokerId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select b.id from brokers b
         where b.applied is not null and b.deletion_requested_at is null
           and b.engine_type = $1 and b.intended->>'engine_version' = $2
           and b.intended->>'engine_release' is not distinct from $3
           and b.staged->>'engine_version' is not distinct from $4
           and b.staged->>'engine_release' is not distinct from $5
           and (b.settings->>'auto_minor_version_upgrade')::boolean = $6
           and not exists (select from maintenance_runs r
                           where r.broker_id = b.id and r.shunned_release = $7)
         order by b.created_at, b.id limit $8",
    )
    .bind(situation.engine_type.name())
    .bind(situation.version.as_str())
    .bind(&situation.release)
    .bind(situation.staged_version.as_ref().map(EngineVersion::as_str))
    .bind(&situation.staged_release)
    .bind(situation.auto_minor_version_upgrade)
    .bind(release)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let id = |text: String| {
        BrokerId::parse(&text).ok_or(Error::Inconsistent {
            table: "brokers",
            column: "id",
            row: text,
        })
    };
    ids.into_iter().map(id).collect()
}
