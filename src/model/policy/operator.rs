//! Condition operators: how one value of the request is compared with one of the policy.

use std::net::IpAddr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use super::{Malformed, context::Context, glob::Glob};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Order),
    Date(Order),
    Bool,
    IpAddress,
    Arn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A comparison, or its opposite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) comparison: Comparison,
    pub(super) is_negated: bool,
}

impl Operator {
    /// By its name in documents, without prefix and suffix.
    pub(super) fn named(name: &str) -> Option<Self> {
        use Comparison::{
            Arn, Bool, Date, IpAddress, Numeric, StringEquals, StringEqualsIgnoreCase, StringLike,
        };
        let (comparison, is_negated) = match name {
            "StringEquals" => (StringEquals, false),
            "StringNotEquals" => (StringEquals, true),
            "StringEqualsIgnoreCase" => (StringEqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (StringEqualsIgnoreCase, true),
            "StringLike" => (StringLike, false),
            "StringNotLike" => (StringLike, true),
            "NumericEquals" => (Numeric(Order::Equal), false),
            "NumericNotEquals" => (Numeric(Order::Equal), true),
            "NumericLessThan" => (Numeric(Order::Less), false),
            "NumericLessThanEquals" => (Numeric(Order::LessOrEqual), false),
            "NumericGreaterThan" => (Numeric(Order::Greater), false),
            "NumericGreaterThanEquals" => (Numeric(Order::GreaterOrEqual), false),
            "DateEquals" => (Date(Order::Equal), false),
            "DateNotEquals" => (Date(Order::Equal), true),
            "DateLessThan" => (Date(Order::Less), false),
            "DateLessThanEquals" => (Date(Order::LessOrEqual), false),
            "DateGreaterThan" => (Date(Order::Greater), false),
            "DateGreaterThanEquals" => (Date(Order::GreaterOrEqual), false),
            "Bool" => (Bool, false),
            "IpAddress" => (IpAddress, false),
            "NotIpAddress" => (IpAddress, true),
            // AWS treats the two spellings alike.
            "ArnEquals" | "ArnLike" => (Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Arn, true),
            _ => return None,
        };
        Some(Self {
            comparison,
            is_negated,
        })
    }
}

impl Comparison {
    /// Whether a policy's value can be compared this way at all.
    pub(super) fn check(self, value: &str) -> Result<(), Malformed> {
        let is_good = match self {
            Self::StringEquals | Self::StringEqualsIgnoreCase | Self::StringLike => true,
            Self::Arn => value == "*" || value.starts_with("arn:") || value.contains("${"),
            Self::Numeric(_) => value.contains("${") || number(value).is_some(),
            Self::Date(_) => value.contains("${") || date(value).is_some(),
            Self::Bool => value.contains("${") || boolean(value).is_some(),
            Self::IpAddress => Network::parse(value).is_some(),
        };
        if is_good {
            return Ok(());
        }
        Err(Malformed::new(format!(
            "The value {value:?} of a condition does not fit its operator."
        )))
    }

    /// Whether the request's value is as the policy's says.
    pub(super) fn holds(self, request: &str, policy: &Glob, context: &Context) -> bool {
        match self {
            Self::StringLike => policy.matches(request, context),
            Self::Arn => policy.matches_arn(request, context),
            Self::StringEquals
            | Self::StringEqualsIgnoreCase
            | Self::Numeric(_)
            | Self::Date(_)
            | Self::Bool
            | Self::IpAddress => policy
                .literal(context)
                .is_some_and(|policy| self.compares(request, &policy)),
        }
    }

    fn compares(self, request: &str, policy: &str) -> bool {
        match self {
            Self::StringEquals | Self::StringLike | Self::Arn => request == policy,
            Self::StringEqualsIgnoreCase => request.to_lowercase() == policy.to_lowercase(),
            Self::Numeric(order) => both(number, request, policy)
                .and_then(|(request, policy)| request.partial_cmp(&policy))
                .is_some_and(|ordering| order.accepts(ordering)),
            Self::Date(order) => both(date, request, policy)
                .is_some_and(|(request, policy)| order.accepts(request.cmp(&policy))),
            Self::Bool => {
                both(boolean, request, policy).is_some_and(|(request, policy)| request == policy)
            }
            Self::IpAddress => Network::parse(policy)
                .zip(request.parse().ok())
                .is_some_and(|(network, address)| network.contains(address)),
        }
    }
}

impl Order {
    fn accepts(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

fn both<T>(read: impl Fn(&str) -> Option<T>, request: &str, policy: &str) -> Option<(T, T)> {
    read(request).zip(read(policy))
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A W3C date and time of ISO 8601, down to a day, or seconds since 1970.
fn date(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(seconds) = text.parse::<i64>()
        && text.len() > "YYYY".len()
    {
        return DateTime::from_timestamp(seconds, 0);
    }
    if let Ok(date) = DateTime::parse_from_rfc3339(text) {
        return Some(date.to_utc());
    }
    let local = |format| NaiveDateTime::parse_from_str(text, format).ok();
    if let Some(date) = local("%Y-%m-%dT%H:%M:%S").or_else(|| local("%Y-%m-%dT%H:%MZ")) {
        return Some(date.and_utc());
    }
    let day = match text.split('-').count() {
        1 => format!("{text}-01-01"),
        2 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    let day = NaiveDate::parse_from_str(&day, "%Y-%m-%d").ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc())
}

/// An address, or a range of them in CIDR notation.
struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = bits.map_or(Some(bits_max), |bits| bits.parse().ok())?;
        (prefix_bits <= bits_max).then_some(Self {
            address,
            prefix_bits,
        })
    }

    fn contains(&self, address: IpAddr) -> bool {
        let same = |left: u128, right: u128, bits_max: u32| {
            let ignored = bits_max - self.prefix_bits;
            left.checked_shr(ignored).unwrap_or(0) == right.checked_shr(ignored).unwrap_or(0)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(left), IpAddr::V4(right)) => {
                same(left.to_bits().into(), right.to_bits().into(), 32)
            }
            (IpAddr::V6(left), IpAddr::V6(right)) => same(left.to_bits(), right.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: &str, request: &str, policy: &str) -> bool {
        let operator = Operator::named(operator).unwrap();
        operator.comparison.check(policy).unwrap();
        let glob = Glob::parse(policy, true).unwrap();
        operator
            .comparison
            .holds(request, &glob, &Context::default())
    }

    #[test]
    fn each_operator_compares_values_of_its_type() {
        for (operator, request, policy, expected) in [
            ("StringEquals", "a", "a", true),
            ("StringEquals", "a", "A", false),
            ("StringEquals", "anything", "*", false),
            ("StringEqualsIgnoreCase", "ÄB", "äb", true),
            ("StringLike", "prod-1", "prod-*", true),
            ("NumericEquals", "10", "10.0", true),
            ("NumericLessThan", "9", "10", true),
            ("NumericLessThan", "x", "10", false),
            ("NumericGreaterThanEquals", "10", "10", true),
            (
                "DateLessThan",
                "2026-11-21T10:00:00Z",
                "2026-11-21T12:00:00+01:00",
                true,
            ),
            (
                "DateGreaterThan",
                "2026-11-21T10:00:00Z",
                "2026-11-21",
                true,
            ),
            ("DateEquals", "1970-01-01T01:00:00Z", "3600000", false),
            (
                "DateLessThanEquals",
                "2019-07-01T00:00:00Z",
                "2019-07",
                true,
            ),
            ("Bool", "true", "True", true),
            ("Bool", "false", "true", false),
            ("IpAddress", "203.0.113.7", "203.0.113.0/24", true),
            ("IpAddress", "203.0.114.7", "203.0.113.0/24", false),
            ("IpAddress", "203.0.113.7", "0.0.0.0/0", true),
            ("IpAddress", "::ffff:203.0.113.7", "203.0.113.7", true),
            ("IpAddress", "2001:db8::1", "2001:db8::/32", true),
            ("IpAddress", "2001:db8::1", "0.0.0.0/0", false),
            (
                "ArnLike",
                "arn:aws:iam::1:user/a",
                "arn:aws:iam::*:user/*",
                true,
            ),
            (
                "ArnEquals",
                "arn:aws:iam::1:user/a",
                "arn:aws:iam::1:user/a",
                true,
            ),
        ] {
            assert_eq!(
                holds(operator, request, policy),
                expected,
                "{operator} {request} {policy}"
            );
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused_in_the_document() {
        for (operator, value) in [
            ("NumericEquals", "ten"),
            ("DateEquals", "yesterday"),
            ("Bool", "yes"),
            ("IpAddress", "203.0.113.0/33"),
            ("IpAddress", "example.org"),
            ("ArnLike", "user/a"),
        ] {
            let operator = Operator::named(operator).unwrap();
            assert!(operator.comparison.check(value).is_err(), "{value}");
        }
    }
}
