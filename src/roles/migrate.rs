//! `warren migrate`.

use tokio_util::sync::CancellationToken;

use super::{Error, connect};
use crate::db;

pub async fn run(database_url: &str, shutdown: &CancellationToken) -> Result<(), Error> {
    let pool = connect(database_url, shutdown).await?;
    db::migrate(&pool).await?;
    pool.close().await;
    tracing::info!("the schema is up to date");
    Ok(())
}
