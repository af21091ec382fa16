//! The contract between the control plane and its host agents: what an agent is asked for
//! ([`HostIntent`]) and what it answers ([`HostReport`]). Types only, no behaviour.
//!
//! The agent always dials out. Over TLS with the installation's certificate authority:
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST /v1/enrol` (no client certificate yet) | [`EnrolRequest`] | [`EnrolResponse`] |
//! | `POST /v1/certificate` | [`CertificateRequest`] | [`CertificateResponse`] |
//! | `POST /v1/nodes/{node_id}/certificate` | [`CertificateRequest`] | [`CertificateResponse`] |
//! | `GET /v1/intent?since=N&wait_ms=M` | | [`HostIntent`] |
//! | `POST /v1/report` | [`HostReport`] | 204 |
//!
//! Every answer that is not a success carries `{"message": "…"}`.
//!
//! Both sides ignore members they do not know, so that an older agent can talk to a newer
//! control plane and the other way round.

mod certificate;
mod configuration;
mod intent;
mod report;

pub use certificate::{CertificateRequest, CertificateResponse, EnrolRequest, EnrolResponse};
pub use configuration::{
    Defaults, NodeConfiguration, PolicyIntent, RejectedConfiguration, VhostLimits,
};
pub use intent::{
    ArtefactFile, EngineArtefact, Fallback, HostIntent, IntentQuery, Limits, Listen, NodeIntent,
    Run, UserIntent, WAIT_MS_MAX,
};
pub use report::{
    Alarms, Capacity, HostReport, LaunchObservation, NodeObservation, Phase, Process,
};
