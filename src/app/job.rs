//! What an operator does with jobs by hand. Told in the audit log of the broker's account, in the
//! transaction of the change.

use serde_json::json;

use super::App;
use crate::{
    db,
    error::{Error, Kind},
    model::{
        BrokerId, Invalid, JobId,
        audit::AuditEvent,
        broker::Broker,
        job::{JobState, QueuedJob},
        node::Node,
    },
};

/// A job, and what it works on.
#[derive(Debug, Clone)]
pub struct JobDescription {
    pub job: QueuedJob,
    /// `None` when it is gone.
    pub broker: Option<Broker>,
    pub nodes: Vec<Node>,
}

impl App {
    /// Jobs in these states, the newest first.
    pub async fn list_jobs(
        &self,
        states: &[JobState],
        broker_id: Option<&BrokerId>,
        limit: u32,
    ) -> Result<Vec<QueuedJob>, Error> {
        let mut conn = self.pool.acquire().await?;
        Ok(db::job_list(&mut conn, states, broker_id, limit.into()).await?)
    }

    pub async fn describe_job(&self, id: JobId) -> Result<JobDescription, Error> {
        let mut conn = self.pool.acquire().await?;
        let job = db::job_fetch(&mut conn, id).await?;
        let job = job.ok_or_else(|| Error::not_found(Kind::Job, id.to_string()))?;
        let broker_id = job.job.broker_id();
        Ok(JobDescription {
            broker: db::broker_find(&mut conn, broker_id).await?,
            nodes: db::nodes_of_broker(&mut conn, broker_id).await?,
            job,
        })
    }

    /// Lets a job run again, or at once instead of after its delay.
    pub async fn retry_job(&self, id: JobId, reason: Option<&str>) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let job = db::job_lock(&mut tx, id).await?;
        let job = job.ok_or_else(|| Error::not_found(Kind::Job, id.to_string()))?;
        if !job.state.can_be_retried() {
            return Err(refusal(&job, "retried").into());
        }
        let event = self
            .job_event(&mut tx, "warren:RetryJob", &job, reason)
            .await?;
        db::job_retry(&mut tx, id, now).await?;
        db::audit_append(&mut tx, &event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes a job out of the queue for good; [`crate::model::job::Job::left_behind`] says what that
    /// means. No reconciler puts another in its place before the broker is asked for something else.
    pub async fn cancel_job(&self, id: JobId, reason: Option<&str>) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let job = db::job_lock(&mut tx, id).await?;
        let job = job.ok_or_else(|| Error::not_found(Kind::Job, id.to_string()))?;
        if !job.state.can_be_cancelled() {
            return Err(refusal(&job, "cancelled").into());
        }
        let event = self
            .job_event(&mut tx, "warren:CancelJob", &job, reason)
            .await?;
        db::job_cancel(&mut tx, id, now).await?;
        db::audit_append(&mut tx, &event).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn job_event(
        &self,
        conn: &mut sqlx::PgConnection,
        action: &str,
        job: &QueuedJob,
        reason: Option<&str>,
    ) -> Result<AuditEvent, Error> {
        let broker_id = job.job.broker_id();
        let broker = db::broker_find(conn, broker_id).await?;
        let broker = broker.ok_or_else(|| Error::not_found(Kind::Broker, broker_id.as_str()))?;
        let now = self.clock.now();
        let request = json!({
            "jobId": job.id.to_string(),
            "kind": job.job.kind(),
            "reason": reason,
        });
        Ok(AuditEvent::of_operator(
            self.entropy.uuid_at(now),
            &broker.scope,
            (action, Some(broker.arn().to_string())),
            (request, Some(json!({"previousState": job.state.name()}))),
            now,
        ))
    }
}

fn refusal(job: &QueuedJob, verb: &str) -> Invalid {
    let (id, state) = (job.id, job.state.name());
    Invalid::new("", format!("Job [{id}] is {state}, and cannot be {verb}."))
}
