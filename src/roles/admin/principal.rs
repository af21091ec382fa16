//! `warren admin user`, `warren admin role` and `warren admin group`.

use super::{last_used, open, policy::label, table};
use crate::{
    db::HeldPolicy,
    model::{
        principal::{Name, Subject},
        principal_tag::AskedTag,
        role::Role,
    },
    roles::{Error, Installation},
};

pub async fn create_user(
    installation: &Installation,
    account: &str,
    name: Name,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.create_user(&account_id, name).await?)
}

pub async fn create_role(
    installation: &Installation,
    account: &str,
    role: Role,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.create_role(&account_id, role).await?)
}

pub async fn update_role(
    installation: &Installation,
    account: &str,
    role: &Role,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.update_role(&account_id, role).await?)
}

pub async fn delete_principal(
    installation: &Installation,
    account: &str,
    subject: &Subject,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.delete_principal(&account_id, subject).await?)
}

pub async fn tag_principal(
    installation: &Installation,
    account: &str,
    subject: &Subject,
    tags: &[AskedTag],
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.tag_principal(&account_id, subject, tags).await?)
}

pub async fn untag_principal(
    installation: &Installation,
    account: &str,
    subject: &Subject,
    keys: &[String],
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.untag_principal(&account_id, subject, keys).await?)
}

pub async fn create_group(
    installation: &Installation,
    account: &str,
    name: Name,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.create_group(&account_id, name).await?)
}

pub async fn add_to_group(
    installation: &Installation,
    account: &str,
    (group, user): (&Name, &Name),
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.add_to_group(&account_id, group, user).await?)
}

pub async fn remove_from_group(
    installation: &Installation,
    account: &str,
    (group, user): (&Name, &Name),
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.remove_from_group(&account_id, group, user).await?)
}

/// Prints the account's users and roles, and what they have.
pub async fn list_principals(installation: &Installation, account: &str) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    let mut principals = app.list_principals(&account_id).await?;
    principals.retain(|one| !matches!(one.principal.subject, Subject::Group(_)));
    let rows = principals.into_iter().map(|one| {
        let tags = one.principal.tags.iter();
        let tags: Vec<String> = tags.map(|(key, value)| format!("{key}={value}")).collect();
        [
            one.principal.subject.path(),
            one.principal.unique_id,
            one.principal.created_at.to_rfc3339(),
            last_used(one.principal.last_used_at),
            policies(&one.policies),
            names(&one.related),
            or_none(&tags),
        ]
    });
    let heading = [
        "PRINCIPAL",
        "ID",
        "CREATED",
        "LAST USED",
        "POLICIES",
        "GROUPS",
        "TAGS",
    ];
    table(heading, rows)
}

/// Prints the account's groups, what they have and who is in them.
pub async fn list_groups(installation: &Installation, account: &str) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    let mut principals = app.list_principals(&account_id).await?;
    principals.retain(|one| matches!(one.principal.subject, Subject::Group(_)));
    let rows = principals.into_iter().map(|one| {
        [
            one.principal.subject.name().to_string(),
            one.principal.unique_id,
            one.principal.created_at.to_rfc3339(),
            policies(&one.policies),
            names(&one.related),
        ]
    });
    table(["GROUP", "ID", "CREATED", "POLICIES", "USERS"], rows)
}

fn policies(held: &[HeldPolicy]) -> String {
    let labels: Vec<String> = held.iter().map(|held| label(&held.source)).collect();
    or_none(&labels)
}

fn names(subjects: &[Subject]) -> String {
    let names: Vec<String> = subjects.iter().map(|one| one.name().to_string()).collect();
    or_none(&names)
}

/// Columns stay columns for `awk`.
fn or_none(texts: &[String]) -> String {
    match texts {
        [] => "-".to_owned(),
        texts => texts.join(","),
    }
}
