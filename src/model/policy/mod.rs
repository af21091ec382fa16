//! Access policies: the IAM policy language, and what a set of policies says to a request.
//!
//! Pure: reads documents and a request's [`Context`], knows neither actions of ours nor where
//! policies are stored. Evaluation never fails: what cannot be understood is refused when the
//! document is parsed, and what a request lacks makes a statement not apply.
//!
//! Grammar and rules: IAM User Guide, "Grammar of the IAM JSON policy language" and "Policy
//! evaluation logic".

mod condition;
mod context;
mod decision;
mod document;
mod glob;
mod grants;
mod managed;
mod operator;

pub use context::Context;
pub use decision::{Decision, Question, Trust, Verdict, decide, verdict};
pub use document::{MANAGED_CHARACTERS_MAX, Malformed, PolicyDocument, TrustPolicy, characters};
pub use grants::{Grants, Refusal};
pub use managed::{MANAGED, Managed};
