//! Query strings: repeated keys kept, nothing but percent-encoding decoded.
//!
//! What is no text in the database, broken UTF-8 and U+0000, becomes U+FFFD: it is equal to nothing stored.

use percent_encoding::percent_decode_str;

use super::error::Failure;
use crate::{app::PageRequest, error::Error, model::page};

/// The part of a list that is asked for.
pub(super) fn page(query: Option<&str>) -> Result<PageRequest, Failure> {
    let size = value(query, "maxResults");
    Ok(PageRequest {
        size: page::size(size.as_deref()).map_err(Error::from)?,
        token: value(query, "nextToken"),
    })
}

/// Every parameter, decoded, in order.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
}

/// The decoded values of every parameter named `name`, in order.
pub(super) fn values(query: Option<&str>, name: &str) -> Vec<String> {
    pairs(query.unwrap_or_default())
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value)
        .collect()
}

fn decode(text: &str) -> String {
    let text = percent_decode_str(text).decode_utf8_lossy();
    text.replace('\0', "\u{fffd}")
}

/// The first of [`values`].
pub(super) fn value(query: Option<&str>, name: &str) -> Option<String> {
    values(query, name).into_iter().next()
}

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing {
    use super::*;

    /// A query in any bytes: sizes of pages are within their limits, and no value is one that cannot be stored.
    pub fn queries(bytes: &[u8]) {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        if let Ok(page) = page(Some(text)) {
            assert!((1..=100).contains(&page.size));
        }
        for name in ["tagKeys", "maxResults", "nextToken", "engineType", ""] {
            let all = values(Some(text), name);
            assert_eq!(value(Some(text), name), all.first().cloned());
            assert!(!all.iter().any(|value| value.contains('\0')));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_and_odd_characters_come_through() {
        let query = Some("tagKeys=a%20b&other=1&tagKeys=c%26d%2B+&tagKeys=%C3%A5&tagKeys");
        assert_eq!(values(query, "tagKeys"), ["a b", "c&d++", "å", ""]);
        assert_eq!(value(query, "other").as_deref(), Some("1"));
        assert_eq!(value(None, "other"), None);
        assert_eq!(
            value(Some("a=b%00c%ff"), "a").as_deref(),
            Some("b\u{fffd}c\u{fffd}")
        );
    }
}
