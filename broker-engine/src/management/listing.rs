//! Lists as clients ask for them: a page, a filter by name, an order, some members only.

use std::cmp::Ordering;
use std::collections::HashMap;

use axum::extract::FromRequestParts;
use axum::extract::Query;
use axum::http::request::Parts;
use regex::RegexBuilder;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::error::Error;

const PAGE_SIZE_DEFAULT: usize = 100;
const PAGE_SIZE_MAX: usize = 500;

/// Bytes of the largest filter after it is compiled.
const FILTER_SIZE_MAX: usize = 1 << 18;

/// The parameters of a request's query.
#[derive(Debug)]
pub(super) struct Parameters(HashMap<String, String>);

impl Parameters {
    /// Whether a switch is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.0
            .get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    #[cfg(test)]
    pub(super) fn from_pairs(query: &[(&str, &str)]) -> Self {
        let pairs = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self(pairs.collect())
    }

    /// The list that is asked for, made from the whole one.
    pub(super) fn list(&self, mut items: Vec<Value>) -> Result<Value, Error> {
        if let Some(member) = self.0.get("sort").filter(|member| !member.is_empty()) {
            items.sort_by(|left, right| compare(found(left, member), found(right, member)));
            if self.is_on("sort_reverse") {
                items.reverse();
            }
        }
        let Some(page) = self.number("page")? else {
            return Ok(Value::Array(self.narrowed(items)));
        };
        let size = self.number("page_size")?.unwrap_or(PAGE_SIZE_DEFAULT);
        if page == 0 || size == 0 || size > PAGE_SIZE_MAX {
            return Err(Error::BadRequest(format!(
                "page must be at least 1, and page_size from 1 to {PAGE_SIZE_MAX}"
            )));
        }
        let total = items.len();
        let items = self.filtered(items)?;
        let filtered = items.len();
        let page_count = filtered.div_ceil(size).max(1);
        if page > page_count {
            return Err(Error::BadRequest(format!(
                "page_out_of_range: page {page} of {page_count}, page size {size}"
            )));
        }
        let items: Vec<Value> = items
            .into_iter()
            .skip((page - 1) * size)
            .take(size)
            .collect();
        Ok(json!({
            "total_count": total,
            "filtered_count": filtered,
            "item_count": items.len(),
            "page": page,
            "page_size": size,
            "page_count": page_count,
            "items": self.narrowed(items),
        }))
    }

    /// The same of what is written as JSON as it is.
    pub(super) fn list_of(
        &self,
        items: impl IntoIterator<Item = impl Serialize>,
    ) -> Result<Value, Error> {
        let items: Result<_, _> = items.into_iter().map(to_json).collect();
        self.list(items?)
    }

    /// One object with the members that are asked for.
    pub(super) fn one(&self, item: Value) -> Value {
        let columns = self.columns();
        if columns.is_empty() {
            return item;
        }
        narrowed(&item, &columns)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, Error> {
        let number = self.0.get(name).filter(|text| !text.is_empty());
        number
            .map(|text| text.parse())
            .transpose()
            .map_err(|_| Error::BadRequest(format!("{name} must be a number")))
    }

    fn filtered(&self, mut items: Vec<Value>) -> Result<Vec<Value>, Error> {
        let Some(wanted) = self.0.get("name").filter(|name| !name.is_empty()) else {
            return Ok(items);
        };
        let pattern = if self.is_on("use_regex") {
            wanted.clone()
        } else {
            regex::escape(wanted)
        };
        let filter = RegexBuilder::new(&pattern)
            .case_insensitive(true)
            .size_limit(FILTER_SIZE_MAX)
            .build()
            .map_err(|cause| Error::BadRequest(cause.to_string()))?;
        items.retain(|item| {
            item["name"]
                .as_str()
                .is_some_and(|name| filter.is_match(name))
        });
        Ok(items)
    }

    fn narrowed(&self, items: Vec<Value>) -> Vec<Value> {
        let columns = self.columns();
        if columns.is_empty() {
            return items;
        }
        items.iter().map(|item| narrowed(item, &columns)).collect()
    }

    fn columns(&self) -> Vec<&str> {
        let columns = self.0.get("columns").map_or("", String::as_str);
        columns.split(',').filter(|name| !name.is_empty()).collect()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(parameters) = query.map_err(|cause| Error::BadRequest(cause.to_string()))?;
        Ok(Self(parameters))
    }
}

/// What has a form of its own in JSON.
pub(super) fn to_json(value: impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(|cause| Error::Internal(cause.to_string()))
}

/// The member at a path such as `message_stats.publish`.
fn found<'a>(item: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(item, |item, name| &item[name])
}

fn narrowed(item: &Value, columns: &[&str]) -> Value {
    let mut kept = Value::Object(Map::new());
    for column in columns {
        let value = found(item, column);
        if value.is_null() {
            continue;
        }
        let place = column
            .split('.')
            .fold(&mut kept, |kept, name| &mut kept[name]);
        *place = value.clone();
    }
    kept
}

fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::String(left), Value::String(right)) => left.cmp(right),
        _ => left
            .as_f64()
            .partial_cmp(&right.as_f64())
            .unwrap_or(Ordering::Equal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(query: &[(&str, &str)]) -> Result<Value, Error> {
        let items = ["b", "abc", "c"].map(|name| json!({"name": name, "n": {"len": name.len()}}));
        Parameters::from_pairs(query).list(items.to_vec())
    }

    #[test]
    fn a_page_tells_how_much_there_is() {
        let page = list(&[("page", "2"), ("page_size", "2"), ("sort", "name")]).unwrap();
        assert_eq!(page["items"][0]["name"], "c");
        assert_eq!(
            (&page["total_count"], &page["page_count"]),
            (&json!(3), &json!(2))
        );
        assert!(list(&[("page", "3"), ("page_size", "2")]).is_err());
        assert!(list(&[("page", "1"), ("page_size", "501")]).is_err());
    }

    #[test]
    fn names_are_filtered_as_text_or_as_a_pattern() {
        let names = |query: &[(&str, &str)]| list(query).unwrap()["filtered_count"].clone();
        assert_eq!(names(&[("page", "1"), ("name", "B")]), 2);
        assert_eq!(
            names(&[("page", "1"), ("name", "^b"), ("use_regex", "true")]),
            1
        );
        assert_eq!(
            names(&[("page", "1"), ("name", "^b"), ("use_regex", "false")]),
            0
        );
    }

    #[test]
    fn columns_keep_their_place() {
        let list = list(&[
            ("columns", "n.len,none"),
            ("sort", "n.len"),
            ("sort_reverse", "true"),
        ]);
        assert_eq!(list.unwrap()[0], json!({"n": {"len": 3}}));
    }
}
