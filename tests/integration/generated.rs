//! Requests that schemathesis makes up from the API's specification, good and bad: no answer is a server
//! error, and each is one that the specification has.

use std::path::PathBuf;
use std::sync::LazyLock;

use test_support::{directory, python};

use crate::server::Server;

static SCHEMATHESIS: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let requirements = directory::repository().join("tests/requirements-schemathesis.txt");
    python::prepare("test-schemathesis", &requirements, 10)
});

/// What each answer is held against.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// Requests of each kind to each operation, once; the long tests make more.
const EXAMPLES: u32 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_generated_request_is_answered_otherwise_than_specified() {
    if !python::is_prepared(&SCHEMATHESIS) {
        return;
    }
    let server = Server::start().await;
    let place = tempfile::tempdir().expect("a temporary directory can be created");
    let repetitions = number("WARREN_LONG", 1);
    let seed = number("WARREN_SEED", 1);
    let environment = SCHEMATHESIS.as_ref().expect("it is prepared");
    let mut command = std::process::Command::new(environment.join("bin/st"));
    test_support::programs::without_settings_of_aws(&mut command);
    command
        .arg("run")
        .arg(directory::repository().join("api-spec/mq.openapi.yaml"))
        .args(["--url", &format!("http://{}", server.host())])
        .args(["--checks", CHECKS, "--continue-on-failure"])
        .args(["--warnings", "off", "--no-color"])
        .args(["--max-examples", &(EXAMPLES * repetitions).to_string()])
        .args(["--seed", &seed.to_string()])
        .env("SCHEMATHESIS_HOOKS", "signed")
        .env("PYTHONPATH", directory::repository().join("tests/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("AWS_ACCESS_KEY_ID", &server.key.id)
        .env("AWS_SECRET_ACCESS_KEY", &server.key.secret)
        .env("AWS_REGION", crate::server::REGION)
        .current_dir(place.path());
    let printed = tokio::task::spawn_blocking(move || python::succeed(&mut command))
        .await
        .expect("schemathesis runs");
    println!("{printed}");
}

fn number(variable: &str, usual: u32) -> u32 {
    std::env::var(variable)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(usual)
}
