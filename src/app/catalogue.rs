//! DescribeBrokerEngineTypes and DescribeBrokerInstanceOptions: what brokers there can be.

use chrono::NaiveDate;
use sqlx::PgConnection;

use super::{App, Caller, Page, PageRequest, caller::RequestTags, page::bad_token};
use crate::{
    db,
    error::Error,
    model::{
        Invalid,
        authorisation::Action,
        broker::{DeploymentMode, SimulatedHosts, StorageType},
        engine::{Catalogue, EngineType},
        instance_type::InstanceType,
    },
};

/// An engine type and its versions, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineVersions {
    pub engine_type: EngineType,
    pub versions: Vec<String>,
}

/// An instance type that brokers of an engine type can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceOption {
    pub engine_type: EngineType,
    pub instance_type: &'static InstanceType,
    pub storage_type: StorageType,
    pub availability_zones: Vec<String>,
    pub deployment_modes: Vec<DeploymentMode>,
    /// Newest first.
    pub versions: Vec<String>,
}

/// What a caller wants to see of the options; everything without a filter.
#[derive(Debug, Clone, Default)]
pub struct OptionFilter {
    pub engine_type: Option<String>,
    pub host_instance_type: Option<String>,
    pub storage_type: Option<String>,
}

impl App {
    pub async fn describe_engine_types(
        &self,
        caller: &Caller,
        engine_type: Option<&str>,
        request: &PageRequest,
    ) -> Result<Page<EngineVersions>, Error> {
        let action = Action::DescribeBrokerEngineTypes;
        let engines = self.engines(caller, action, engine_type).await?;
        self.page_of_all(caller, action, request, engines, |engine| {
            engine.engine_type.name().to_owned()
        })
    }

    pub async fn describe_instance_options(
        &self,
        caller: &Caller,
        filter: &OptionFilter,
        request: &PageRequest,
    ) -> Result<Page<InstanceOption>, Error> {
        let action = Action::DescribeBrokerInstanceOptions;
        let engines = self
            .engines(caller, action, filter.engine_type.as_deref())
            .await?;
        let storage = filter.storage_type.as_deref().map(storage).transpose()?;
        let instance = filter.host_instance_type.as_deref();
        let zones: Vec<_> = self
            .settings
            .zones
            .iter()
            .map(|zone| format!("{}{zone}", caller.region))
            .collect();
        let wanted = |option: &InstanceOption| {
            instance.is_none_or(|name| option.instance_type.name == name)
                && storage.is_none_or(|storage| option.storage_type == storage)
        };
        let served = |engine: EngineType| match self.settings.simulated_hosts {
            SimulatedHosts::Present => DeploymentMode::of(engine),
            SimulatedHosts::Absent => &DeploymentMode::of(engine)[..1],
        };
        let options = engines.iter().flat_map(|engine| {
            let kind = engine.engine_type;
            let zones = &zones;
            InstanceType::all().iter().flat_map(move |instance_type| {
                StorageType::ALL.into_iter().map(move |storage_type| {
                    let fits = |mode: &DeploymentMode| {
                        let storage = Some(storage_type.name());
                        instance_type.serves(kind, *mode)
                            && StorageType::choose(storage, kind, *mode, instance_type).is_ok()
                    };
                    InstanceOption {
                        engine_type: kind,
                        instance_type,
                        storage_type,
                        availability_zones: zones.clone(),
                        deployment_modes: served(kind).iter().copied().filter(fits).collect(),
                        versions: engine.versions.clone(),
                    }
                })
            })
        });
        let options = options.filter(|option| !option.deployment_modes.is_empty());
        let options = options.filter(wanted).collect();
        self.page_of_all(caller, action, request, options, |option| {
            format!(
                "{}/{}/{}",
                option.engine_type.name(),
                option.instance_type.name,
                option.storage_type.name()
            )
        })
    }

    /// Every engine type and version that this installation's hosts can run, or play.
    pub(super) async fn catalogue(&self, conn: &mut PgConnection) -> Result<Catalogue, Error> {
        let catalogue = db::catalogue_fetch(conn).await?;
        Ok(match self.settings.simulated_hosts {
            SimulatedHosts::Present => catalogue,
            SimulatedHosts::Absent => catalogue.without_simulated(),
        })
    }

    async fn engines(
        &self,
        caller: &Caller,
        action: Action,
        filter: Option<&str>,
    ) -> Result<Vec<EngineVersions>, Error> {
        caller.may(action, RequestTags::None)?;
        let catalogue = self.catalogue(&mut *self.pool.acquire().await?).await?;
        let filter = filter.map(|text| catalogue.engine_type(text)).transpose()?;
        Ok(engines(&catalogue, filter, self.clock.now().date_naive()))
    }

    /// A page of a list that is always read whole.
    fn page_of_all<T>(
        &self,
        caller: &Caller,
        action: Action,
        request: &PageRequest,
        all: Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> Result<Page<T>, Error> {
        let after: Option<String> = self.position(caller, action, request)?;
        let start = match after {
            Some(after) => {
                let at = all.iter().position(|item| key(item) == after);
                at.ok_or_else(bad_token)? + 1
            }
            None => 0,
        };
        let rest = all.into_iter().skip(start).collect();
        self.page(caller, action, request, rest, key)
    }
}

fn engines(
    catalogue: &Catalogue,
    filter: Option<EngineType>,
    today: NaiveDate,
) -> Vec<EngineVersions> {
    catalogue
        .engines(today)
        .filter(|(engine, _)| filter.is_none_or(|wanted| *engine == wanted))
        .map(|(engine_type, versions)| EngineVersions {
            engine_type,
            versions: versions.iter().map(ToString::to_string).collect(),
        })
        .collect()
}

fn storage(text: &str) -> Result<StorageType, Invalid> {
    StorageType::parse(text).ok_or_else(|| {
        Invalid::new(
            "storageType",
            format!("Storage type [{text}] is invalid. Valid values are: [EBS, EFS]."),
        )
    })
}
