//! What may stand in a file, and how long it may be.

use crate::sources;

const CODE: &[&str] = &["src", "broker-engine", "crates", "tests"];
const PROSE: &[&str] = &["README.md", "api-spec", "infra", "migrations", ".ci"];
const LINES_MAX: usize = 700;

#[test]
fn no_file_outgrows_the_cap() {
    let mut sizes: Vec<(usize, String)> = sources::rust(CODE)
        .into_iter()
        .filter(|source| !source.is_test())
        .map(|source| {
            (
                source.code().lines().count(),
                source.path.display().to_string(),
            )
        })
        .collect();
    sizes.sort_unstable();
    let at = |percent: usize| {
        sizes
            .get(sizes.len() * percent / 100)
            .map_or(0, |(lines, _)| *lines)
    };
    println!(
        "{} files of code: median {}, 95th percentile {}",
        sizes.len(),
        at(50),
        at(95)
    );
    let over: Vec<_> = sizes
        .iter()
        .filter(|(lines, _)| *lines > LINES_MAX)
        .collect();
    assert!(
        over.is_empty(),
        "more than {LINES_MAX} lines without tests: {over:?}"
    );
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not contain what it looks for.
    let macros = ["todo", "unimplemented"].map(|name| format!("{name}!("));
    let words =
        [["FIX", "ME"], ["XX", "X"], ["HA", "CK"], ["TO", "DO"]].map(|parts| parts.concat());
    let attributes = ["ignore", "allow("].map(|name| format!("#[{name}"));
    let inner = format!("#![{}", "allow(");
    let mut wrong = Vec::new();
    for path in CODE
        .iter()
        .chain(PROSE)
        .flat_map(|directory| sources::files(directory))
    {
        let Ok(text) = std::fs::read_to_string(test_support::directory::repository().join(&path))
        else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let named = line
                .split(|character: char| !character.is_alphanumeric())
                .any(|word| words.iter().any(|found| found == word));
            let marked = macros
                .iter()
                .chain(&attributes)
                .chain([&inner])
                .any(|found| line.contains(found.as_str()));
            if named || marked {
                wrong.push(format!(
                    "{}:{}: {}",
                    path.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_owns() {
    let mut wrong = Vec::new();
    for source in sources::rust(CODE) {
        let inline_tests_file = source
            .path
            .file_name()
            .is_some_and(|name| name == "tests.rs");
        if !inline_tests_file && !source.text.trim_start().starts_with("//!") {
            wrong.push(source.path.display().to_string());
        }
    }
    assert!(
        wrong.is_empty(),
        "no `//!` at the top:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn modules_with_children_are_mod_rs() {
    let mut wrong = Vec::new();
    for source in sources::rust(CODE) {
        let beside = source.path.with_extension("");
        if test_support::directory::repository().join(&beside).is_dir() {
            wrong.push(source.path.display().to_string());
        }
    }
    assert!(
        wrong.is_empty(),
        "a directory of the same name stands beside: {wrong:?}"
    );
}
