//! Proof by many cases: properties of the parts, models of queues and routing, and a simulation of the whole core.
//!
//! Everything here is deterministic: a seed fixes the cases, the clock is virtual, the disk is memory that loses power.
//! `WARREN_LONG` multiplies the number of cases, `WARREN_SEED` chooses others; what fails names the seed that fails.

mod client;
mod codec;
mod node;
mod queue;
mod routing;
mod simulation;

use proptest::test_runner::{Config, RngSeed};

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// How many times more than usual a test repeats its cases.
pub(crate) fn long() -> u64 {
    variable("WARREN_LONG").unwrap_or(1).max(1)
}

/// The first seed.
pub(crate) fn seed() -> u64 {
    variable("WARREN_SEED").unwrap_or(0)
}

/// Seeds for a test that needs `count` of them.
fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let first = seed();
    (0..count * long()).map(move |number| first.wrapping_add(number))
}

/// So many cases of a property, the same ones each time. What fails is shrunk and printed, not kept in a file.
fn cases(count: u32) -> Config {
    Config {
        cases: count.saturating_mul(u32::try_from(long()).unwrap_or(u32::MAX)),
        rng_seed: RngSeed::Fixed(seed()),
        failure_persistence: None,
        max_shrink_iters: 2048,
        ..Config::default()
    }
}
