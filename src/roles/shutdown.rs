//! When to stop.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit status of a process that a second signal ended, by the shells' convention for SIGINT.
const INTERRUPTED: i32 = 130;

/// Signals so soon after the first are the first.
const ECHO: Duration = Duration::from_secs(1);

/// Cancelled by the first SIGINT or SIGTERM. A second one ends the process at once: what it
/// leaves behind is what the next start copes with anyway.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        stop.cancel();
        // Wrappers (cargo, timeout) pass on what the terminal sends to the whole group as well: the
        // same Ctrl-C, twice.
        let first = Instant::now();
        while first.elapsed() < ECHO {
            either(&mut interrupt, &mut terminate).await;
        }
        std::process::exit(INTERRUPTED);
    });
    Ok(token)
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
