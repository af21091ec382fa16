//! Simulation: what policies say to questions that nobody has asked yet.

use super::{Error, admin::table};
use crate::model::policy::{Context, Decision, PolicyDocument, Question, verdict};

/// Actions, a resource's ARN, and what the request would say of itself.
pub type Asked<'a> = (&'a [String], &'a str, &'a Context);

/// A policy as its reader knows it: where it is, or its name and whose it is.
#[derive(Debug, Clone)]
pub struct Labelled {
    pub name: String,
    pub holder: String,
    pub document: PolicyDocument,
}

/// Prints one line for each action: the decision in AWS's words, and which statement of which policy
/// made it.
pub fn simulate(
    policies: &[Labelled],
    (actions, resource, context): Asked<'_>,
) -> Result<(), Error> {
    let rows = actions.iter().map(|action| {
        let question = Question {
            action,
            resource,
            context,
        };
        let verdict = verdict(policies.iter().map(|policy| &policy.document), &question);
        let decision = match verdict.decision {
            Decision::Allowed => "allowed",
            Decision::ImplicitlyDenied => "implicitDeny",
            Decision::ExplicitlyDenied => "explicitDeny",
        };
        let by = verdict.by.and_then(|(at, number)| {
            let policy = policies.get(at)?;
            let statement = policy.document.statement_name(number);
            Some([policy.name.clone(), policy.holder.clone(), statement])
        });
        let [policy, holder, statement] = by.unwrap_or_else(|| ["-"; 3].map(str::to_owned));
        [
            action.clone(),
            resource.to_owned(),
            decision.to_owned(),
            policy,
            holder,
            statement,
        ]
    });
    let heading = [
        "ACTION",
        "RESOURCE",
        "DECISION",
        "POLICY",
        "HOLDER",
        "STATEMENT",
    ];
    table(heading, rows)
}
