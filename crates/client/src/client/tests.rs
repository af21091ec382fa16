use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;

use super::*;
use crate::config::{Environment, Overrides};

async fn serve<F, R>(answer: F) -> SocketAddr
where
    F: Fn(Request) -> R + Clone + Send + Sync + 'static,
    R: IntoResponse + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(move |request: Request| {
        let answer = answer(request).into_response();
        async move { answer }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn client(address: SocketAddr) -> Client {
    let endpoint = format!("http://{address}");
    let environment = Environment::from_iter([
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL_MQ", endpoint.as_str()),
    ]);
    Client::new(Config::resolve(&environment, &Overrides::default()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_server_fault_is_tried_three_times_in_all() {
    let calls = Arc::new(AtomicU32::new(0));
    let seen = calls.clone();
    let address = serve(move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        (http::StatusCode::SERVICE_UNAVAILABLE, "")
    })
    .await;
    let error = client(address).list_brokers(None, None).await.unwrap_err();
    assert!(
        matches!(error, Error::Unintelligible { status: 503, .. }),
        "{error}"
    );
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_fault_that_passes_is_not_seen() {
    let calls = Arc::new(AtomicU32::new(0));
    let address = serve(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => (http::StatusCode::TOO_MANY_REQUESTS, "").into_response(),
        _ => r#"{"brokerSummaries":[]}"#.into_response(),
    })
    .await;
    assert!(client(address).list_all_brokers().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_refusal_is_not_repeated_and_keeps_all_it_says() {
    let calls = Arc::new(AtomicU32::new(0));
    let seen = calls.clone();
    let address = serve(move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        (
            http::StatusCode::NOT_FOUND,
            [
                ("x-amzn-errortype", "NotFoundException:http://x"),
                ("x-amzn-requestid", "r-1"),
            ],
            r#"{"message":"Can't find it.","errorAttribute":"broker-id"}"#,
        )
    })
    .await;
    let error = client(address).describe_broker("b-1").await.unwrap_err();
    assert!(error.is_not_found());
    let Error::Service(error) = error else {
        panic!("{error}")
    };
    assert_eq!(
        *error,
        ServiceError {
            status: 404,
            code: "NotFoundException".to_owned(),
            message: "Can't find it.".to_owned(),
            error_attribute: Some("broker-id".to_owned()),
            request_id: Some("r-1".to_owned()),
        }
    );
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn labels_travel_encoded_and_keys_repeat() {
    let address = serve(|request: Request| {
        let target = request.uri().path_and_query().unwrap().to_string();
        let expected = "/v1/tags/arn%3Aaws%3Amq%3Ax?tagKeys=b%20c&tagKeys=a";
        if target == expected {
            http::StatusCode::NO_CONTENT
        } else {
            http::StatusCode::BAD_REQUEST
        }
    })
    .await;
    let keys = ["b c".to_owned(), "a".to_owned()];
    client(address)
        .delete_tags("arn:aws:mq:x", &keys)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client(address).list_brokers(None, None).await.unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}
