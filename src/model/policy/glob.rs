//! Text with wildcards and policy variables: `arn:aws:mq:*:*:broker:${aws:username}-?`.
//!
//! `*` stands for any characters, `?` for one, `${key}` for what the request says of `key`, and
//! `${key, 'word'}` for `word` when it says nothing. `${*}`, `${?}` and `${$}` are the characters
//! themselves. What a variable brings in is taken literally: it cannot smuggle in wildcards.

use super::{Malformed, context::Context};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Any,
    One,
    Variable {
        key: String,
        default: Option<String>,
    },
}

/// One thing to match, after variables are filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    Any,
    One,
}

impl Glob {
    /// Reads a pattern; documents older than the variables take `${` for itself.
    pub(super) fn parse(text: &str, has_variables: bool) -> Result<Self, Malformed> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if has_variables && let Some(after) = rest.strip_prefix("${") {
                let (inside, after) = after.split_once('}').ok_or_else(|| {
                    Malformed::new(format!("Unclosed policy variable in {text}."))
                })?;
                parts.push(variable(inside, text)?);
                rest = after;
                continue;
            }
            let end = rest
                .char_indices()
                .skip(1)
                .find(|(at, c)| {
                    matches!(c, '*' | '?') || (has_variables && rest[*at..].starts_with("${"))
                })
                .map_or(rest.len(), |(at, _)| at);
            let (part, after) = match rest.chars().next() {
                Some('*') => (Part::Any, &rest[1..]),
                Some('?') => (Part::One, &rest[1..]),
                _ => (Part::Text(rest[..end].to_owned()), &rest[end..]),
            };
            parts.push(part);
            rest = after;
        }
        Ok(Self(parts))
    }

    /// The text without wildcards; `None` when a variable has no value here.
    pub(super) fn literal(&self, context: &Context) -> Option<String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Any => text.push('*'),
                Part::One => text.push('?'),
                Part::Variable { key, default } => text.push_str(value(context, key, default)?),
            }
        }
        Some(text)
    }

    pub(super) fn matches(&self, text: &str, context: &Context) -> bool {
        self.tokens(context)
            .is_some_and(|tokens| wildcard(&tokens, text))
    }

    /// Like [`Glob::matches`] for ARNs: neither side's wildcards reach over a colon, except in the
    /// last of the six parts.
    pub(super) fn matches_arn(&self, arn: &str, context: &Context) -> bool {
        let Some(tokens) = self.tokens(context) else {
            return false;
        };
        if tokens == [Token::Any] {
            return true;
        }
        let patterns: Vec<&[Token]> = tokens
            .splitn(ARN_PARTS, |token| *token == Token::Char(':'))
            .collect();
        let parts: Vec<&str> = arn.splitn(ARN_PARTS, ':').collect();
        patterns.len() == ARN_PARTS
            && parts.len() == ARN_PARTS
            && patterns
                .iter()
                .zip(parts)
                .all(|(pattern, part)| wildcard(pattern, part))
    }

    fn tokens(&self, context: &Context) -> Option<Vec<Token>> {
        let mut tokens = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => tokens.extend(text.chars().map(Token::Char)),
                Part::Any => tokens.push(Token::Any),
                Part::One => tokens.push(Token::One),
                Part::Variable { key, default } => {
                    tokens.extend(value(context, key, default)?.chars().map(Token::Char));
                }
            }
        }
        Some(tokens)
    }
}

/// `arn:partition:service:region:account:resource`.
const ARN_PARTS: usize = 6;

fn variable(inside: &str, text: &str) -> Result<Part, Malformed> {
    if matches!(inside, "*" | "?" | "$") {
        return Ok(Part::Text(inside.to_owned()));
    }
    let (key, default) = match inside.split_once(',') {
        None => (inside, None),
        Some((key, default)) => {
            let default = default
                .trim()
                .strip_prefix('\'')
                .and_then(|default| default.strip_suffix('\''))
                .ok_or_else(|| {
                    Malformed::new(format!(
                        "A policy variable's default is not quoted in {text}."
                    ))
                })?;
            (key, Some(default.to_owned()))
        }
    };
    let key = key.trim().to_owned();
    if key.is_empty() {
        return Err(Malformed::new(format!(
            "A policy variable has no name in {text}."
        )));
    }
    Ok(Part::Variable { key, default })
}

fn value<'a>(context: &'a Context, key: &str, default: &'a Option<String>) -> Option<&'a str> {
    context.single(key).or(default.as_deref())
}

/// Linear but for backtracking to the latest `*`, so that no pattern takes exponential time.
fn wildcard(pattern: &[Token], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut from) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(Token::Any) => {
                retry = Some((at + 1, from));
                at += 1;
            }
            Some(Token::One) => (at, from) = (at + 1, from + 1),
            Some(Token::Char(c)) if *c == text[from] => (at, from) = (at + 1, from + 1),
            _ => {
                let Some((after, start)) = &mut retry else {
                    return false;
                };
                *start += 1;
                (at, from) = (*after, *start);
            }
        }
    }
    pattern[at..].iter().all(|token| *token == Token::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let context = Context::default()
            .with("aws:username", "al*ce")
            .with("aws:PrincipalTag/team", "red");
        Glob::parse(pattern, true).unwrap().matches(text, &context)
    }

    #[test]
    fn wildcards_stand_for_any_characters_or_for_one() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("*", "anything", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbbd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxbxxaxxc", false),
            ("mq:Describe*", "mq:DescribeBroker", true),
            ("plain", "plain ", false),
            ("é?", "éü", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn variables_are_literal_and_fall_back_to_their_default() {
        assert!(matches("${aws:username}", "al*ce"));
        assert!(!matches("${aws:username}", "alice"));
        assert!(matches("x-${AWS:PrincipalTag/team}-?", "x-red-1"));
        assert!(matches("${aws:none, 'blue'}", "blue"));
        assert!(!matches("${aws:none}", ""));
        assert!(matches("${*}${?}${$}", "*?$"));
        assert!(!matches("${*}", "x"));
        let old = Glob::parse("${aws:username}", false).unwrap();
        assert!(old.matches("${aws:username}", &Context::default()));
    }

    #[test]
    fn a_variable_that_cannot_be_read_is_refused() {
        for text in ["${", "a${aws:username", "${}", "${a, b}", "${a, 'b}"] {
            assert!(Glob::parse(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn an_arns_wildcards_stay_between_its_colons() {
        let arn = "arn:aws:iam::123456789012:user/a:b";
        let context = Context::default();
        for (pattern, expected) in [
            ("*", true),
            ("arn:aws:iam::123456789012:user/*", true),
            ("arn:aws:iam::*:user/a:b", true),
            ("arn:*:user/a:b", false),
            ("arn:aws:iam:*:*:*", true),
            ("arn:aws:sqs::123456789012:user/*", false),
        ] {
            let glob = Glob::parse(pattern, true).unwrap();
            assert_eq!(glob.matches_arn(arn, &context), expected, "{pattern}");
        }
    }
}
