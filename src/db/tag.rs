//! Tags of brokers and configurations, keyed by the resource's ARN within its scope.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::Result;
use crate::model::{Scope, arn::ResourceArn, tag::Tags};

/// Makes changes of one resource's tags wait for each other until the transaction ends, so that
/// they can be counted.
pub async fn tags_lock(conn: &mut PgConnection, arn: &ResourceArn) -> Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(arn.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Adds tags, replacing the values of keys that are there already.
pub async fn tags_put(conn: &mut PgConnection, arn: &ResourceArn, tags: &Tags) -> Result<()> {
    let (keys, values): (Vec<&str>, Vec<&str>) = tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .unzip();
    sqlx::query(
        "insert into tags (account_id, region, resource_arn, key, value)
         select $1, $2, $3, t.key, t.value from unnest($4::text[], $5::text[]) as t (key, value)
         on conflict (account_id, region, resource_arn, key) do update set value = excluded.value",
    )
    .bind(arn.scope.account_id.as_str())
    .bind(arn.scope.region.as_str())
    .bind(arn.to_string())
    .bind(keys)
    .bind(values)
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes tags; keys that are not there are no error.
pub async fn tags_remove(
    conn: &mut PgConnection,
    arn: &ResourceArn,
    keys: &[String],
) -> Result<()> {
    sqlx::query(
        "delete from tags where account_id = $1 and region = $2 and resource_arn = $3
                            and key = any($4)",
    )
    .bind(arn.scope.account_id.as_str())
    .bind(arn.scope.region.as_str())
    .bind(arn.to_string())
    .bind(keys)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn tags_fetch(conn: &mut PgConnection, arn: &ResourceArn) -> Result<Tags> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select key, value from tags
         where account_id = $1 and region = $2 and resource_arn = $3",
    )
    .bind(arn.scope.account_id.as_str())
    .bind(arn.scope.region.as_str())
    .bind(arn.to_string())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}

/// The tags of several resources of one scope; those without tags are left out.
pub async fn tags_fetch_all(
    conn: &mut PgConnection,
    scope: &Scope,
    arns: &[String],
) -> Result<HashMap<String, Tags>> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "select resource_arn, key, value from tags
         where account_id = $1 and region = $2 and resource_arn = any($3)",
    )
    .bind(scope.account_id.as_str())
    .bind(scope.region.as_str())
    .bind(arns)
    .fetch_all(conn)
    .await?;
    let mut found: HashMap<String, Tags> = HashMap::new();
    for (arn, key, value) in rows {
        found.entry(arn).or_default().insert(key, value);
    }
    Ok(found)
}
