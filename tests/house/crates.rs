//! Which crate may reach which, and what may come in from outside.
//!
//! `cargo deny` asks an advisory database besides; what is checked here needs no network, so that
//! it holds on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::sources;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Crate of ours, and the crates of ours it may depend on.
const OURS: &[(&str, &[&str])] = &[
    (
        "warren",
        &[
            "agent-api",
            "broker-engine",
            "host-agent",
            "warren-cli",
            "warren-signing",
            "warren-trace",
        ],
    ),
    ("agent-api", &[]),
    ("broker-engine", &[]),
    (
        "host-agent",
        &["agent-api", "warren-signing", "warren-trace"],
    ),
    ("fleet-simulator", &["agent-api", "host-agent"]),
    ("warren-client", &[]),
    ("warren-perf", &[]),
    ("warren-cli", &["warren-client", "warren-perf"]),
    ("warren-signing", &[]),
    ("warren-trace", &[]),
    ("warren-test-support", &[]),
];

/// Crates that a crate of ours may not reach, however far away.
const UNREACHABLE: &[(&str, &[&str])] = &[
    ("host-agent", &["warren", "sqlx", "sqlx-core", "axum"]),
    ("warren-cli", &["warren", "sqlx", "sqlx-core", "axum"]),
    ("broker-engine", &["sqlx", "sqlx-core", "reqwest"]),
];

/// `OR` needs one of them, `AND` all.
static LICENCES: LazyLock<Vec<String>> = LazyLock::new(|| quoted(section(&DENY, "allow = [")));
static DENY: LazyLock<String> = LazyLock::new(|| sources::read("deny.toml".as_ref()));

static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let version = Command::new("rustc")
        .arg("-vV")
        .output()
        .expect("rustc can be run");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("rustc names its host");
    let arguments = [
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        host,
    ];
    serde_json::from_slice(&cargo(&arguments)).expect("cargo prints JSON")
});

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(test_support::directory::repository())
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

#[test]
fn our_crates_depend_only_on_whom_they_may_know() {
    let allowed: BTreeMap<&str, &[&str]> = OURS.iter().copied().collect();
    let graph = dependencies();
    for package in members() {
        let may = allowed
            .get(package)
            .unwrap_or_else(|| panic!("{package} is not in the table"));
        for dependency in &graph[package] {
            let ours = allowed.contains_key(dependency);
            assert!(
                !ours || may.contains(dependency),
                "{package} may not depend on {dependency}"
            );
        }
    }
}

#[test]
fn some_crates_are_out_of_reach() {
    let graph = dependencies();
    for (package, banned) in UNREACHABLE {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![*package];
        while let Some(name) = waiting.pop() {
            for dependency in graph.get(name).into_iter().flatten() {
                if reached.insert(*dependency) {
                    waiting.push(dependency);
                }
            }
        }
        for name in *banned {
            assert!(!reached.contains(name), "{package} reaches {name}");
        }
    }
}

#[test]
fn no_second_cryptography_comes_in() {
    // Cargo.lock and `cargo metadata` list optional crates too that nothing switches on.
    let arguments = [
        "tree",
        "--locked",
        "--workspace",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let built = cargo(&arguments);
    let built = String::from_utf8(built).expect("crate names are ASCII");
    let banned = section(&DENY, "deny = [")
        .lines()
        .filter_map(|line| quoted(line).into_iter().next());
    let banned: BTreeSet<String> = banned.collect();
    assert!(banned.contains("ring"), "deny.toml bans {banned:?}");
    for line in built.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(!banned.contains(name), "{name} is built");
    }
}

#[test]
fn dependencies_come_from_the_registry_under_known_licences() {
    let mut wrong = Vec::new();
    for package in packages() {
        let name = text(package, "name");
        match package["source"].as_str() {
            None if OURS.iter().any(|(ours, _)| *ours == name) => {}
            Some(REGISTRY) => {}
            other => wrong.push(format!("{name} comes from {other:?}")),
        }
        let licence = package["license"].as_str().unwrap_or("none");
        if !is_acceptable(licence) {
            wrong.push(format!("{name} is under {licence}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Evaluates an SPDX expression; older packages write `/` for `OR`.
fn is_acceptable(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let mut inner = expression.trim();
    while let Some(stripped) = inner
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        if stripped.contains('(') || stripped.contains(')') {
            break;
        }
        inner = stripped.trim();
    }
    for (operator, all) in [(" AND ", true), (" OR ", false)] {
        let parts = split_outside_parentheses(inner, operator);
        if parts.len() > 1 {
            let mut verdicts = parts.into_iter().map(is_acceptable);
            return if all {
                verdicts.all(|good| good)
            } else {
                verdicts.any(|good| good)
            };
        }
    }
    LICENCES.iter().any(|licence| licence == inner)
}

fn split_outside_parentheses<'text>(text: &'text str, operator: &str) -> Vec<&'text str> {
    let mut parts = Vec::new();
    let (mut level, mut start) = (0, 0);
    for (index, character) in text.char_indices() {
        match character {
            '(' => level += 1,
            ')' => level -= 1,
            _ if level == 0 && index >= start && text[index..].starts_with(operator) => {
                parts.push(&text[start..index]);
                start = index + operator.len();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[test]
fn licence_expressions_are_understood() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "(MIT OR GPL-3.0) AND ISC",
        "Apache-2.0 WITH LLVM-exception OR MIT",
    ] {
        assert!(is_acceptable(good), "{good}");
    }
    for bad in ["none", "GPL-3.0", "MIT AND GPL-3.0", "EUPL-1.2"] {
        assert!(!is_acceptable(bad), "{bad}");
    }
}

/// The lines of an array in TOML.
fn section<'text>(toml: &'text str, start: &str) -> &'text str {
    let (_, rest) = toml.split_once(start).expect("deny.toml has the array");
    rest.split_once("\n]").expect("an array ends").0
}

fn quoted(text: &str) -> Vec<String> {
    text.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn packages() -> impl Iterator<Item = &'static Value> {
    METADATA["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|package| {
            // Packages of other platforms are listed, but resolved for none.
            nodes().any(|node| node["id"] == package["id"])
        })
}

fn nodes() -> impl Iterator<Item = &'static Value> {
    METADATA["resolve"]["nodes"]
        .as_array()
        .into_iter()
        .flatten()
}

fn members() -> Vec<&'static str> {
    let members = METADATA["workspace_members"]
        .as_array()
        .into_iter()
        .flatten();
    members.map(name_of).collect()
}

/// Package name, and the names of what it is built from or runs with; not what it is tested with.
fn dependencies() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for node in nodes() {
        let found = graph.entry(name_of(&node["id"])).or_default();
        for dependency in node["deps"].as_array().into_iter().flatten() {
            let kinds = dependency["dep_kinds"].as_array().into_iter().flatten();
            if kinds
                .into_iter()
                .any(|kind| kind["kind"].as_str() != Some("dev"))
            {
                found.insert(name_of(&dependency["pkg"]));
            }
        }
    }
    graph
}

fn name_of(id: &Value) -> &'static str {
    static NAMES: LazyLock<BTreeMap<&'static str, &'static str>> = LazyLock::new(|| {
        let packages = METADATA["packages"].as_array().into_iter().flatten();
        packages
            .map(|package| (text(package, "id"), text(package, "name")))
            .collect()
    });
    NAMES[id.as_str().expect("package ids are strings")]
}

fn text(value: &'static Value, key: &str) -> &'static str {
    value[key]
        .as_str()
        .expect("cargo writes names and ids as strings")
}
