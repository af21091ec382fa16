//! The public API on a network: over TLS, with certificates that change under it, or not at all.

use std::path::Path;
use std::process::Command;

use test_support::network::{self, eventually};

use crate::certificates;
use crate::installation::Installation;
use crate::patience::PATIENCE;
use crate::remote::Remote;

#[test]
fn a_new_certificate_is_served_without_a_restart() {
    let installation = Installation::start();
    let directory = tempfile::tempdir().expect("a temporary directory can be created");
    certificates::write(directory.path());
    let at = format!("127.0.0.1:{}", network::free_port());
    let file = |name: &str| directory.path().join(name).display().to_string();
    let options = [
        "--listen",
        &at,
        "--tls-cert",
        &file("leaf.pem"),
        "--tls-key",
        &file("leaf.key"),
    ];
    let api = installation.serve_with(&options);

    let mut remote = trusting(&installation, directory.path(), &at);
    eventually("the API answers over TLS", PATIENCE, || {
        (remote.ask("names").is_empty()).then_some(())
    });
    certificates::write(directory.path());
    let mut remote = trusting(&installation, directory.path(), &at);
    eventually("the new certificate is served", PATIENCE, || {
        (remote.ask("names").is_empty()).then_some(())
    });
    assert!(test_support::process::is_alive(api.pid()));
}

/// A client that trusts the authority in `directory` only.
fn trusting(installation: &Installation, directory: &Path, at: &str) -> Remote {
    let mut script: Command = installation.script("remote.py");
    let bundle = directory.join("trusted.pem");
    std::fs::copy(directory.join("ca.pem"), &bundle).expect("the directory is writable");
    script
        .env("AWS_CA_BUNDLE", bundle)
        .env("AWS_ENDPOINT_URL_MQ", format!("https://{at}"));
    Remote::start(script)
}

#[test]
fn plain_http_does_not_leave_the_machine() {
    let installation = Installation::start();
    let everywhere = format!("0.0.0.0:{}", network::free_port());
    let mut api = installation.serve_with(&["--listen", &everywhere]);
    assert!(!api.exit(PATIENCE).success());
    assert!(
        api.log().contains("TLS") || api.log().contains("--tls-cert"),
        "{}",
        api.log()
    );
}
