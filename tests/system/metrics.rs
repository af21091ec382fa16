//! What operators read: metrics on an address of their own, and one request id through all logs.

use std::net::SocketAddr;

use serde_json::Value;
use test_support::network::{self, eventually};

use crate::installation::Installation;
use crate::patience::PATIENCE;

#[test]
fn monitoring_reads_calls_work_and_brokers_where_it_was_let() {
    let mut installation = Installation::start();
    let [api, metrics, worker_metrics] = std::array::from_fn(|_| {
        let port = network::free_port();
        SocketAddr::from(([127, 0, 0, 1], port))
    });
    let listen = [
        "--listen",
        &api.to_string(),
        "--metrics-listen",
        &metrics.to_string(),
    ];
    let _api = installation.serve_with(&listen);
    installation.work_with(&["--metrics-listen", &worker_metrics.to_string()]);
    let read = |address| {
        eventually("metrics are told", PATIENCE, || {
            let (status, text) = network::get(address, "/metrics")?;
            (status == 200).then_some(text)
        })
    };
    read(metrics);
    let (status, _) = network::get(api, "/metrics").expect("the API answers");
    assert_eq!(status, 403, "the API tells its metrics to nobody");
    let refused = r#"warren_api_refusals_total{operation="Unknown",code="MissingAuthenticationTokenException"} 1"#;
    assert!(read(metrics).contains(refused), "{}", read(metrics));

    let mut remote = installation.remote();
    let id = remote.create("observed");
    remote.running(&id);
    let healthy = format!(r#"warren_broker_healthy{{broker_id="{id}","#);
    eventually("the broker's health is told", PATIENCE, || {
        let text = read(worker_metrics);
        let line = text.lines().find(|line| line.starts_with(&healthy))?;
        line.ends_with(r#"state="RUNNING"} 1"#).then_some(())
    });
    for series in [
        r#"warren_reconciler_sweep_seconds_count{reconciler="job_watcher"}"#,
        r#"warren_host_silent_seconds{host="host-1",zone="a"}"#,
        "warren_job_oldest_due_seconds ",
        r#"warren_db_connections{state="idle"}"#,
    ] {
        eventually(series, PATIENCE, || {
            read(worker_metrics).contains(series).then_some(())
        });
    }
}

#[test]
fn one_request_id_leads_from_the_call_to_the_node() {
    let installation = Installation::start();
    let mut remote = installation.remote();
    let id = remote.create("followed");
    remote.running(&id);
    let api = installation.apis[0].process.log();
    let lines = api
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let request_id = lines
        .filter(|line| line["method"] == "POST" && line["path"] == "/v1/brokers")
        .find_map(|line| Some(line["span"]["request_id"].as_str()?.to_owned()))
        .unwrap_or_else(|| panic!("the call is in no line of\n{api}"));
    for (name, process, what) in [
        ("worker", &installation.workers[0], "job done"),
        ("agent", &installation.agent, "started the node"),
    ] {
        eventually(name, PATIENCE, || {
            let log = process.log();
            let mut lines = log.lines();
            lines
                .any(|line| line.contains(&request_id) && line.contains(what))
                .then_some(())
        });
    }
}
