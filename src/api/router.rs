//! Every route of the public API, in the order of its description `api-spec/mq.openapi.yaml`.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{delete, get, post},
};

use super::{auth, broker, envelope, error::Failure, health, tag};
use crate::app::App;

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub app: App,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Arc<[IpAddr]>,
}

impl ApiState {
    /// Believes no forwarding headers.
    pub fn new(app: App) -> Self {
        Self {
            app,
            trusted_proxies: Arc::new([]),
        }
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
        DELETE "/v1/brokers/{broker-id}" DeleteBroker => delete(broker::delete),
        POST "/v1/brokers/{broker-id}/reboot" RebootBroker => post(broker::reboot),
        POST "/v1/tags/{resource-arn}" CreateTags => post(tag::create),
        DELETE "/v1/tags/{resource-arn}" DeleteTags => delete(tag::delete),
        GET "/v1/tags/{resource-arn}" ListTags => get(tag::list),
    }
    open {
        GET "/health" Health => get(health::health),
    }
}

/// The API as one service. Signatures are verified before a route is even looked for, so that
/// strangers do not learn which there are.
pub fn router(state: ApiState) -> Router {
    signed()
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
