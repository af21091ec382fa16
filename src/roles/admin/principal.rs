//! `warren admin user` and `warren admin role`.

use super::{open, table};
use crate::{
    db::Attached,
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

/// Prints the account's users and roles, and what they have.
pub async fn list_principals(installation: &Installation, account: &str) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    let principals = app.list_principals(&account_id).await?;
    let rows = principals.into_iter().map(|(principal, attached)| {
        let policies: Vec<String> = attached.iter().map(name).collect();
        let tags = principal.tags.iter();
        let tags: Vec<String> = tags.map(|(key, value)| format!("{key}={value}")).collect();
        [
            principal.subject.path(),
            principal.unique_id,
            principal.created_at.to_rfc3339(),
            or_none(&policies),
            or_none(&tags),
        ]
    });
    table(["PRINCIPAL", "ID", "CREATED", "POLICIES", "TAGS"], rows)
}

/// Columns stay columns for `awk`.
fn or_none(texts: &[String]) -> String {
    match texts {
        [] => "-".to_owned(),
        texts => texts.join(","),
    }
}

fn name(attached: &Attached) -> String {
    match attached {
        Attached::Own(name) => name.to_string(),
        Attached::Managed(name) => name.clone(),
    }
}
