//! The audit log: appended to, never changed.

use sqlx::PgConnection;

use super::Result;
use crate::model::audit::AuditEvent;

pub async fn audit_append(conn: &mut PgConnection, event: &AuditEvent) -> Result<()> {
    sqlx::query(
        "insert into audit_events (id, account_id, region, principal_arn, action, resource_arn,
                                   request_id, source_address, detail, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(event.id)
    .bind(event.scope.account_id.as_str())
    .bind(event.scope.region.as_str())
    .bind(&event.principal_arn)
    .bind(event.action.name())
    .bind(&event.resource_arn)
    .bind(event.request_id.to_string())
    .bind(&event.source_address)
    .bind(&event.detail)
    .bind(event.created_at)
    .execute(conn)
    .await?;
    Ok(())
}
