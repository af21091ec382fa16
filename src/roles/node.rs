//! `warren node`: one engine process, started by an agent.

use tokio_util::sync::CancellationToken;

use super::Error;

pub async fn run(
    options: broker_engine::options::Options,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    Ok(broker_engine::run(options, shutdown).await?)
}
