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
