//! Every answer is held against the service model that clients are generated from, at once.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::LazyLock;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::server::Answer;

static VALIDATOR: LazyLock<Mutex<Validator>> = LazyLock::new(|| Mutex::new(Validator::start()));

/// One process for the whole test binary; it ends with it, when its input does.
struct Validator {
    _process: Child,
    questions: ChildStdin,
    verdicts: BufReader<ChildStdout>,
}

impl Validator {
    fn start() -> Self {
        let mut process = test_support::python::script("validate_shapes.py")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the validator can be run");
        let questions = process.stdin.take().expect("stdin is a pipe");
        let verdicts = BufReader::new(process.stdout.take().expect("stdout is a pipe"));
        Self {
            _process: process,
            questions,
            verdicts,
        }
    }
}

/// # Panics
/// When `answer` is none that the service model allows for `operation`.
pub(crate) fn check(operation: &str, answer: &Answer) {
    if !test_support::python::is_available() {
        return;
    }
    let headers: serde_json::Map<String, Value> = answer
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into(),
            )
        })
        .collect();
    let question = json!({
        "operation": operation,
        "status": answer.status,
        "headers": headers,
        "body": answer.text,
    });
    let mut validator = VALIDATOR.lock();
    writeln!(validator.questions, "{question}").expect("the validator reads");
    let mut verdict = String::new();
    validator
        .verdicts
        .read_line(&mut verdict)
        .expect("the validator answers");
    assert_eq!(
        verdict.trim(),
        "[]",
        "{operation} answered {}: {}",
        answer.status,
        answer.text
    );
}
