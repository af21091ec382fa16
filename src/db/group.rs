//! Who is in which group. Groups themselves are among the principals.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Result, row::Place};
use crate::model::{AccountId, principal::Subject};

/// Adds a user; adding it again changes nothing.
pub async fn group_member_add(
    conn: &mut PgConnection,
    account_id: &AccountId,
    (group, user): (&Subject, &Subject),
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "insert into group_members (account_id, group_path, user_path, added_at)
         values ($1, $2, $3, $4)
         on conflict on constraint group_members_pkey do nothing",
    )
    .bind(account_id.as_str())
    .bind(group.path())
    .bind(user.path())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes a user; whether it was in the group.
pub async fn group_member_remove(
    conn: &mut PgConnection,
    account_id: &AccountId,
    (group, user): (&Subject, &Subject),
) -> Result<bool> {
    let done = sqlx::query(
        "delete from group_members
         where account_id = $1 and group_path = $2 and user_path = $3",
    )
    .bind(account_id.as_str())
    .bind(group.path())
    .bind(user.path())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The groups that a user is in, by path.
pub async fn groups_of(
    conn: &mut PgConnection,
    account_id: &AccountId,
    user: &Subject,
) -> Result<Vec<Subject>> {
    let paths: Vec<String> = sqlx::query_scalar(
        "select group_path from group_members
         where account_id = $1 and user_path = $2 order by group_path collate \"C\"",
    )
    .bind(account_id.as_str())
    .bind(user.path())
    .fetch_all(conn)
    .await?;
    paths.iter().map(|path| read(path)).collect()
}

/// Groups of the account and their members, by the paths of both.
pub async fn group_members(
    conn: &mut PgConnection,
    account_id: &AccountId,
) -> Result<Vec<(Subject, Subject)>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select group_path, user_path from group_members
         where account_id = $1 order by group_path collate \"C\", user_path collate \"C\"",
    )
    .bind(account_id.as_str())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|(group, user)| Ok((read(group)?, read(user)?)))
        .collect()
}

fn read(path: &str) -> Result<Subject> {
    let place = Place {
        table: "group_members",
        row: path,
    };
    place.need("path", Subject::parse(path))
}
