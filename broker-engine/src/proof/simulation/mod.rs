//! The whole core under random histories: clients that speak AMQP in pieces of bytes, some of them hostile, a clock that
//! a test moves, and a disk that loses power and has bad pages.
//!
//! What must hold: no confirmed message is lost, no message returns after its acknowledgement was synced, every second
//! delivery says so, what one channel published to one queue comes in that order, transactions apply whole, and when
//! everybody is gone nothing is left. Mutations show that each of these is looked at.

mod hostile;
mod ledger;
mod roles;
mod world;

use self::world::World;
use super::seeds;
use crate::store::mutation::Mutation;

/// Histories that once broke something: a message behind a torn entry came back as if it were new.
const REMEMBERED: [u64; 1] = [15_589];

/// Runs the history of a seed, and tells what was broken.
fn simulate(seed: u64) -> Result<(), String> {
    let mut world = World::new(seed)?;
    let steps = world.random.usize(50..300);
    for step in 0..steps {
        world
            .step()
            .map_err(|broken| format!("step {step}: {broken}"))?;
    }
    world.finish()
}

#[test]
fn nothing_promised_is_broken_in_any_history() {
    for seed in REMEMBERED.into_iter().chain(seeds(120)) {
        if let Err(broken) = simulate(seed) {
            panic!("seed {seed}: {broken}");
        }
    }
}

#[test]
fn every_mutation_breaks_something() {
    for mutation in Mutation::ALL {
        // Only a history that holds otherwise shows anything; then a panic is as good a sign as an error.
        let is_caught = |seed| {
            let holds = simulate(seed);
            assert_eq!(holds, Ok(()), "seed {seed} without a mutation");
            let _wrong = mutation.turn_on();
            !matches!(std::panic::catch_unwind(|| simulate(seed)), Ok(Ok(())))
        };
        // Bad pages are in most histories, what others show is rarer.
        let of = if mutation == Mutation::SkipChecksum {
            12
        } else {
            60
        };
        let caught = (0..of).filter(|seed| is_caught(*seed)).take(3).count();
        assert_eq!(caught, 3, "seeds of {of} that notice {mutation:?}");
    }
}
