//! Artefacts over HTTP and HTTPS. Proxies are those of the environment; redirects are followed: what comes is believed for
//! its signature, wherever it comes from.
//!
//! Invariant: however a server behaves, a download ends.

use std::error::Error;
use std::time::Duration;

use super::{Rejected, download::Download};

/// How long a server may keep a host waiting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) connect: Duration,
    /// With no byte arriving.
    pub(super) silence: Duration,
    /// What arrives more slowly on the whole is given up.
    pub(super) bytes_per_s_min: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            bytes_per_s_min: 32 << 10,
        }
    }
}

impl Patience {
    /// For all of a file.
    fn total(&self, size_bytes: u64) -> Duration {
        self.connect + self.silence + Duration::from_secs(size_bytes / self.bytes_per_s_min)
    }
}

/// Takes the whole of what `url` has, as far as `download` will.
pub(super) async fn fetch(
    url: &str,
    size_bytes: u64,
    patience: &Patience,
    download: &mut Download,
) -> Result<(), Rejected> {
    let limit = patience.total(size_bytes);
    let taken = tokio::time::timeout(limit, take(url, patience, download)).await;
    taken.unwrap_or_else(|_| {
        Err(Rejected::Slow {
            url: url.to_owned(),
            limit_s: limit.as_secs(),
        })
    })
}

async fn take(url: &str, patience: &Patience, download: &mut Download) -> Result<(), Rejected> {
    let failed = |source| Rejected::Fetch {
        url: url.to_owned(),
        source,
    };
    let client = reqwest::Client::builder()
        .connect_timeout(patience.connect)
        .read_timeout(patience.silence)
        .build()
        .map_err(failed)?;
    let response = client.get(url).send().await.map_err(failed)?;
    let mut response = response.error_for_status().map_err(failed)?;
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        download.take(&chunk)?;
    }
    Ok(())
}

/// What went wrong, down to its cause, for whoever runs the host.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
