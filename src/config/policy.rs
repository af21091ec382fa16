//! Policies, without a server.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Policy documents, read from files: needs no server.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyRole {
    /// Say what policy documents together allow
    Simulate(Policy),
}

#[derive(Debug, Clone, Args)]
pub struct Policy {
    /// A policy document in JSON; may be repeated
    #[arg(long = "document", value_name = "FILE", required = true)]
    pub documents: Vec<PathBuf>,
    #[command(flatten)]
    pub question: Question,
}

/// What is asked of policies.
#[derive(Debug, Clone, Args)]
pub struct Question {
    /// An action such as mq:DeleteBroker; may be repeated
    #[arg(long = "action", value_name = "ACTION", required = true)]
    pub actions: Vec<String>,
    /// The ARN of the resource
    #[arg(long, value_name = "ARN", default_value = "*")]
    pub resource: String,
    /// What the request says of itself, such as aws:ResourceTag/team=red; may be repeated, and one
    /// key may have several values
    #[arg(long = "context", value_name = "KEY=VALUE")]
    pub context: Vec<String>,
}
