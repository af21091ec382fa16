//! Matching message headers against the arguments of a binding.

use super::super::{
    queue::Dialect,
    refusal::Refusal,
    value::{Table, Value},
};

/// Whether headers satisfy a binding of a headers exchange: `x-match` says `all` (the default) or `any`; arguments that
/// start with `x-` do not count, and one without a value only asks for presence.
pub(super) fn matches(arguments: &Table, headers: &Table) -> bool {
    let (is_any, counts_x) = match arguments.get("x-match").and_then(Value::as_str) {
        Some("any") => (true, false),
        Some("any-with-x") => (true, true),
        Some("all-with-x") => (false, true),
        _ => (false, false),
    };
    let mut criteria = arguments
        .0
        .iter()
        .filter(|(name, _)| name != "x-match" && (counts_x || !name.starts_with("x-")))
        .map(|(name, wanted)| match headers.get(name) {
            Some(value) => *wanted == Value::Void || value.satisfies(wanted),
            None => false,
        });
    if is_any {
        criteria.any(|is_met| is_met)
    } else {
        criteria.all(|is_met| is_met)
    }
}

/// What a binding must not ask for, in RabbitMQ's words.
pub(super) fn problem(arguments: &Table, dialect: Dialect) -> Option<Refusal<'_>> {
    let words: &[&str] = match dialect {
        Dialect::LavinMq => &["all", "any"],
        Dialect::RabbitMq3 | Dialect::RabbitMq4 => &["all", "any", "all-with-x", "any-with-x"],
    };
    let value = arguments.get("x-match")?;
    let is_known = value.as_str().is_some_and(|word| words.contains(&word));
    (!is_known).then_some(Refusal::Match(value))
}

#[cfg(test)]
mod tests {
    use super::{Table, Value, matches};

    fn table(pairs: &[(&str, Value)]) -> Table {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }

    fn text(value: &str) -> Value {
        Value::String(value.into())
    }

    #[test]
    fn all_needs_every_header_and_any_needs_one() {
        let headers = table(&[("format", text("pdf")), ("size", Value::I32(3))]);
        let both = [("format", text("pdf")), ("size", Value::I64(3))];
        let one = [("format", text("pdf")), ("size", Value::I32(4))];
        let with = |mode: &str, pairs: &[(&str, Value)]| {
            table(&[&[("x-match", text(mode))], pairs].concat())
        };
        assert!(matches(&table(&both), &headers), "all is the default");
        assert!(matches(&with("all", &both), &headers));
        assert!(!matches(&with("all", &one), &headers));
        assert!(matches(&with("any", &one), &headers));
        assert!(!matches(&with("any", &[("size", Value::I32(4))]), &headers));
        assert!(
            matches(&with("all", &[("format", Value::Void)]), &headers),
            "presence is enough"
        );
        assert!(
            matches(&Table::default(), &headers),
            "nothing asked, nothing missed"
        );
        assert!(!matches(&with("any", &[]), &headers));
    }

    #[test]
    fn arguments_that_start_with_x_count_only_when_asked_for() {
        let headers = table(&[("a", text("1"))]);
        let pairs = [("a", text("1")), ("x-b", text("2"))];
        let with = |mode: &str| table(&[&[("x-match", text(mode))], &pairs[..]].concat());
        assert!(matches(&with("all"), &headers));
        assert!(!matches(&with("all-with-x"), &headers));
        assert!(matches(&with("any-with-x"), &table(&[("x-b", text("2"))])));
    }
}
