//! `warren admin job`.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{app, print, table};
use crate::{
    model::{
        BrokerId, JobId,
        job::{JobState, QueuedJob},
    },
    roles::{Error, Installation},
};

/// Prints jobs, the newest first.
pub async fn list_jobs(
    installation: &Installation,
    states: &[JobState],
    broker_id: Option<&BrokerId>,
    limit: u32,
) -> Result<(), Error> {
    let jobs = app(installation)
        .list_jobs(states, broker_id, limit)
        .await?;
    let rows = jobs.into_iter().map(|job| {
        [
            job.id.to_string(),
            job.job.kind().to_owned(),
            job.job.broker_id().to_string(),
            job.state.name().to_owned(),
            job.attempts.to_string(),
            time(job.created_at),
            due(&job),
            job.last_error.unwrap_or_default(),
        ]
    });
    let heading = [
        "JOB", "KIND", "BROKER", "STATE", "ATTEMPTS", "CREATED", "NEXT RUN", "ERROR",
    ];
    table(heading, rows)
}

/// Prints one job, what it works on, and what cancelling it would leave behind.
pub async fn show_job(installation: &Installation, id: JobId) -> Result<(), Error> {
    let described = app(installation).describe_job(id).await?;
    let job = described.job;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let mut rows = vec![
        ["job".to_owned(), job.id.to_string()],
        ["kind".to_owned(), job.job.kind().to_owned()],
        ["state".to_owned(), job.state.name().to_owned()],
        ["request id".to_owned(), or_none(job.request_id.clone())],
        ["created".to_owned(), time(job.created_at)],
        ["next run".to_owned(), due(&job)],
        ["ended".to_owned(), or_none(job.finished_at.map(time))],
        ["attempts".to_owned(), job.attempts.to_string()],
        ["worker".to_owned(), or_none(job.worker.clone())],
        ["lease until".to_owned(), or_none(job.lease_until.map(time))],
        ["error".to_owned(), or_none(job.last_error.clone())],
        ["broker".to_owned(), job.job.broker_id().to_string()],
    ];
    let state = described
        .broker
        .map_or("gone", |broker| broker.state().name());
    rows.push(["broker state".to_owned(), state.to_owned()]);
    for node in described.nodes {
        let seen = node.observed.map_or_else(
            || "nothing was heard of it".to_owned(),
            |seen| {
                let detail = seen.detail.map(|detail| format!(": {detail}"));
                format!(
                    "generation {}, {:?}{}",
                    seen.generation,
                    seen.phase,
                    detail.unwrap_or_default()
                )
            },
        );
        let asked = format!("generation {} is asked for, {seen}", node.generation);
        rows.push([format!("node {}", node.ordinal), asked]);
    }
    table(["", ""], rows.into_iter())?;
    if job.state.can_be_cancelled() {
        print(&format!("\nIf it is cancelled: {}", job.job.left_behind()))?;
    }
    Ok(())
}

pub async fn retry_job(
    installation: &Installation,
    id: JobId,
    reason: Option<&str>,
) -> Result<(), Error> {
    Ok(app(installation).retry_job(id, reason).await?)
}

/// Says what it leaves behind, and does it only when `confirmed`.
pub async fn cancel_job(
    installation: &Installation,
    id: JobId,
    reason: Option<&str>,
    confirmed: bool,
) -> Result<(), Error> {
    let app = app(installation);
    let described = app.describe_job(id).await?;
    print(described.job.job.left_behind())?;
    if !confirmed {
        return Err(Error::NotConfirmed);
    }
    Ok(app.cancel_job(id, reason).await?)
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn due(job: &QueuedJob) -> String {
    match job.state {
        JobState::Ready => time(job.run_at),
        JobState::Running => "now".to_owned(),
        JobState::Done | JobState::Failed | JobState::Cancelled => "-".to_owned(),
    }
}
