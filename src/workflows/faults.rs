//! Where tests break a workflow: before and after each step.

use std::str::FromStr;

/// Which side of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The step fails with an error.
    Fail,
    /// The worker dies: nothing more is written.
    Crash,
}

/// Asked before and after each step, which is named `workflow.step`.
pub trait Faults: Send + Sync {
    fn at(&self, step: &str, when: When) -> Result<(), Fault>;
}

/// Nothing goes wrong on purpose.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn at(&self, _step: &str, _when: When) -> Result<(), Fault> {
        Ok(())
    }
}

/// Ends the process at one point, as a power cut would. Written `workflow.step.before` or
/// `workflow.step.after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbortAt {
    step: String,
    when: When,
}

impl Faults for AbortAt {
    fn at(&self, step: &str, when: When) -> Result<(), Fault> {
        if self.step == step && self.when == when {
            tracing::error!(step, ?when, "aborting here, as told");
            std::process::abort();
        }
        Ok(())
    }
}

/// Not of the form `workflow.step.before` or `workflow.step.after`.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} names no point of a workflow: use WORKFLOW.STEP.before or WORKFLOW.STEP.after")]
pub struct InvalidPoint(String);

impl FromStr for AbortAt {
    type Err = InvalidPoint;

    fn from_str(text: &str) -> Result<Self, InvalidPoint> {
        let invalid = || InvalidPoint(text.to_owned());
        let (step, when) = text.rsplit_once('.').ok_or_else(invalid)?;
        let when = match when {
            "before" => When::Before,
            "after" => When::After,
            _ => return Err(invalid()),
        };
        if step.split('.').count() == 2 && step.split('.').all(|part| !part.is_empty()) {
            Ok(Self {
                step: step.to_owned(),
                when,
            })
        } else {
            Err(invalid())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_and_others_do_not_abort() {
        let point: AbortAt = "broker_create.wait_ready.after".parse().unwrap();
        assert_eq!(point.at("broker_create.wait_ready", When::Before), Ok(()));
        assert_eq!(point.at("broker_reboot.wait_ready", When::After), Ok(()));
        for text in [
            "",
            "broker_create",
            "broker_create.after",
            "a.b.during",
            ".b.after",
        ] {
            assert!(text.parse::<AbortAt>().is_err(), "{text:?}");
        }
    }
}
