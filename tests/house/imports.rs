//! Which module may import which.
//!
//! The table is the architecture. A new module needs a row, and a new arrow needs a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::sources::{self, Source};

const ALL: &str = "*";

/// Module, and the modules of the same crate it may import.
const CONTROL_PLANE: &[(&str, &[&str])] = &[
    // Composition: these wire the others together, and they alone read `config`.
    ("main", &[ALL]),
    ("access", &["config", "model", "roles"]),
    ("roles", &[ALL]),
    ("dev", &[ALL]),
    ("lib", &[]),
    // Entry points for fuzzing, over everything that reads bytes.
    ("fuzzing", &[ALL]),
    // The request path.
    (
        "api",
        &[
            "app", "error", "listener", "metrics", "model", "pki", "secrets",
        ],
    ),
    ("app", &["db", "error", "model", "pki", "secrets"]),
    // The host agents' endpoints record observations and wake the workflows that wait for them.
    (
        "api::agent",
        &[
            "db", "error", "jobs", "listener", "metrics", "model", "pki", "secrets",
        ],
    ),
    // From intent to node.
    (
        "workflows",
        &[
            "db",
            "error",
            "jobs",
            "metrics",
            "model",
            "pki",
            "provision",
            "secrets",
        ],
    ),
    (
        "reconcilers",
        &["db", "error", "metrics", "model", "provision"],
    ),
    ("jobs", &["error", "metrics", "model"]),
    ("db", &["error", "model"]),
    ("provision", &["error", "model"]),
    ("secrets", &["error"]),
    ("pki", &["error"]),
    ("listener", &["error"]),
    ("error", &["model"]),
    // Pure.
    ("model", &[]),
    ("config", &[]),
    ("telemetry", &[]),
    ("metrics", &[]),
];

const ENGINE: &[(&str, &[&str])] = &[
    // Composition: the facade wires the others together.
    ("lib", &[ALL]),
    ("engine", &[ALL]),
    // Tests of the whole, over random histories.
    ("proof", &[ALL]),
    // Entry points for fuzzing, over everything that reads bytes.
    ("fuzzing", &[ALL]),
    ("error", &["broker", "listener", "options", "store"]),
    ("listener", &["amqp", "management", "options", "settings"]),
    ("management", &["broker", "options"]),
    ("amqp", &["broker", "codec", "lists", "options", "timers"]),
    ("broker", &["lists", "store"]),
    ("store", &[]),
    // What a thread keeps for the next batch, and who waits for long: of no layer.
    ("lists", &[]),
    ("timers", &[]),
    ("codec", &[]),
    ("settings", &["options"]),
    ("options", &[]),
    ("bin", &["engine", "options"]),
];

/// Crates that only these modules of the control plane may name.
const CRATES: &[(&str, &[&str])] = &[
    ("broker_engine", &["main", "roles", "dev"]),
    ("host_agent", &["main", "roles", "dev"]),
    ("cli", &["main", "roles"]),
    (
        "agent_api",
        &["main", "roles", "dev", "api::agent", "workflows", "model"],
    ),
    (
        "axum",
        &["main", "roles", "dev", "api", "api::agent", "listener"],
    ),
];

#[test]
fn the_control_plane_keeps_to_its_import_table() {
    held("src", CONTROL_PLANE);
}

#[test]
fn the_engine_keeps_to_its_import_table() {
    held("broker-engine/src", ENGINE);
}

#[test]
fn crates_are_named_only_where_the_table_allows() {
    let mut wrong = Vec::new();
    for source in sources::rust(&["src"]) {
        let module = module(&source, "src", CONTROL_PLANE);
        for line in code_lines(&source) {
            for (name, allowed) in CRATES {
                let named =
                    paths(&line, name).next().is_some() || line.contains(&format!("use {name};"));
                if named && !allowed.contains(&module.as_str()) {
                    wrong.push(format!(
                        "{}: {module} names {name}: {}",
                        source.path.display(),
                        line.trim()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn held(directory: &str, table: &[(&str, &[&str])]) {
    let allowed: BTreeMap<&str, &[&str]> = table.iter().copied().collect();
    let modules: BTreeSet<&str> = allowed
        .keys()
        .map(|name| name.split("::").next().unwrap_or(name))
        .collect();
    let mut wrong = Vec::new();
    for source in sources::rust(&[directory]) {
        let importer = module(&source, directory, table);
        let Some(may) = allowed.get(importer.as_str()) else {
            wrong.push(format!(
                "{}: module {importer} is not in the table",
                source.path.display()
            ));
            continue;
        };
        let own = importer.split("::").next().unwrap_or_default();
        for imported in imported(&source, directory) {
            let known = modules.contains(imported.as_str());
            if known && imported != own && !may.contains(&ALL) && !may.contains(&imported.as_str())
            {
                wrong.push(format!(
                    "{}: {importer} may not import {imported}",
                    source.path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The row of the table that a file falls under: the longest that fits.
fn module(source: &Source, directory: &str, table: &[(&str, &[&str])]) -> String {
    let path = module_path(&source.path, directory);
    let rows = table.iter().map(|(name, _)| *name);
    let fitting = rows.filter(|row| {
        path.iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .starts_with(&row.split("::").collect::<Vec<_>>())
    });
    fitting
        .max_by_key(|row| row.len())
        .map_or_else(|| path.join("::"), str::to_owned)
}

/// `src/db/broker.rs` is `["db", "broker"]`.
fn module_path(path: &Path, directory: &str) -> Vec<String> {
    let inner = path
        .strip_prefix(directory)
        .expect("files are listed below the directory")
        .with_extension("");
    let parts = inner.iter().map(|part| part.to_string_lossy().into_owned());
    parts.filter(|part| part != "mod").collect()
}

/// First path components below the crate's root that a file's code mentions.
fn imported(source: &Source, directory: &str) -> BTreeSet<String> {
    let depth = module_path(&source.path, directory).len();
    let text = code_lines(source).join("\n");
    let mut roots = vec!["crate::".to_owned(), "super::".repeat(depth)];
    if directory == "src" {
        roots.push("warren::".to_owned());
    }
    roots.iter().flat_map(|root| after(&text, root)).collect()
}

/// The identifiers that follow `root`, those in a group of braces too.
fn after(text: &str, root: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices(root) {
        let before = text[..start].chars().next_back();
        if before.is_some_and(|character| {
            character.is_alphanumeric() || character == '_' || character == ':'
        }) {
            continue;
        }
        let rest = &text[start + root.len()..];
        match rest.strip_prefix('{') {
            None => found.push(identifier(rest)),
            Some(group) => {
                let mut level = 0;
                let mut expected = true;
                for (index, character) in group.char_indices() {
                    match character {
                        '{' => level += 1,
                        '}' if level == 0 => break,
                        '}' => level -= 1,
                        ',' if level == 0 => expected = true,
                        character if expected && !character.is_whitespace() => {
                            found.push(identifier(&group[index..]));
                            expected = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect()
}

fn paths<'text>(line: &'text str, name: &str) -> impl Iterator<Item = usize> + 'text {
    let wanted = format!("{name}::");
    let starts: Vec<usize> = line
        .match_indices(&wanted)
        .map(|(start, _)| start)
        .collect();
    starts.into_iter().filter(move |&start| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|character| {
            character.is_alphanumeric() || character == '_' || character == ':'
        })
    })
}

/// Code without tests and comments.
fn code_lines(source: &Source) -> Vec<String> {
    let code = source.code();
    code.lines()
        .map(|line| line.split("//").next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::db;\nuse crate::{api::{a, b}, model, error::Error};\nlet x = crate::jobs::wake();\nuse super::super::app::App;\nuse foo_crate::no;";
    let source = Source {
        path: "src/workflows/broker_create.rs".into(),
        text: text.to_owned(),
    };
    let expected = ["api", "app", "db", "error", "jobs", "model"].map(str::to_owned);
    assert_eq!(imported(&source, "src"), BTreeSet::from(expected));
    assert_eq!(module(&source, "src", CONTROL_PLANE), "workflows");
    let agent = Source {
        path: "src/api/agent/mod.rs".into(),
        text: String::new(),
    };
    assert_eq!(module(&agent, "src", CONTROL_PLANE), "api::agent");
}
