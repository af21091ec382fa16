//! `warren admin user` and `warren admin role`.

use super::{app, find_account, table};
use crate::{
    db::Attached,
    model::{
        principal::{Name, Subject},
        role::Role,
    },
    roles::{Error, Installation},
};

pub async fn create_user(
    installation: &Installation,
    account: &str,
    name: Name,
) -> Result<(), Error> {
    let app = app(installation);
    let account_id = find_account(&app, account).await?;
    Ok(app.create_user(&account_id, name).await?)
}

pub async fn create_role(
    installation: &Installation,
    account: &str,
    role: Role,
) -> Result<(), Error> {
    let app = app(installation);
    let account_id = find_account(&app, account).await?;
    Ok(app.create_role(&account_id, role).await?)
}

pub async fn update_role(
    installation: &Installation,
    account: &str,
    role: &Role,
) -> Result<(), Error> {
    let app = app(installation);
    let account_id = find_account(&app, account).await?;
    Ok(app.update_role(&account_id, role).await?)
}

pub async fn delete_principal(
    installation: &Installation,
    account: &str,
    subject: &Subject,
) -> Result<(), Error> {
    let app = app(installation);
    let account_id = find_account(&app, account).await?;
    Ok(app.delete_principal(&account_id, subject).await?)
}

/// Prints the account's users and roles, and what they have.
pub async fn list_principals(installation: &Installation, account: &str) -> Result<(), Error> {
    let app = app(installation);
    let account_id = find_account(&app, account).await?;
    let principals = app.list_principals(&account_id).await?;
    let rows = principals.into_iter().map(|(principal, attached)| {
        let policies: Vec<String> = attached.iter().map(name).collect();
        [
            principal.subject.path(),
            principal.unique_id,
            principal.created_at.to_rfc3339(),
            policies.join(","),
        ]
    });
    table(["PRINCIPAL", "ID", "CREATED", "POLICIES"], rows)
}

fn name(attached: &Attached) -> String {
    match attached {
        Attached::Own(name) => name.to_string(),
        Attached::Managed(name) => name.clone(),
    }
}
