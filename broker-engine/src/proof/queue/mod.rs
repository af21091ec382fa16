//! Queues: after any history a queue holds, hands out and gives up what a naive model says.
//!
//! The model is a sorted list and a few rules. Where the core may choose (which of two equal consumers gets a message)
//! the model takes any choice that the rules allow; everything else must be exact: which messages, in which order, with
//! which flags, and what dies of what.

mod harness;
mod model;
mod shape;

use proptest::{collection::vec, prelude::*};

use self::{
    harness::Harness,
    shape::{op, shape},
};
use super::cases;

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_queue_of_any_arguments_does_what_the_model_does(shape in shape(), ops in vec(op(), 1..60)) {
        let mut harness = Harness::new(&shape);
        for (number, op) in ops.iter().enumerate() {
            if let Err(wrong) = harness.apply(op) {
                return Err(TestCaseError::fail(format!("operation {number}, {op:?}: {wrong}")));
            }
        }
    }
}
