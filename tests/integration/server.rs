//! The API on a loopback port with a database of its own, and calls to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use test_support::postgres::{self, Database};
use warren::api::ApiState;
use warren::app::{App, Settings};
use warren::db;
use warren::model::broker::SimulatedHosts;
use warren::model::clock::{Clock, SystemClock};
use warren::model::entropy::SystemEntropy;
use warren::model::parity::Parity;
use warren::model::throttle::Rate;
use warren::model::{BrokerId, Region};
use warren::secrets::MasterKey;

use crate::shapes;
use crate::signer::{Key, Signing};

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const OTHER_REGION: &str = "us-west-2";

pub(crate) struct Server {
    pub(crate) account: String,
    pub(crate) key: Key,
    /// A key of another account.
    pub(crate) stranger: Key,
    pub(crate) stranger_account: String,
    pub(crate) app: App,
    address: SocketAddr,
    database: Database,
    client: reqwest::Client,
}

/// An answer, whatever it is.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body of a success.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        serde_json::from_str(&self.text).expect("answers are JSON")
    }

    /// The body of exactly this error.
    pub(crate) fn is_error(&self, status: u16, error_type: &str) -> Value {
        assert_eq!(
            (self.status, self.error_type()),
            (status, error_type),
            "{}",
            self.text
        );
        serde_json::from_str(&self.text).expect("errors are JSON")
    }

    pub(crate) fn error_type(&self) -> &str {
        self.headers
            .get("x-amzn-errortype")
            .and_then(|value| value.to_str().ok())
            .unwrap_or("none")
    }
}

/// A request that CreateBroker accepts where hosts are simulated.
pub(crate) fn activemq(name: &str) -> Value {
    json!({
        "brokerName": name,
        "engineType": "ACTIVEMQ",
        "engineVersion": "5.19",
        "deploymentMode": "SINGLE_INSTANCE",
        "hostInstanceType": "mq.m5.large",
        "publiclyAccessible": false,
        "autoMinorVersionUpgrade": true,
        "users": [{"username": "operator", "password": "correct-horse-battery"}],
    })
}

/// A request that CreateBroker accepts.
pub(crate) fn broker(name: &str) -> Value {
    json!({
        "brokerName": name,
        "engineType": "RABBITMQ",
        "engineVersion": "4.2",
        "deploymentMode": "SINGLE_INSTANCE",
        "hostInstanceType": "mq.m7g.medium",
        "publiclyAccessible": false,
        "autoMinorVersionUpgrade": true,
        "users": [{"username": "operator", "password": "correct-horse-battery"}],
    })
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(Parity::Extended).await
    }

    pub(crate) async fn start_with(parity: Parity) -> Self {
        Self::start_as(parity, SimulatedHosts::Absent).await
    }

    /// A server that accepts what only simulated hosts can have.
    pub(crate) async fn start_simulated() -> Self {
        Self::start_as(Parity::Extended, SimulatedHosts::Present).await
    }

    pub(crate) async fn start_as(parity: Parity, hosts: SimulatedHosts) -> Self {
        let settings =
            |settings: Settings| settings.with_parity(parity).with_simulated_hosts(hosts);
        Self::start_so(settings).await
    }

    /// A server that holds its accounts to a rate.
    pub(crate) async fn start_at(rate: Rate) -> Self {
        Self::start_so(|settings| settings.with_requests(Some(rate))).await
    }

    async fn start_so(settings: impl FnOnce(Settings) -> Settings) -> Self {
        // Another test of this binary may have installed the same one before.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let database = postgres::database().await;
        let regions = [REGION, OTHER_REGION].map(|name| Region::parse(name).expect("a region"));
        let app = App {
            pool: database.pool.clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            master_key: MasterKey::from_bytes([7; 32]),
            settings: Arc::new(settings(Settings::new(regions.to_vec()))),
        };
        let mut keys = Vec::new();
        for name in ["ours", "theirs"] {
            let account = app
                .create_account(name)
                .await
                .expect("an account can be made");
            let key = app
                .create_access_key(&account, None)
                .await
                .expect("a key can be made");
            keys.push((
                account.to_string(),
                Key {
                    id: key.id.to_string(),
                    secret: key.secret,
                    token: None,
                },
            ));
        }
        let (stranger_account, stranger) = keys.pop().expect("two accounts");
        let (account, key) = keys.pop().expect("two accounts");

        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("loopback has free ports");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address");
        let router = warren::api::router(ApiState::new(app.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client can be built");
        Self {
            account,
            key,
            stranger,
            stranger_account,
            app,
            address,
            database,
            client,
        }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        SystemClock.now()
    }

    pub(crate) async fn get(&self, operation: &str, path: &str, query: &str) -> Answer {
        let answer = self.send(&self.key, "GET", path, query, b"").await;
        shapes::check(operation, &answer);
        answer
    }

    pub(crate) async fn post(&self, operation: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self
            .send(&self.key, "POST", path, "", body.as_bytes())
            .await;
        shapes::check(operation, &answer);
        answer
    }

    pub(crate) async fn put(&self, operation: &str, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let answer = self.send(&self.key, "PUT", path, "", body.as_bytes()).await;
        shapes::check(operation, &answer);
        answer
    }

    pub(crate) async fn delete(&self, operation: &str, path: &str, query: &str) -> Answer {
        let answer = self.send(&self.key, "DELETE", path, query, b"").await;
        shapes::check(operation, &answer);
        answer
    }

    /// Creates a broker and returns its id.
    pub(crate) async fn create(&self, request: &Value) -> String {
        let created = self.post("CreateBroker", "/v1/brokers", request).await.ok();
        created["brokerId"].as_str().expect("an id").to_owned()
    }

    /// Waits until the broker is in this state.
    pub(crate) async fn reaches(&self, id: &str, state: &str) -> Value {
        let search = async {
            loop {
                let broker = self.describe(id).await;
                if broker["brokerState"] == state {
                    return broker;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(60), search).await;
        found.expect("the broker gets there")
    }

    pub(crate) fn pool(&self) -> sqlx::PgPool {
        self.database.pool.clone()
    }

    pub(crate) async fn describe(&self, id: &str) -> Value {
        self.get("DescribeBroker", &format!("/v1/brokers/{id}"), "")
            .await
            .ok()
    }

    /// A request of ours to the other region.
    pub(crate) async fn elsewhere(
        &self,
        operation: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self
            .send_to(OTHER_REGION, &self.key, method, (path, ""), body.as_bytes())
            .await;
        shapes::check(operation, &answer);
        answer
    }

    /// A correctly signed request.
    pub(crate) async fn send(
        &self,
        key: &Key,
        method: &str,
        path: &str,
        query: &str,
        body: &[u8],
    ) -> Answer {
        self.send_to(REGION, key, method, (path, query), body).await
    }

    async fn send_to(
        &self,
        region: &str,
        key: &Key,
        method: &str,
        (path, query): (&str, &str),
        body: &[u8],
    ) -> Answer {
        let host = self.host();
        let signing = Signing {
            key,
            method,
            host: &host,
            path,
            query,
            body,
            at: self.now(),
            region,
            service: "mq",
        };
        self.raw(method, path, query, &signing.headers(), body)
            .await
    }

    /// A call to the service that gives out sessions.
    pub(crate) async fn sts(&self, key: &Key, form: &str) -> Answer {
        let host = self.host();
        let body = form.as_bytes();
        let signing = Signing {
            key,
            method: "POST",
            host: &host,
            path: "/",
            query: "",
            body,
            at: self.now(),
            region: REGION,
            service: "sts",
        };
        self.raw("POST", "/", "", &signing.headers(), body).await
    }

    pub(crate) async fn unsigned(&self, method: &str, path: &str) -> Answer {
        self.raw(method, path, "", &[], b"").await
    }

    /// Exactly this request.
    pub(crate) async fn raw(
        &self,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Answer {
        let separator = if query.is_empty() { "" } else { "?" };
        let url = format!("http://{}{path}{separator}{query}", self.address);
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, url).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = request.send().await.expect("the API answers every request");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("answers are text");
        Answer {
            status,
            headers,
            text,
        }
    }

    /// Makes it true that a broker's nodes run what was asked for, without any host.
    pub(crate) async fn settle(&self, id: &str) {
        let id = BrokerId::parse(id).expect("an id");
        let mut conn = self.database.pool.acquire().await.expect("a connection");
        let broker = db::broker_find(&mut conn, &id)
            .await
            .expect("the broker can be read")
            .expect("the broker exists");
        db::broker_mark_applied(&mut conn, &id, broker.generation, self.now())
            .await
            .expect("the broker can be updated");
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")))
            .fetch_one(&self.database.pool)
            .await
            .expect("the table can be counted")
    }

    /// Whether a text stands anywhere in the rows about users and calls.
    pub(crate) async fn holds(&self, text: &str) -> bool {
        sqlx::query_scalar(
            "select exists (select from broker_users u where strpos(u::text, $1) > 0)
                 or exists (select from audit_events e where strpos(e::text, $1) > 0)
                 or exists (select from jobs j where strpos(j::text, $1) > 0)",
        )
        .bind(text)
        .fetch_one(&self.database.pool)
        .await
        .expect("the rows can be searched")
    }

    /// The actions of the audit log on what belongs to a region, in order.
    pub(crate) async fn audited(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select action from audit_events where not read_only and error_code is null and region <> 'aws-global'
                           order by created_at, id",
        )
        .fetch_all(&self.database.pool)
        .await
        .expect("the audit log can be read")
    }
}
