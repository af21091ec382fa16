//! `warren serve`: the API, and the agents' endpoint.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use tokio_util::sync::CancellationToken;

use super::{Error, Installation, proxy};
use crate::api::{
    self, ApiState,
    agent::{AgentState, Lifetimes},
};
use crate::app::Settings;
use crate::listener::{self, Certificates, Clients, Listener, Peer, Tls, attach_peer_certificate};
use crate::model::{Region, broker::SimulatedHosts, parity::Parity, throttle::Rate};
use crate::pki::Authority;

/// Validity of the agents' endpoint's own certificate, which lives in this process only.
const CERTIFICATE_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
/// Between two attempts to renew it.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);
/// How long requests may run on once nothing new is accepted: a long poll waits for longer.
const DRAIN: Duration = Duration::from_secs(3);

#[derive(Debug, Clone)]
pub struct Options {
    pub listen: SocketAddr,
    pub agent_listen: SocketAddr,
    /// DNS names and addresses by which agents reach this process, beside `agent_listen`.
    pub agent_names: Vec<String>,
    /// Certificate chain and key of the API, PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
    pub trusted_proxies: Vec<IpAddr>,
    pub regions: Vec<Region>,
    pub parity: Parity,
    pub simulated_hosts: SimulatedHosts,
    pub requests: Option<Rate>,
    /// How long everything is still accepted after a stop was asked for, while `/readyz` says no: time
    /// for balancers to look, and for clients to give their connections up.
    pub leave: Duration,
}

/// Ports that are bound, and all else that can fail before requests are answered.
pub struct Server {
    installation: Installation,
    options: Options,
    authority: Arc<Authority>,
    api: Listener,
    agents: Listener,
    api_certificates: Option<Arc<Certificates>>,
    agent_certificates: Arc<Certificates>,
    renew_after: Duration,
}

impl Server {
    pub async fn bind(
        installation: Installation,
        authority: Arc<Authority>,
        options: Options,
    ) -> Result<Server, Error> {
        let (api, api_certificates) = bind_api(&options).await?;
        let (chain_pem, key_pem, renew_after) = issue(&installation, &authority, &options)?;
        let agent_certificates = Arc::new(Certificates::from_pem(
            chain_pem.as_bytes(),
            key_pem.as_bytes(),
        )?);
        let tls = Tls {
            certificates: agent_certificates.clone(),
            // Enrolment comes without one.
            clients: Clients::Optional {
                ca_pem: authority.certificate_pem().to_owned(),
            },
        };
        let agents = Listener::tls(options.agent_listen, &tls).await?;
        Ok(Server {
            installation,
            options,
            authority,
            api,
            agents,
            api_certificates,
            agent_certificates,
            renew_after,
        })
    }

    pub fn api_address(&self) -> SocketAddr {
        self.api.address()
    }

    pub fn agent_address(&self) -> SocketAddr {
        self.agents.address()
    }

    /// Answers until `shutdown`, and on while the others learn of it; then lets requests end.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let (api, agents) = self.split(shutdown.clone(), shutdown);
        tokio::try_join!(api, agents).map(drop)
    }

    /// The API and the agents' endpoint apart, each until its own end is asked for.
    pub fn split(
        self,
        stop_api: CancellationToken,
        stop_agents: CancellationToken,
    ) -> (
        impl Future<Output = Result<(), Error>> + Send + 'static,
        impl Future<Output = Result<(), Error>> + Send + 'static,
    ) {
        tracing::info!(api = %self.api_address(), agents = %self.agent_address(), "serving");
        let (api_router, agent_router) = (
            self.api_router(&stop_api),
            self.agent_router(stop_agents.clone()),
        );
        let leave = self.options.leave;
        let files = self.api_certificates.zip(self.options.tls.clone());
        let api = async move {
            let reload = async {
                match files {
                    Some((certificates, (chain, key))) => {
                        listener::watch(certificates, chain, key, stop_api.clone()).await;
                    }
                    None => stop_api.cancelled().await,
                }
            };
            tokio::join!(serve(self.api, api_router, stop_api.clone(), leave), reload).0
        };
        let agents = async move {
            let renewal = renew(
                &self.installation,
                &self.authority,
                &self.options,
                &self.agent_certificates,
                self.renew_after,
                stop_agents.clone(),
            );
            tokio::join!(
                serve(self.agents, agent_router, stop_agents.clone(), leave),
                renewal
            )
            .0
        };
        (api, agents)
    }

    fn api_router(&self, stop: &CancellationToken) -> Router {
        let proxies: Arc<[IpAddr]> = self.options.trusted_proxies.clone().into();
        let settings = Settings::new(self.options.regions.clone())
            .with_parity(self.options.parity)
            .with_simulated_hosts(self.options.simulated_hosts)
            .with_requests(self.options.requests);
        let state = ApiState::new(self.installation.app(settings))
            .measured(self.installation.metrics.clone())
            .stopping(stop.clone());
        let router = api::router(state.trusting(proxies.to_vec()));
        if self.options.tls.is_some() || self.options.listen.ip().is_loopback() {
            return router;
        }
        router.layer(from_fn_with_state(proxies, proxy::only_from))
    }

    /// The listening that it starts, and the long polls, end with `shutdown`.
    fn agent_router(&self, shutdown: CancellationToken) -> Router {
        let state = AgentState::start(
            self.installation.pool.clone(),
            self.authority.clone(),
            self.installation.clock.clone(),
            self.installation.entropy.clone(),
            Lifetimes::default(),
            shutdown,
        )
        .measured(self.installation.metrics.clone());
        api::agent::router(state).layer(from_fn(attach_peer_certificate))
    }
}

async fn bind_api(options: &Options) -> Result<(Listener, Option<Arc<Certificates>>), Error> {
    let Some((chain, key)) = &options.tls else {
        if !options.listen.ip().is_loopback() && options.trusted_proxies.is_empty() {
            return Err(Error::PlainOnNetwork(options.listen));
        }
        return Ok((Listener::plain(options.listen).await?, None));
    };
    let certificates = Arc::new(Certificates::from_files(chain, key)?);
    let tls = Tls {
        certificates: certificates.clone(),
        clients: Clients::Anonymous,
    };
    Ok((
        Listener::tls(options.listen, &tls).await?,
        Some(certificates),
    ))
}

/// Chain, key, and when to ask for the next.
fn issue(
    installation: &Installation,
    authority: &Authority,
    options: &Options,
) -> Result<(String, String, Duration), Error> {
    let mut addresses = Vec::new();
    let mut names = vec!["localhost".to_owned()];
    let listen = options.agent_listen.ip();
    if !listen.is_unspecified() {
        addresses.push(listen);
    }
    for name in &options.agent_names {
        match name.parse::<IpAddr>() {
            Ok(address) => addresses.push(address),
            Err(_) => names.push(name.clone()),
        }
    }
    let now = installation.clock.now();
    let (key_pem, certificate) =
        authority.issue_own_server(&addresses, &names, now, CERTIFICATE_TTL)?;
    Ok((certificate.pem, key_pem, certificate.renew_after))
}

async fn renew(
    installation: &Installation,
    authority: &Authority,
    options: &Options,
    certificates: &Certificates,
    mut after: Duration,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(after) => {}
        }
        let renewed = issue(installation, authority, options).and_then(|(chain, key, next)| {
            certificates.replace(chain.as_bytes(), key.as_bytes())?;
            Ok(next)
        });
        after = match renewed {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "cannot renew the certificate of the agents' endpoint");
                RENEWAL_PAUSE
            }
        };
    }
}

async fn serve(
    listener: Listener,
    router: Router,
    shutdown: CancellationToken,
    leave: Duration,
) -> Result<(), Error> {
    let router = router.layer(from_fn_with_state(shutdown.clone(), give_up_connection));
    let service = router.into_make_service_with_connect_info::<Peer>();
    let leaving = async move {
        shutdown.cancelled().await;
        tokio::time::sleep(leave).await;
    };
    let closed = CancellationToken::new();
    let closing = closed.clone();
    let serving = axum::serve(listener, service)
        .with_graceful_shutdown(async move {
            leaving.await;
            closing.cancel();
        })
        .into_future();
    tokio::select! {
        served = serving => served.map_err(Error::Serve),
        () = async {
            closed.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        } => Ok(()),
    }
}

/// While the process leaves, each answer is the last on its connection: a client that is told so sends
/// no further request into a connection that is about to close.
async fn give_up_connection(
    State(shutdown): State<CancellationToken>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if shutdown.is_cancelled() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}
