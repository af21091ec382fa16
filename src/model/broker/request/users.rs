//! The logins that a broker is created with.

use std::collections::HashSet;

use super::{DraftUser, UserRequest, need};
use crate::model::{Invalid, broker::user, engine::EngineType};

pub(super) fn read(
    requests: Vec<UserRequest>,
    engine: EngineType,
    is_replica: bool,
) -> Result<Vec<DraftUser>, Invalid> {
    user::check_count(requests.len(), engine)?;
    let mut names = HashSet::new();
    let mut drafts = Vec::with_capacity(requests.len());
    for request in requests {
        let draft = DraftUser {
            username: need("username", request.username)?,
            password: need("password", request.password)?,
            console_access: request.console_access.unwrap_or(false),
            replication_user: request.replication_user.unwrap_or(false),
            groups: request.groups.unwrap_or_default(),
        };
        user::check_username(&draft.username, engine)?;
        user::check_password(&draft.password)?;
        user::check_groups(&draft.groups)?;
        user::check_roles(draft.replication_user, draft.console_access)?;
        if !names.insert(draft.username.clone()) {
            let text = format!("Username [{}] is given more than once.", draft.username);
            return Err(Invalid::new("users", text));
        }
        drafts.push(draft);
    }
    let replication_users = drafts.iter().filter(|draft| draft.replication_user).count();
    if is_replica && replication_users != 1 {
        let text = "Specify exactly one replication user for data replication mode [CRDR].";
        return Err(Invalid::new("users", text));
    }
    Ok(drafts)
}
