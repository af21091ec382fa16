//! Watching a broker until it is what was asked for.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use client::{BrokerState, Client};
use indicatif::{ProgressBar, ProgressStyle};

use crate::error::Error;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Goal {
    /// It serves
    Running,
    /// It does not exist any more
    Deleted,
}

/// Where one look at the broker leads.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Reached,
    Pending,
    Impossible,
}

impl Goal {
    fn name(self) -> &'static str {
        match self {
            Goal::Running => "running",
            Goal::Deleted => "deleted",
        }
    }

    fn judge(self, state: &BrokerState) -> Verdict {
        match (self, state) {
            (Goal::Running, BrokerState::Running) => Verdict::Reached,
            (
                Goal::Running,
                BrokerState::CreationFailed
                | BrokerState::DeletionInProgress
                | BrokerState::CriticalActionRequired
                | BrokerState::Replica,
            ) => Verdict::Impossible,
            (
                Goal::Running,
                BrokerState::CreationInProgress
                | BrokerState::RebootInProgress
                | BrokerState::Other(_),
            ) => Verdict::Pending,
            (Goal::Deleted, _) => Verdict::Pending,
        }
    }
}

/// Looks again and again, less and less often. Says on stderr where the broker is: a live line on
/// a terminal, a line a change elsewhere.
pub(crate) async fn wait(
    client: &Client,
    id: &str,
    name: &str,
    goal: Goal,
    timeout: Duration,
) -> Result<(), Error> {
    let started = Instant::now();
    let progress = Progress::start(name);
    let mut pause = FIRST_PAUSE;
    loop {
        let state = match client.describe_broker(id).await {
            Ok(broker) => broker.broker_state,
            Err(error) if error.is_not_found() && goal == Goal::Deleted => return Ok(()),
            Err(error) if error.is_not_found() => return Err(Error::Gone(name.to_owned())),
            Err(error) => return Err(error.into()),
        };
        progress.show(&state);
        match goal.judge(&state) {
            Verdict::Reached => return Ok(()),
            Verdict::Impossible => {
                let (name, goal) = (name.to_owned(), goal.name());
                return Err(Error::Unreachable { name, state, goal });
            }
            Verdict::Pending if started.elapsed() >= timeout => {
                return Err(Error::TooSlow {
                    name: name.to_owned(),
                    state,
                    waited: timeout,
                });
            }
            Verdict::Pending => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

struct Progress<'a> {
    name: &'a str,
    bar: Option<ProgressBar>,
    last: std::cell::RefCell<Option<BrokerState>>,
}

impl<'a> Progress<'a> {
    fn start(name: &'a str) -> Progress<'a> {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
                .expect("the template is well-formed");
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Progress {
            name,
            bar,
            last: std::cell::RefCell::new(None),
        }
    }

    fn show(&self, state: &BrokerState) {
        let text = format!("{}: {state}", self.name);
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None if self.last.borrow().as_ref() != Some(state) => eprintln!("{text}"),
            None => {}
        }
        *self.last.borrow_mut() = Some(state.clone());
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_is_reached_or_given_up_on() {
        assert_eq!(Goal::Running.judge(&BrokerState::Running), Verdict::Reached);
        for state in [
            BrokerState::CreationInProgress,
            BrokerState::RebootInProgress,
        ] {
            assert_eq!(Goal::Running.judge(&state), Verdict::Pending);
        }
        for state in [BrokerState::CreationFailed, BrokerState::DeletionInProgress] {
            assert_eq!(Goal::Running.judge(&state), Verdict::Impossible);
        }
    }

    #[test]
    fn only_absence_is_deletion() {
        assert_eq!(
            Goal::Deleted.judge(&BrokerState::DeletionInProgress),
            Verdict::Pending
        );
        assert_eq!(Goal::Deleted.judge(&BrokerState::Running), Verdict::Pending);
    }
}
