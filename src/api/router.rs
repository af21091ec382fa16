//! Every route of the public API, in the order of its description `api-spec/mq.openapi.yaml`.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{delete, get, post, put},
};

use tokio_util::sync::CancellationToken;

use super::{
    audit, auth, broker, catalogue, configuration, envelope, error::Failure, health, sts, tag,
    throttle::Throttle, user,
};
use crate::{app::App, metrics::Metrics};

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub app: App,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Arc<[IpAddr]>,
    pub(super) throttle: Arc<Throttle>,
    pub(super) metrics: Metrics,
    /// Whether the process is about to leave.
    pub(super) stop: CancellationToken,
}

impl ApiState {
    /// Believes no forwarding headers.
    pub fn new(app: App) -> Self {
        let throttle = Arc::new(Throttle::new(app.settings.requests));
        Self {
            app,
            trusted_proxies: Arc::new([]),
            throttle,
            metrics: Metrics::default(),
            stop: CancellationToken::new(),
        }
    }

    /// Is not ready any more once this is cancelled.
    pub fn stopping(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// Counts calls here.
    pub fn measured(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Believes what these proxies say about the clients behind them.
    pub fn trusting(self, proxies: Vec<IpAddr>) -> Self {
        Self {
            trusted_proxies: proxies.into(),
            ..self
        }
    }
}

/// Declares the routes once: for the router, and for the test that compares them with the
/// description.
macro_rules! routes {
    (
        signed { $($method:ident $path:literal $operation:ident => $handler:expr,)* }
        open { $($open_method:ident $open_path:literal $open_operation:ident => $open:expr,)* }
    ) => {
        /// Method, path and operation of every route.
        pub const ROUTES: &[(&str, &str, &str)] = &[
            $((stringify!($method), $path, stringify!($operation)),)*
            $((stringify!($open_method), $open_path, stringify!($open_operation)),)*
        ];

        /// The routes that need a signature.
        fn signed() -> Router<ApiState> {
            Router::new()$(.route($path, $handler))*
        }

        /// The routes that anyone may ask for.
        fn open() -> Router<ApiState> {
            Router::new()$(.route($open_path, $open))*
        }
    };
}

routes! {
    signed {
        POST "/v1/brokers" CreateBroker => post(broker::create),
        GET "/v1/brokers" ListBrokers => get(broker::list),
        GET "/v1/brokers/{broker-id}" DescribeBroker => get(broker::describe),
        PUT "/v1/brokers/{broker-id}" UpdateBroker => put(broker::update),
        DELETE "/v1/brokers/{broker-id}" DeleteBroker => delete(broker::delete),
        POST "/v1/brokers/{broker-id}/reboot" RebootBroker => post(broker::reboot),
        POST "/v1/brokers/{broker-id}/promote" Promote => post(broker::promote),
        GET "/v1/brokers/{broker-id}/shared-resources" DescribeSharedResources
            => get(broker::shared_resources),
        GET "/v1/brokers/{broker-id}/maintenance" DescribeMaintenance
            => get(broker::maintenance::describe),
        POST "/v1/brokers/{broker-id}/maintenance/defer" DeferMaintenance
            => post(broker::maintenance::defer),
        POST "/v1/brokers/{broker-id}/maintenance/apply" ApplyMaintenance
            => post(broker::maintenance::apply),
        POST "/v1/brokers/{broker-id}/maintenance/rollback" RollbackMaintenance
            => post(broker::maintenance::rollback),
        GET "/v1/brokers/{broker-id}/users" ListUsers => get(user::list),
        POST "/v1/brokers/{broker-id}/users/{username}" CreateUser => post(user::create),
        GET "/v1/brokers/{broker-id}/users/{username}" DescribeUser => get(user::describe),
        PUT "/v1/brokers/{broker-id}/users/{username}" UpdateUser => put(user::update),
        DELETE "/v1/brokers/{broker-id}/users/{username}" DeleteUser => delete(user::delete),
        GET "/v1/broker-engine-types" DescribeBrokerEngineTypes => get(catalogue::engine_types),
        GET "/v1/broker-instance-options" DescribeBrokerInstanceOptions
            => get(catalogue::instance_options),
        POST "/v1/configurations" CreateConfiguration => post(configuration::create),
        GET "/v1/configurations" ListConfigurations => get(configuration::list),
        GET "/v1/configurations/{configuration-id}" DescribeConfiguration
            => get(configuration::describe),
        PUT "/v1/configurations/{configuration-id}" UpdateConfiguration
            => put(configuration::update),
        DELETE "/v1/configurations/{configuration-id}" DeleteConfiguration
            => delete(configuration::delete),
        GET "/v1/configurations/{configuration-id}/revisions" ListConfigurationRevisions
            => get(configuration::revisions),
        GET "/v1/configurations/{configuration-id}/revisions/{configuration-revision}"
            DescribeConfigurationRevision => get(configuration::revision),
        POST "/v1/tags/{resource-arn}" CreateTags => post(tag::create),
        DELETE "/v1/tags/{resource-arn}" DeleteTags => delete(tag::delete),
        GET "/v1/tags/{resource-arn}" ListTags => get(tag::list),
        GET "/v1/audit-events" ListAuditEvents => get(audit::list),
        POST "/" AssumeRoleOrGetCallerIdentity => post(sts::call),
        GET "/" GetCallerIdentityByUrl => get(sts::call),
    }
    open {
        GET "/health" Health => get(health::health),
        GET "/healthz" Healthz => get(health::healthz),
        GET "/readyz" Readyz => get(health::readyz),
    }
}

/// The operation behind a method and a route; what nobody routes has no name of its own.
pub(super) fn operation(method: &http::Method, route: Option<&str>) -> &'static str {
    let known = ROUTES
        .iter()
        .find(|(name, path, _)| *name == method.as_str() && Some(*path) == route);
    known.map_or("Unknown", |(_, _, operation)| operation)
}

/// The API as one service. Signatures are verified before a route is even looked for, so that
/// strangers do not learn which there are.
pub fn router(state: ApiState) -> Router {
    signed()
        .route_layer(from_fn_with_state(state.clone(), audit::tell))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(from_fn_with_state(state.clone(), auth::authenticate))
        .merge(open().method_not_allowed_fallback(unknown))
        .layer(from_fn_with_state(state.clone(), envelope::wrap))
        .with_state(state)
}

async fn unknown() -> Failure {
    Failure::UnknownOperation
}
