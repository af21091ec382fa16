//! Query strings: repeated keys kept, nothing but percent-encoding decoded.

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

/// The decoded values of every parameter named `name`, in order.
pub(super) fn values(query: Option<&str>, name: &str) -> Vec<String> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    query
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(key, _)| decode(key) == name)
        .map(|(_, value)| decode(value))
        .collect()
}

/// The first of [`values`].
pub(super) fn value(query: Option<&str>, name: &str) -> Option<String> {
    values(query, name).into_iter().next()
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
    }
}
