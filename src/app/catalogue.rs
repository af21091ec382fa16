//! DescribeBrokerEngineTypes and DescribeBrokerInstanceOptions: what brokers there can be.

use super::{App, Caller, Page, PageRequest, caller::RequestTags, page::bad_token};
use crate::{
    db,
    error::Error,
    model::{
        Invalid,
        authorisation::Action,
        broker::{DeploymentMode, StorageType},
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
        let options = engines.iter().flat_map(|engine| {
            let types = InstanceType::all().iter();
            types
                .filter(|instance| instance.serves(engine.engine_type))
                .map(|instance_type| InstanceOption {
                    engine_type: engine.engine_type,
                    instance_type,
                    storage_type: StorageType::Ebs,
                    availability_zones: zones.clone(),
                    deployment_modes: vec![DeploymentMode::SingleInstance],
                    versions: engine.versions.clone(),
                })
        });
        let options = options.filter(wanted).collect();
        self.page_of_all(caller, action, request, options, |option| {
            format!(
                "{}/{}",
                option.engine_type.name(),
                option.instance_type.name
            )
        })
    }

    async fn engines(
        &self,
        caller: &Caller,
        action: Action,
        filter: Option<&str>,
    ) -> Result<Vec<EngineVersions>, Error> {
        caller.may(action, RequestTags::None)?;
        let catalogue = db::catalogue_fetch(&mut *self.pool.acquire().await?).await?;
        let filter = filter.map(|text| catalogue.engine_type(text)).transpose()?;
        Ok(engines(&catalogue, filter))
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

fn engines(catalogue: &Catalogue, filter: Option<EngineType>) -> Vec<EngineVersions> {
    catalogue
        .engines()
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
