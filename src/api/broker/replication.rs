//! A broker's part in a pair, on the wire.

use serde::Serialize;

use crate::model::broker::replication::{Mode, Phase, Replication};

/// The members of a description that speak of replication.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct ReplicationSummary {
    #[serde(skip_serializing_if = "Option::is_none")]
    data_replication_metadata: Option<Metadata>,
    data_replication_mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_data_replication_metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_data_replication_mode: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    data_replication_counterpart: Counterpart,
    data_replication_role: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counterpart {
    broker_id: String,
    region: String,
}

impl From<Option<&Replication>> for ReplicationSummary {
    fn from(pair: Option<&Replication>) -> Self {
        let alone = Self {
            data_replication_mode: Mode::None.name(),
            ..Self::default()
        };
        let Some(pair) = pair else {
            return alone;
        };
        let metadata = Metadata {
            data_replication_counterpart: Counterpart {
                broker_id: pair.counterpart.broker_id.to_string(),
                region: pair.counterpart.region.to_string(),
            },
            data_replication_role: pair.role.name(),
        };
        match pair.phase {
            Phase::Pending => Self {
                pending_data_replication_metadata: Some(metadata),
                pending_data_replication_mode: Some(Mode::Crdr.name()),
                ..alone
            },
            Phase::Active | Phase::Ending => Self {
                data_replication_metadata: Some(metadata),
                data_replication_mode: Mode::Crdr.name(),
                pending_data_replication_mode: (pair.phase == Phase::Ending)
                    .then_some(Mode::None.name()),
                ..alone
            },
        }
    }
}
