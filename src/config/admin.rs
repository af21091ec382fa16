//! What an operator does by hand.

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::{
    AccessKeyCommand, Database, GroupCommand, MasterKey, PolicyCommand, RoleCommand, UserCommand,
};

/// What an operator does by hand: accounts, users, policies, keys, hosts.
#[derive(Debug, Clone, Args)]
pub struct Admin {
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub master_key: MasterKey,
    #[command(subcommand)]
    pub command: AdminCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum AdminCommand {
    /// Accounts, which own brokers and see only their own
    #[command(subcommand)]
    Account(AccountCommand),
    /// Users of an account: what its people and programs sign in as
    #[command(subcommand)]
    User(UserCommand),
    /// Roles of an account, which users and other roles assume for a while
    #[command(subcommand)]
    Role(RoleCommand),
    /// Groups of users, which share the groups' policies
    #[command(subcommand)]
    Group(GroupCommand),
    /// Policies: what users, roles and groups may do
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Access keys, which sign requests for an account or a user
    #[command(subcommand)]
    AccessKey(AccessKeyCommand),
    /// How much accounts may have
    #[command(subcommand)]
    Quota(QuotaCommand),
    /// The audit log of all accounts
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Enrolment tokens of hosts
    #[command(subcommand)]
    HostToken(HostTokenCommand),
    /// Jobs: what workers do, shall do, and could not do
    #[command(subcommand)]
    Job(JobCommand),
    /// The key that secrets in the database are sealed under
    #[command(subcommand)]
    MasterKey(MasterKeyCommand),
    /// The installation's certificate authority
    #[command(subcommand)]
    Ca(CaCommand),
}

#[derive(Debug, Clone, Subcommand)]
pub enum AccountCommand {
    /// Make an account; prints its id
    Create {
        /// Name of the account, unique in the installation
        #[arg(long)]
        name: String,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum AuditCommand {
    /// Print events as CloudTrail records, one JSON object a line, and go on as they come
    ///
    /// Every event is printed once and none is missed, so the output can feed a collector. After
    /// a stop, give the `eventID` of the last line with --after.
    Follow {
        /// Begin after this event; with the oldest that is kept if not given
        #[arg(long, value_name = "EVENT-ID")]
        after: Option<Uuid>,
        /// Stop at the end of the log
        #[arg(long)]
        once: bool,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum JobCommand {
    /// List jobs, the newest first; those that are done only when asked for
    List {
        /// ready, running, failed, cancelled or done; may be repeated
        #[arg(long = "state", value_name = "STATE")]
        states: Vec<String>,
        /// The broker they work on
        #[arg(long, value_name = "BROKER-ID")]
        broker: Option<String>,
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: u32,
    },
    /// Show a job, what it works on, and what cancelling it would leave behind
    Show {
        /// The job's id
        id: Uuid,
    },
    /// Run a job that failed or was cancelled once more; one that waits runs at once
    Retry {
        /// The job's id
        id: Uuid,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Take a job out of the queue; what it began stays as it is, and nobody goes on with it
    ///
    /// Says what that leaves behind, and does it with --yes. A worker that runs the job loses it
    /// within a second. The broker's next reboot or deletion is a new job.
    Cancel {
        /// The job's id
        id: Uuid,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum MasterKeyCommand {
    /// Seal everything under the first key of the key file
    ///
    /// To replace the key: write a new one above the old one into the file of every process, the
    /// old one below it, and restart them one after the other; reseal; take the old key out of the
    /// files. Sessions that began before then go on as long as the old key is there.
    Reseal,
}

#[derive(Debug, Clone, Subcommand)]
pub enum QuotaCommand {
    /// Print an account's quotas, and which of them are adjusted
    List {
        /// Name or id of the account
        #[arg(long)]
        account: String,
    },
    /// Adjust a quota; what the account has already, it keeps
    Set {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the quota, as listed
        #[arg(long)]
        name: String,
        /// How many there may be
        #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
        value: i64,
    },
    /// Make a quota the standard one again
    Reset {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the quota, as listed
        #[arg(long)]
        name: String,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum HostTokenCommand {
    /// Make a token that enrols one host once; prints it
    Create {
        /// Name of the host, unique in the installation
        #[arg(long)]
        host_name: String,
        /// Zone of the host
        #[arg(long)]
        zone: String,
        /// How long the token can be used, in minutes
        #[arg(long, value_name = "MINUTES", default_value_t = 60)]
        valid_min: u32,
        /// For a host that runs no engine and only reports what its nodes would do: in tests
        #[arg(long)]
        simulated: bool,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum CaCommand {
    /// Print the authority's certificate in PEM; makes the authority if there is none yet
    Show,
}
