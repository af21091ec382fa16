//! Pages of a list: how many, and from where on.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Invalid;

const SIZE_DEFAULT: u32 = 20;

/// The last row of a page, in the order of lists: by creation, then id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub created_at: DateTime<Utc>,
    pub id: String,
}

impl Cursor {
    pub fn new(created_at: DateTime<Utc>, id: impl ToString) -> Self {
        Self {
            created_at,
            id: id.to_string(),
        }
    }
}

/// Reads `maxResults`, a number from 1 to 100; 20 when there is none.
pub fn size(max_results: Option<&str>) -> Result<u32, Invalid> {
    let Some(text) = max_results else {
        return Ok(SIZE_DEFAULT);
    };
    text.parse()
        .ok()
        .filter(|size| (1..=100).contains(size))
        .ok_or_else(|| {
            Invalid::new(
                "maxResults",
                format!("[maxResults] value [{text}] is invalid. Valid values: 1-100."),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_from_one_to_a_hundred_are_served() {
        assert_eq!(size(None).unwrap(), 20);
        assert_eq!(size(Some("1")).unwrap(), 1);
        assert_eq!(size(Some("100")).unwrap(), 100);
        for text in ["0", "101", "-1", "", "ten", "1.5"] {
            assert_eq!(
                size(Some(text)).unwrap_err().attribute,
                "maxResults",
                "{text}"
            );
        }
    }
}
