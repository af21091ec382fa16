//! A fleet of simulated hosts on one API and one worker: does it hold, and what does each broker more
//! cost?
//!
//! Real: Postgres, `warren serve`, `warren worker`, the API over HTTP with signatures, the agents'
//! protocol over mutual TLS, one identity for each host. Not real: what the hosts run. Short cuts: host
//! tokens, and the hour of the maintenance window that is used, are written into the database.
//!
//! `WARREN_FLEET=100,1000,10000` chooses the sizes; the figures are printed as a table, and written to
//! `fleet-scale.md` in the target directory. With `WARREN_FLEET_TARGETS` they also have to meet what is
//! promised, which is for optimised builds on a machine of their own.

mod cost;
mod fleet;
mod load;
mod table;
mod window;

use std::time::Duration;

use fleet::Fleet;
use load::{Latencies, open_loop};
use table::{Row, Table};

/// Brokers whose window opens at once, at most: of a larger fleet, a part.
const WINDOW_MAX: usize = 2_000;

/// How a run is done.
struct Plan {
    sizes: Vec<usize>,
    /// Of each load.
    duration: Duration,
    describes_per_s: u32,
    lists_per_s: u32,
    maintenance_max: usize,
    must_meet_targets: bool,
}

impl Plan {
    fn read() -> Self {
        let sizes = std::env::var("WARREN_FLEET").ok().map(|text| {
            let size = |word: &str| word.trim().parse().expect("WARREN_FLEET lists sizes");
            text.split(',').map(size).collect::<Vec<usize>>()
        });
        let must_meet_targets = std::env::var_os("WARREN_FLEET_TARGETS").is_some();
        match sizes {
            Some(sizes) => Self {
                sizes,
                duration: Duration::from_secs(20),
                describes_per_s: 300,
                lists_per_s: 30,
                maintenance_max: 50,
                must_meet_targets,
            },
            None => Self {
                sizes: vec![60, 200],
                duration: Duration::from_secs(3),
                describes_per_s: 20,
                lists_per_s: 5,
                maintenance_max: 10,
                must_meet_targets,
            },
        }
    }
}

#[test]
fn a_fleet_is_created_read_swept_and_maintained() {
    let plan = Plan::read();
    let mut fleet = Fleet::start(plan.maintenance_max);
    let mut table = Table::default();
    for &size in &plan.sizes {
        let row = grown(&mut fleet, &plan, size);
        eprintln!("{row}");
        if plan.must_meet_targets {
            row.meets_targets();
        }
        table.push(row);
    }
    let due = (fleet.size() / 2).min(WINDOW_MAX);
    let window = window::used_at_once(&mut fleet, due, plan.maintenance_max);
    let text = format!("{table}\n{window}\n");
    println!("{text}");
    let path = test_support::directory::target().join("fleet-scale.md");
    std::fs::write(&path, text).expect("the target directory is writable");
}

/// Grows the fleet, and measures it at that size.
fn grown(fleet: &mut Fleet, plan: &Plan, size: usize) -> Row {
    let created = fleet.grow(size);
    fleet.rest();
    let idle = fleet.idle(plan.duration.max(Duration::from_secs(12)));
    let describe = fleet.block_on(open_loop(
        plan.describes_per_s,
        plan.duration,
        fleet.describes(),
    ));
    let list = fleet.block_on(open_loop(plan.lists_per_s, plan.duration, fleet.lists()));
    for (name, latencies) in [("DescribeBroker", &describe), ("ListBrokers", &list)] {
        assert_eq!(latencies.failures(), 0, "{name} of {size} brokers");
    }
    Row {
        brokers: size,
        hosts: fleet.hosts(),
        created,
        idle,
        describe,
        list,
    }
}

impl Row {
    fn meets_targets(&self) {
        let ms = |latencies: &Latencies| latencies.percentile(0.99).as_secs_f64() * 1e3;
        let (describe, list) = (ms(&self.describe), ms(&self.list));
        assert!(describe <= 10.0, "DescribeBroker p99 is {describe} ms");
        assert!(list <= 30.0, "ListBrokers p99 is {list} ms");
        let sweep = self.idle.sweep_s;
        assert!(sweep <= 30.0, "a sweep takes {sweep} s");
        let cores = self.idle.worker.cores() + self.idle.postgres.cores();
        assert!(
            cores <= 1.0,
            "the worker and Postgres use {cores} cores at rest"
        );
    }
}
