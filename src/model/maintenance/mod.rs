//! Weekly maintenance: when a broker may be restarted without being asked.

mod run;
mod schedule;

pub use run::{MaintenanceOutcome, MaintenanceRun, NodeAway};
pub use schedule::{ADJUSTMENTS_MAX, Opening, Schedule, WINDOW, Weekly};
