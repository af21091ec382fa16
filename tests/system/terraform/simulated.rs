//! An installation with hosts that run nothing, for brokers that no engine serves yet.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use fleet_simulator::{Conduct, Host, Timing};
use test_support::network;
use test_support::process::Process;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::installation::Installation;
use crate::patience::PATIENCE;

pub(super) struct Simulated {
    // Dropped in this order: hosts before what they report to.
    _hosts: Runtime,
    _api: Process,
    _installation: Installation,
    pub(super) environment: BTreeMap<String, String>,
}

impl Simulated {
    /// One host in each of three zones.
    pub(super) fn start() -> Self {
        let installation = Installation::start();
        let address = SocketAddr::from(([127, 0, 0, 1], network::free_port()));
        let listen = address.to_string();
        let api = installation.serve_with(&["--simulated-hosts", "--listen", &listen]);
        network::eventually("the API is healthy", PATIENCE, || {
            network::get(address, "/health").filter(|(status, _)| *status == 200)
        });
        let hosts = Runtime::new().expect("a runtime can be built");
        for zone in ["a", "b", "c"] {
            hosts.spawn(hosts.block_on(host(&installation, zone)));
        }
        let key = installation.key(&["--account", "ours"]);
        let environment = Installation::environment(&key, &format!("http://{listen}"));
        Self {
            _hosts: hosts,
            _api: api,
            _installation: installation,
            environment,
        }
    }
}

/// Enrols a host, and returns what it does from then on.
async fn host(installation: &Installation, zone: &str) -> impl Future<Output = ()> + use<> {
    let name = format!("simulated-{zone}");
    let token = installation.administer(&[
        "host-token",
        "create",
        "--host-name",
        &name,
        "--zone",
        zone,
        "--simulated",
    ]);
    let authority = installation.administer(&["ca", "show"]);
    let script = Arc::new(Conduct::AT_ONCE);
    let url = installation.control_url();
    let host = Host::enrol(&url, &authority, token.trim(), script, Timing::default()).await;
    let host = host.expect("the token is good");
    async move { host.run(CancellationToken::new()).await }
}
