//! UpdateBroker's answer: the members that the request named, as the broker has or will have them.

use serde::Serialize;

use super::{Window, ldap::LdapServer, replication::ReplicationSummary};
use crate::{app::UpdateBrokerOutput, model::configuration::ConfigurationRef};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Updated {
    #[serde(skip_serializing_if = "Option::is_none")]
    authentication_strategy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_minor_version_upgrade: Option<bool>,
    broker_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<ConfigurationRef>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    replication: Option<ReplicationSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_instance_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_server_metadata: Option<LdapServer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<Logs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maintenance_window_start_time: Option<Window>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_share_arns: Option<[&'static str; 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_groups: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_size: Option<i32>,
}

#[derive(Serialize)]
struct Logs {
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    general: Option<bool>,
}

impl Logs {
    fn has_any(&self) -> bool {
        self.audit.is_some() || self.general.is_some()
    }
}

impl From<UpdateBrokerOutput> for Updated {
    fn from(output: UpdateBrokerOutput) -> Self {
        let update = output.update;
        let logs = Logs {
            audit: update.audit_logs,
            general: update.general_logs,
        };
        Self {
            authentication_strategy: update.authentication_strategy.map(|s| s.name()),
            auto_minor_version_upgrade: update.auto_minor_version_upgrade,
            broker_id: output.broker_id.to_string(),
            configuration: output.found.configuration,
            replication: update
                .replication
                .is_some()
                .then(|| output.replication.as_ref().into()),
            engine_version: update.engine_version.map(|version| version.to_string()),
            host_instance_type: update.host_instance_type,
            ldap_server_metadata: output.found.directory.map(LdapServer::from),
            logs: logs.has_any().then_some(logs),
            maintenance_window_start_time: update.maintenance_window.map(Window::from),
            resource_share_arns: update.no_shares.then_some([]),
            security_groups: update.security_groups,
            storage_size: update.storage_size_gb,
        }
    }
}
