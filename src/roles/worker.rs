//! `warren worker`: workflows and reconcilers.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use super::Installation;
use crate::jobs;
use crate::pki::Authority;
use crate::provision::Range;
use crate::provision::local::Local;
use crate::provision::simulated::Simulated;
use crate::reconcilers;
use crate::workflows::{self, Faults};

#[derive(Clone)]
pub struct Options {
    /// Where nodes of local hosts listen.
    pub range: Range,
    /// Where tests break workflows.
    pub faults: Arc<dyn Faults>,
    /// How long audit events are kept.
    pub audit_keep: TimeDelta,
    /// How many brokers may be in the middle of their maintenance at once.
    pub maintenance_running_max: u32,
}

/// Runs until `shutdown`, then lets running steps end.
pub async fn run(installation: Installation, options: Options, shutdown: CancellationToken) {
    let Installation {
        pool,
        clock,
        entropy,
        metrics,
        ..
    } = installation;
    let name = format!("pid-{}", std::process::id());
    let options_of_workflows = workflows::Options {
        jobs: jobs::Options {
            worker: name,
            metrics: metrics.clone(),
            ..jobs::Options::default()
        },
        faults: options.faults,
        ..workflows::Options::default()
    };
    let workflows = workflows::worker(
        pool.clone(),
        Arc::new(Simulated::beside(Local::new(options.range))),
        clock.clone(),
        entropy.clone(),
        options_of_workflows,
        shutdown.clone(),
    );
    let reconcilers = reconcilers::run(
        pool,
        clock,
        entropy,
        reconcilers::Options {
            audit_keep: options.audit_keep,
            maintenance_running_max: options.maintenance_running_max,
            metrics,
            ..reconcilers::Options::default()
        },
        shutdown,
    );
    tokio::join!(workflows, reconcilers);
}

/// A range that all workers of one installation derive alike, and that two installations on one
/// machine hardly share.
pub fn default_range(authority: &Authority) -> Range {
    let hash = digest(&SHA256, authority.certificate_pem().as_bytes());
    let [first, second, ..] = hash.as_ref() else {
        unreachable!("a SHA-256 has 32 bytes")
    };
    let address = Ipv4Addr::new(127, 64 + first % 64, *second, 0);
    // Only Linux has the whole of 127.0.0.0/8 on its loopback interface.
    match TcpListener::bind((Ipv4Addr::from_bits(address.to_bits() + 2), 0)) {
        Ok(_) => Range::Addresses(address, 24),
        Err(_) => Range::Ports(20_000 + u16::from(first % 20) * 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_of_one_installation_agree_on_their_range() {
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        let authority = Authority::generate(now).unwrap();
        let copy = Authority::from_pem(authority.certificate_pem(), &authority.key_pem()).unwrap();
        let range = default_range(&authority);
        assert_eq!(range, default_range(&copy));
        assert_eq!(range.to_string().parse::<Range>().unwrap(), range);
    }
}
