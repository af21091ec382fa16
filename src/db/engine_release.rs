//! The catalogue of engine releases.

use sqlx::PgConnection;

use super::{Error, Result, row::Place};
use crate::model::engine::{Catalogue, EngineRelease, EngineType, EngineVersion};

#[derive(sqlx::FromRow)]
struct Row {
    engine_type: String,
    engine_version: String,
    release: String,
    artefact: String,
}

impl TryFrom<Row> for EngineRelease {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let place = Place {
            table: "engine_releases",
            row: &row.engine_type,
        };
        let version = EngineVersion::parse(&row.engine_version);
        Ok(Self {
            engine_type: place.need("engine_type", EngineType::parse(&row.engine_type))?,
            engine_version: place.need("engine_version", version)?,
            release: row.release,
            artefact: row.artefact,
        })
    }
}

/// Every release. Read for each use: a migration may add some while older processes run.
pub async fn catalogue_fetch(conn: &mut PgConnection) -> Result<Catalogue> {
    let rows: Vec<Row> = sqlx::query_as(
        "select engine_type, engine_version, release, artefact from engine_releases",
    )
    .fetch_all(conn)
    .await?;
    let releases: Result<Vec<_>> = rows.into_iter().map(EngineRelease::try_from).collect();
    Ok(Catalogue::new(releases?))
}
