//! Requests at a fixed rate, whatever the answers do: one that is late delays no other, and its time
//! counts from when it was due.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

/// Asks once; whether it was answered as it should be.
pub(super) type Ask =
    Arc<dyn Fn(usize) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

#[derive(Debug, Default)]
pub(super) struct Latencies {
    sorted: Vec<Duration>,
    failures: usize,
}

impl Latencies {
    pub(super) fn percentile(&self, fraction: f64) -> Duration {
        let last = self.sorted.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index of a list that fits in memory"
        )]
        let index = (last as f64 * fraction).ceil() as usize;
        self.sorted.get(index).copied().unwrap_or_default()
    }

    pub(super) fn failures(&self) -> usize {
        self.failures
    }
}

pub(super) async fn open_loop(per_s: u32, duration: Duration, ask: Ask) -> Latencies {
    let (start, mut asked, mut tasks) = (Instant::now(), 0, JoinSet::new());
    let mut latencies = Latencies::default();
    let mut note = |(took, answered): (Duration, bool)| {
        latencies.sorted.push(took);
        latencies.failures += usize::from(!answered);
    };
    loop {
        let due = start + Duration::from_secs(1).mul_f64(f64::from(asked) / f64::from(per_s));
        if due - start >= duration {
            break;
        }
        tokio::time::sleep_until(due).await;
        let ask = Arc::clone(&ask);
        tasks.spawn(async move {
            let answered = ask(usize::try_from(asked).expect("few requests")).await;
            (due.elapsed(), answered)
        });
        asked += 1;
        while let Some(ended) = tasks.try_join_next() {
            note(ended.expect("a request's task ends"));
        }
    }
    while let Some(ended) = tasks.join_next().await {
        note(ended.expect("a request's task ends"));
    }
    latencies.sorted.sort();
    latencies
}
