//! `warren admin policy`.

use super::{open, print, table};
use crate::{
    db::{Attached, Source},
    model::{
        policy::Context,
        principal::{Name, Subject},
    },
    roles::{
        Error, Installation,
        policy::{Asked, Labelled, simulate},
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

pub async fn put_inline_policy(
    installation: &Installation,
    account: &str,
    subject: &Subject,
    policy: (&Name, &str),
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.put_inline_policy(&account_id, subject, policy).await?)
}

/// Prints the document of a policy that is part of a principal.
pub async fn show_inline_policy(
    installation: &Installation,
    account: &str,
    subject: &Subject,
    name: &Name,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    let document = app.show_inline_policy(&account_id, subject, name).await?;
    print(document.trim_end())
}

pub async fn delete_inline_policy(
    installation: &Installation,
    account: &str,
    subject: &Subject,
    name: &Name,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.delete_inline_policy(&account_id, subject, name).await?)
}

/// Prints all policies that decide over a principal.
pub async fn list_policies_of(
    installation: &Installation,
    account: &str,
    subject: &Subject,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    let (policies, _) = app.policies_of(&account_id, subject).await?;
    let rows = policies
        .iter()
        .map(|(held, _)| [label(&held.source), held.holder.path()]);
    table(["POLICY", "HOLDER"], rows)
}

/// Prints what the policies of a principal and of its groups allow. Its tags are known, unless
/// `asked` names others.
pub async fn simulate_principal(
    installation: &Installation,
    account: &str,
    subject: &Subject,
    (actions, resource, context): Asked<'_>,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    let (policies, tags) = app.policies_of(&account_id, subject).await?;
    let mut known = Context::default();
    known.add("aws:PrincipalArn", subject.arn(&account_id));
    known.add("aws:PrincipalAccount", account_id.as_str());
    for (key, value) in tags.iter() {
        known.add(&format!("aws:PrincipalTag/{key}"), value);
    }
    let policies: Vec<_> = policies
        .into_iter()
        .map(|(held, document)| Labelled {
            name: label(&held.source),
            holder: held.holder.path(),
            document,
        })
        .collect();
    simulate(&policies, (actions, resource, &context.clone().or(known)))
}

/// A policy's name, after `inline/` of one that is part of its holder.
pub(super) fn label(source: &Source) -> String {
    match source {
        Source::Attached(Attached::Own(name)) => name.to_string(),
        Source::Attached(Attached::Managed(name)) => name.clone(),
        Source::Inline(name) => format!("inline/{name}"),
    }
}
