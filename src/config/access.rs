//! Who may do what: users, roles, groups, policies and access keys.

use std::path::PathBuf;

use clap::Subcommand;

use super::Question;

#[derive(Debug, Clone, Subcommand)]
pub enum AccessKeyCommand {
    /// Make an access key; prints it, the secret this once
    Create {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// The user the key speaks for; the account's root if not given
        #[arg(long)]
        user: Option<String>,
    },
    /// List keys: whose, since when, when last used
    List {
        /// Name or id of the account
        #[arg(long)]
        account: String,
    },
    /// Let a disabled key sign again
    Enable {
        /// The key's id
        id: String,
    },
    /// Keep a key from signing; the next request with it is refused
    Disable {
        /// The key's id
        id: String,
    },
    /// Delete a key
    Delete {
        /// The key's id
        id: String,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum UserCommand {
    /// Make a user, who may do nothing before a policy is attached
    Create {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the user
        #[arg(long)]
        name: String,
    },
    /// List users and roles, with the policies and the tags they have
    List {
        /// Name or id of the account
        #[arg(long)]
        account: String,
    },
    /// Set tags, which policies ask for as aws:PrincipalTag/KEY; keys differ by more than case
    Tag {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the user
        #[arg(long)]
        name: String,
        /// May be repeated
        #[arg(long = "tag", value_name = "KEY=VALUE", required = true)]
        tags: Vec<String>,
    },
    /// Remove tags
    Untag {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the user
        #[arg(long)]
        name: String,
        /// May be repeated
        #[arg(long = "key", value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
    /// Delete a user with its access keys
    Delete {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the user
        #[arg(long)]
        name: String,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum RoleCommand {
    /// Make a role
    Create {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the role
        #[arg(long)]
        name: String,
        /// Who may assume it: a policy document with principals
        #[arg(long, value_name = "FILE")]
        trust_policy: PathBuf,
        /// Longest session
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        session_s_max: u32,
    },
    /// Replace who may assume a role, and for how long
    Update {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the role
        #[arg(long)]
        name: String,
        /// Who may assume it: a policy document with principals
        #[arg(long, value_name = "FILE")]
        trust_policy: PathBuf,
        /// Longest session
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        session_s_max: u32,
    },
    /// Set tags, which policies ask for as aws:PrincipalTag/KEY; keys differ by more than case
    Tag {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the role
        #[arg(long)]
        name: String,
        /// May be repeated
        #[arg(long = "tag", value_name = "KEY=VALUE", required = true)]
        tags: Vec<String>,
    },
    /// Remove tags
    Untag {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the role
        #[arg(long)]
        name: String,
        /// May be repeated
        #[arg(long = "key", value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
    /// Delete a role; its sessions end
    Delete {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the role
        #[arg(long)]
        name: String,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum GroupCommand {
    /// Make a group
    Create {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the group
        #[arg(long)]
        name: String,
    },
    /// List groups, the policies they have, and who is in them
    List {
        /// Name or id of the account
        #[arg(long)]
        account: String,
    },
    /// Give a user the group's policies
    AddUser {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the group
        #[arg(long)]
        name: String,
        /// Name of the user
        #[arg(long)]
        user: String,
    },
    /// Take the group's policies from a user
    RemoveUser {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the group
        #[arg(long)]
        name: String,
        /// Name of the user
        #[arg(long)]
        user: String,
    },
    /// Delete a group; its users lose what it gave them
    Delete {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Name of the group
        #[arg(long)]
        name: String,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Add a policy, or replace its document; counts from the next request on
    Put {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// Make it part of this user/NAME, role/NAME or group/NAME, instead of a policy that is
        /// attached by its name
        #[arg(long)]
        principal: Option<String>,
        /// Name of the policy
        #[arg(long)]
        name: String,
        /// The document in JSON
        #[arg(long, value_name = "FILE")]
        document: PathBuf,
    },
    /// List the account's policies, or those that decide over a principal
    List {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// user/NAME, role/NAME or group/NAME; a user's groups count
        #[arg(long)]
        principal: Option<String>,
    },
    /// Print a policy's document
    Show {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// The user/NAME, role/NAME or group/NAME that the policy is part of
        #[arg(long)]
        principal: Option<String>,
        /// Name of the policy
        #[arg(long)]
        name: String,
    },
    /// Delete a policy that is attached to nobody
    Delete {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// The user/NAME, role/NAME or group/NAME that the policy is part of
        #[arg(long)]
        principal: Option<String>,
        /// Name of the policy
        #[arg(long)]
        name: String,
    },
    /// Attach a policy of the account, or one that every account has: AmazonMQFullAccess,
    /// AmazonMQReadOnlyAccess, AmazonMQApiFullAccess, AmazonMQApiReadOnlyAccess
    Attach {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// user/NAME, role/NAME or group/NAME
        #[arg(long)]
        principal: String,
        /// Name of the policy
        #[arg(long)]
        name: String,
    },
    /// Take a policy away again
    Detach {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// user/NAME, role/NAME or group/NAME
        #[arg(long)]
        principal: String,
        /// Name of the policy
        #[arg(long)]
        name: String,
    },
    /// Say what a user, a role or a group may do, and which statement decides
    Simulate {
        /// Name or id of the account
        #[arg(long)]
        account: String,
        /// user/NAME, role/NAME or group/NAME
        #[arg(long)]
        principal: String,
        #[command(flatten)]
        question: Question,
    },
}
