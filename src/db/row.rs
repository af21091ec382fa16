//! Helpers that turn stored columns into domain types, or name the column that does not fit.

use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::{FromRow, PgConnection, postgres::PgRow};

use super::{Error, Result};
use crate::model::{AccountId, Region, Scope, page::Cursor};

/// Where a value was read, for the error.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) table: &'static str,
    pub(super) row: &'a str,
}

impl Place<'_> {
    pub(super) fn inconsistent(self, column: &'static str) -> Error {
        Error::Inconsistent {
            table: self.table,
            column,
            row: self.row.to_owned(),
        }
    }

    pub(super) fn need<T>(self, column: &'static str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.inconsistent(column))
    }

    pub(super) fn json<T: DeserializeOwned>(self, column: &'static str, value: Value) -> Result<T> {
        serde_json::from_value(value).map_err(|_| self.inconsistent(column))
    }

    pub(super) fn scope(self, account_id: &str, region: &str) -> Result<Scope> {
        Ok(Scope {
            account_id: self.need("account_id", AccountId::parse(account_id))?,
            region: self.need("region", Region::parse(region))?,
        })
    }
}

/// Rows of a scope after `after`, at most `limit`. The statement's parameters are the account and the
/// region, when and with which id the last row of the page before was created, and the limit.
pub(super) async fn page<R>(
    conn: &mut PgConnection,
    statement: &'static str,
    scope: &Scope,
    (after, limit): (Option<&Cursor>, u32),
) -> Result<Vec<R>>
where
    R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let rows = sqlx::query_as(statement)
        .bind(scope.account_id.as_str())
        .bind(scope.region.as_str())
        .bind(after.map(|cursor| cursor.created_at))
        .bind(after.map(|cursor| cursor.id.as_str()))
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    Ok(rows)
}

/// A domain value as a JSON column. Domain types always serialise.
pub(super) fn to_json(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::Query(sqlx::Error::Encode(error.into())))
}
