//! Simulation: what policies say to questions that nobody has asked yet.

use super::{Error, admin::table};
use crate::model::policy::{Context, Decision, PolicyDocument, Question, decide};

/// Actions, a resource's ARN, and what the request would say of itself.
pub type Asked<'a> = (&'a [String], &'a str, &'a Context);

/// Prints one line for each action, with the decision in AWS's words.
pub fn simulate(
    documents: &[PolicyDocument],
    (actions, resource, context): Asked<'_>,
) -> Result<(), Error> {
    let rows = actions.iter().map(|action| {
        let question = Question {
            action,
            resource,
            context,
        };
        let decision = match decide(documents, &question) {
            Decision::Allowed => "allowed",
            Decision::ImplicitlyDenied => "implicitDeny",
            Decision::ExplicitlyDenied => "explicitDeny",
        };
        [action.clone(), resource.to_owned(), decision.to_owned()]
    });
    table(["ACTION", "RESOURCE", "DECISION"], rows)
}
