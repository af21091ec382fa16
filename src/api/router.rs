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

/// Declares the routes once: for the router, and for the test that compares them with the
/// description.
macro_rules! routes {
    ($($method:ident $path:literal $operation:ident => $handler:expr,)*) => {
        /// Method, path and operation of every route that needs a signature.
        pub const ROUTES: &[(&str, &str, &str)] =
            &[$((stringify!($method), $path, stringify!($operation)),)*];

        fn signed() -> Router<ApiState> {
            Router::new()$(.route($path, $handler))*
        }
    };
}

routes! {
    POST "/v1/brokers" CreateBroker => post(broker::create),
    GET "/v1/brokers" ListBrokers => get(broker::list),
    GET "/v1/brokers/{broker-id}" DescribeBroker => get(broker::describe),
    DELETE "/v1/brokers/{broker-id}" DeleteBroker => delete(broker::delete),
    POST "/v1/brokers/{broker-id}/reboot" RebootBroker => post(broker::reboot),
    POST "/v1/tags/{resource-arn}" CreateTags => post(tag::create),
    DELETE "/v1/tags/{resource-arn}" DeleteTags => delete(tag::delete),
    GET "/v1/tags/{resource-arn}" ListTags => get(tag::list),
}

/// The API as one service. Signatures are verified before a route is even looked for, so that
/// strangers do not learn which there are; `GET /health` alone needs none.
pub fn router(state: ApiState) -> Router {
    let open = Router::new().route("/health", get(health::health));
    signed()
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(from_fn_with_state(state.clone(), auth::authenticate))
        .merge(open.method_not_allowed_fallback(unknown))
        .layer(from_fn_with_state(state.clone(), envelope::wrap))
        .with_state(state)
}

async fn unknown() -> Failure {
    Failure::UnknownOperation
}
