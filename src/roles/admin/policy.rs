//! `warren admin policy`.

use super::{open, print, table};
use crate::{
    model::principal::{Name, Subject},
    roles::{
        Error, Installation,
        policy::{Asked, simulate},
    },
};

pub async fn put_policy(
    installation: &Installation,
    account: &str,
    name: &Name,
    document: &str,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.put_policy(&account_id, name, document).await?)
}

/// Prints the account's own policies.
pub async fn list_policies(installation: &Installation, account: &str) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    let policies = app.list_policies(&account_id).await?;
    let rows = policies
        .into_iter()
        .map(|(name, principals)| [name, principals.to_string()]);
    table(["POLICY", "PRINCIPALS"], rows)
}

/// Prints a policy's document.
pub async fn show_policy(
    installation: &Installation,
    account: &str,
    name: &Name,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    print(app.show_policy(&account_id, name).await?.trim_end())
}

pub async fn delete_policy(
    installation: &Installation,
    account: &str,
    name: &Name,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.delete_policy(&account_id, name).await?)
}

pub async fn attach_policy(
    installation: &Installation,
    account: &str,
    subject: &Subject,
    name: &Name,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.attach_policy(&account_id, subject, name).await?)
}

pub async fn detach_policy(
    installation: &Installation,
    account: &str,
    subject: &Subject,
    name: &Name,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.detach_policy(&account_id, subject, name).await?)
}

/// Prints what the policies of a user or a role allow.
pub async fn simulate_principal(
    installation: &Installation,
    account: &str,
    subject: &Subject,
    asked: Asked<'_>,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    let documents = app.policies_of(&account_id, subject).await?;
    simulate(&documents, asked)
}
