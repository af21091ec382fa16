//! Who is in which group, and so has its policies.

use super::{
    App,
    audit::AccessChange,
    principal::{request, unknown},
};
use crate::{
    db,
    error::Error,
    model::{
        AccountId,
        principal::{Name, Subject},
        quota::Quota,
    },
};

impl App {
    /// Gives a user the policies of a group, from the next request on.
    pub async fn add_to_group(
        &self,
        account_id: &AccountId,
        group: &Name,
        user: &Name,
    ) -> Result<(), Error> {
        let (group, user) = (Subject::Group(group.clone()), Subject::User(user.clone()));
        let mut tx = self.begin().await?;
        self.lock_principal(&mut tx, account_id, &user).await?;
        let there = db::principal_fetch(&mut tx, account_id, &group).await?;
        there.ok_or_else(|| unknown(&group))?;
        let mut groups = db::groups_of(&mut tx, account_id, &user).await?;
        if !groups.contains(&group) {
            groups.push(group.clone());
        }
        let quotas = db::quotas_fetch(&mut tx, account_id).await?;
        quotas.allow(Quota::IamGroupsPerUser, groups.len())?;
        let now = self.clock.now();
        db::group_member_add(&mut tx, account_id, (&group, &user), now).await?;
        let change = change(account_id, "iam:AddUserToGroup", &group, &user);
        self.audit_access(&mut tx, change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes the policies of a group from a user, from the next request on.
    pub async fn remove_from_group(
        &self,
        account_id: &AccountId,
        group: &Name,
        user: &Name,
    ) -> Result<(), Error> {
        let (group, user) = (Subject::Group(group.clone()), Subject::User(user.clone()));
        let mut tx = self.begin().await?;
        if !db::group_member_remove(&mut tx, account_id, (&group, &user)).await? {
            return Err(unknown(&user));
        }
        let change = change(account_id, "iam:RemoveUserFromGroup", &group, &user);
        self.audit_access(&mut tx, change).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn change<'a>(
    account_id: &'a AccountId,
    action: &str,
    group: &Subject,
    user: &Subject,
) -> AccessChange<'a> {
    AccessChange {
        account_id,
        action: action.to_owned(),
        resource_arn: group.arn(account_id),
        request: request(user, request(group, serde_json::json!({}))),
    }
}
