//! DescribeConfiguration, ListConfigurations and what there is of their revisions.

use super::find;
use crate::{
    app::{App, Caller, Page, PageRequest, caller::RequestTags},
    db,
    error::{Error, Kind},
    model::{
        Invalid,
        authorisation::Action,
        configuration::{Configuration, ConfigurationRevision, RevisionSummary},
        page::Cursor,
        tag::Tags,
    },
};

/// A configuration with its tags.
#[derive(Debug, Clone)]
pub struct ConfigurationDescription {
    pub configuration: Configuration,
    pub tags: Tags,
}

impl App {
    pub async fn describe_configuration(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<ConfigurationDescription, Error> {
        let mut conn = self.pool.acquire().await?;
        let configuration = find(&mut conn, caller, Action::DescribeConfiguration, id).await?;
        Ok(ConfigurationDescription {
            tags: db::tags_fetch(&mut conn, &configuration.arn()).await?,
            configuration,
        })
    }

    /// The caller's configurations, oldest first.
    pub async fn list_configurations(
        &self,
        caller: &Caller,
        request: &PageRequest,
    ) -> Result<Page<ConfigurationDescription>, Error> {
        let scope = caller.scope();
        let action = Action::ListConfigurations;
        caller.may(action, RequestTags::None)?;
        let after: Option<Cursor> = self.position(caller, action, request)?;
        let mut conn = self.pool.acquire().await?;
        let rows =
            db::configuration_list(&mut conn, &scope, after.as_ref(), request.limit()).await?;
        let page = self.page(caller, action, request, rows, |last| {
            Cursor::new(last.created_at, &last.id)
        })?;
        let arns: Vec<_> = page
            .items
            .iter()
            .map(|item| item.arn().to_string())
            .collect();
        let mut tags = db::tags_fetch_all(&mut conn, &scope, &arns).await?;
        Ok(page.map(|configuration| ConfigurationDescription {
            tags: tags
                .remove(&configuration.arn().to_string())
                .unwrap_or_default(),
            configuration,
        }))
    }

    /// The revisions of a configuration, oldest first.
    pub async fn list_configuration_revisions(
        &self,
        caller: &Caller,
        id: &str,
        request: &PageRequest,
    ) -> Result<(Configuration, Page<RevisionSummary>), Error> {
        let action = Action::ListConfigurationRevisions;
        let mut conn = self.pool.acquire().await?;
        let configuration = find(&mut conn, caller, action, id).await?;
        let after: Option<i32> = self.position(caller, action, request)?;
        let after = after.unwrap_or_default();
        let rows =
            db::configuration_revisions(&mut conn, &configuration.id, after, request.limit())
                .await?;
        let page = self.page(caller, action, request, rows, |last| last.revision)?;
        Ok((configuration, page))
    }

    pub async fn describe_configuration_revision(
        &self,
        caller: &Caller,
        id: &str,
        revision: &str,
    ) -> Result<ConfigurationRevision, Error> {
        let mut conn = self.pool.acquire().await?;
        let action = Action::DescribeConfigurationRevision;
        let configuration = find(&mut conn, caller, action, id).await?;
        let number = revision.parse().map_err(|_| {
            Invalid::new(
                "configuration-revision",
                format!("Configuration revision [{revision}] is invalid. Specify a number."),
            )
        })?;
        db::configuration_revision_fetch(&mut conn, &configuration.id, number)
            .await?
            .ok_or_else(|| Error::not_found(Kind::ConfigurationRevision, revision))
    }
}
