//! `/`: tells a browser where it is.

use axum::extract::State;
use axum::response::Html;
use std::sync::Arc;

use super::Node;

pub(super) async fn show(State(node): State<Arc<Node>>) -> Html<String> {
    let product = node.product;
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>{product} Management</title></head><body><h1>{product} Management</h1>\
         <p>This broker is managed over HTTP. Start at <a href=\"/api/overview\">/api/overview</a> \
         with the name and password of one of its users.</p></body></html>"
    ))
}
