//! The management API, asked over HTTP.

use std::net::SocketAddr;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use crate::support::TestBroker;

/// The user that every broker of these tests has.
pub(crate) const ADMINISTRATOR: (&str, &str) = ("test", "secret");

/// The API of one broker.
pub(crate) struct Api {
    base: String,
    client: Client,
}

impl Api {
    pub(crate) fn new(broker: &TestBroker) -> Self {
        Self::at(broker.engine.addresses().management[0])
    }

    pub(crate) fn at(address: SocketAddr) -> Self {
        // Another test of the process may have installed it before.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self {
            base: format!("http://{address}/api"),
            client: Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
        }
    }

    /// Asks as `login`; the body of an answer without one is null.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        login: (&str, &str),
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        self.try_to_ask(method, path, login, body).await.unwrap()
    }

    /// As [`Api::ask`], of a broker that may have closed the connection.
    pub(crate) async fn try_to_ask(
        &self,
        method: Method,
        path: &str,
        login: (&str, &str),
        body: Option<Value>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request.basic_auth(login.0, Some(login.1));
        let request = match body {
            Some(body) => request.body(body.to_string()),
            None => request,
        };
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap()
        };
        Ok((status, body))
    }

    pub(crate) async fn see(&self, path: &str, login: (&str, &str)) -> (StatusCode, Value) {
        self.ask(Method::GET, path, login, None).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.see(path, ADMINISTRATOR).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, body) = self.ask(Method::PUT, path, ADMINISTRATOR, Some(body)).await;
        (status.as_u16(), body)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, body) = self
            .ask(Method::POST, path, ADMINISTRATOR, Some(body))
            .await;
        (status.as_u16(), body)
    }

    /// Posts a form of which `b` is the boundary. Returns where it leads to, too.
    pub(crate) async fn upload(&self, path: &str, form: String) -> (u16, Option<String>) {
        let request = self.client.post(format!("{}{path}", self.base));
        let response = request
            .basic_auth(ADMINISTRATOR.0, Some(ADMINISTRATOR.1))
            .header("content-type", "multipart/form-data; boundary=b")
            .body(form)
            .send()
            .await
            .unwrap();
        let next = response.headers().get("location");
        let next = next.map(|next| next.to_str().unwrap().to_owned());
        (response.status().as_u16(), next)
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.ask(Method::DELETE, path, ADMINISTRATOR, None).await;
        (status.as_u16(), body)
    }
}
