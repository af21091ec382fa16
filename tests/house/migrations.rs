//! Migrations, and where SQL may stand.

use std::path::Path;

use crate::sources;

#[test]
fn migrations_are_numbered_without_gaps_and_go_forward() {
    for (index, path) in sources::files("migrations").into_iter().enumerate() {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let (number, rest) = name.split_once('_').unwrap_or_default();
        assert_eq!(
            number,
            format!("{:04}", index + 1),
            "{name} is out of order"
        );
        let words = rest.strip_suffix(".sql").unwrap_or_default();
        let noun_follows_verb = words.split('_').count() >= 2;
        let plain = words
            .chars()
            .all(|character| character.is_ascii_lowercase() || character == '_');
        assert!(
            noun_follows_verb && plain,
            "{name} is not NNNN_verb_noun.sql"
        );
        assert!(
            sources::read(&path).starts_with("-- "),
            "{name} does not say why it exists"
        );
    }
}

#[test]
fn sql_stands_only_in_db_and_jobs() {
    let calls = [
        "sqlx::query",
        "sqlx::raw_sql",
        "query_as(",
        "query_as::<",
        "query_scalar(",
        "query_scalar::<",
    ];
    let mut wrong = Vec::new();
    for source in sources::rust(&["src", "crates", "broker-engine"]) {
        let owner = ["src/db", "src/jobs"]
            .iter()
            .any(|owner| source.path.starts_with(Path::new(owner)));
        for line in source.code().lines().filter(|_| !owner) {
            if calls.iter().any(|call| line.contains(call)) {
                wrong.push(format!("{}: {}", source.path.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The last migration that was written before anything ran beside an older release.
const LAST_FREE: usize = 10;

#[test]
fn the_release_before_serves_on_every_new_schema() {
    let mut wrong = Vec::new();
    for path in sources::files("migrations").into_iter().skip(LAST_FREE) {
        let sql = sources::read(&path);
        for statement in statements(&sql) {
            if let Some(why) = breaks(&statement, &sql) {
                wrong.push(format!("{}: {why}: {statement}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Without comments, in lower case, every blank a single one.
fn statements(sql: &str) -> Vec<String> {
    let code: Vec<&str> = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect();
    let plain = |statement: &str| {
        let words: Vec<String> = statement
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        words.join(" ")
    };
    let statements = code.join("\n");
    let statements = statements.split(';').map(plain);
    statements
        .filter(|statement| !statement.is_empty())
        .collect()
}

/// Why code that knows only the schema before would fail on this one. What nothing has used for a
/// release may go: then the file says `-- Contracts NNNN`, the migration that made it superfluous.
fn breaks(statement: &str, file: &str) -> Option<&'static str> {
    let contracts = file.contains("-- Contracts ");
    let has = |words: &str| statement.contains(words);
    let constraint = statement.split("drop constraint ").nth(1);
    let replaced = constraint.is_some_and(|rest| {
        let name = rest.split([' ', ',']).next().unwrap_or_default();
        statements(file)
            .iter()
            .any(|statement| statement.contains(&format!("add constraint {name} ")))
    });
    if has("rename ") {
        return Some("a name that the release before uses changes; add the new one beside it");
    }
    if (has("drop table") || has("drop column")) && !contracts {
        return Some("what the release before reads goes");
    }
    if constraint.is_some() && !replaced && !contracts {
        return Some(
            "a constraint goes that the release before relies on; replace it by a wider one",
        );
    }
    if has("set not null") {
        return Some("the release before may write null");
    }
    if has("alter column") && has(" type ") {
        return Some("the release before reads another type");
    }
    let mut columns = statement.split("add column ").skip(1);
    if columns.any(|column| column.contains(" not null") && !column.contains(" default ")) {
        return Some("the release before does not fill the column: it needs a default");
    }
    None
}

#[test]
fn statements_that_break_the_release_before_are_known() {
    for broken in [
        "alter table jobs rename column kind to sort",
        "drop table jobs",
        "alter table jobs add column a text, drop column kind",
        "alter table jobs drop constraint jobs_state_check",
        "alter table jobs alter column kind set not null",
        "alter table jobs alter column attempts type bigint",
        "alter table jobs add column a text default '', add column b text not null",
    ] {
        assert!(breaks(broken, broken).is_some(), "{broken}");
    }
    for fine in [
        "alter table jobs add column a text, add column b text not null default ''",
        "create table t (id uuid not null)",
        "alter table jobs alter column request drop not null",
        "create index jobs_kind_idx on jobs (kind)",
    ] {
        assert_eq!(breaks(fine, fine), None, "{fine}");
    }
    let wider = "alter table t drop constraint c; alter table t add constraint c check (a > 0)";
    assert_eq!(breaks("alter table t drop constraint c", wider), None);
    let later = "-- Contracts 0012: nobody reads it any more.\nalter table t drop column a";
    assert_eq!(breaks("alter table t drop column a", later), None);
}
