//! Choosing one binding by a hash, so that few keys move when bindings come and go.
//!
//! Weighted rendezvous hashing: each binding draws a number from the key and its own name, the more its weight the
//! higher in the mean, and the highest wins. A binding that goes gives up only its own keys.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Binding;
use crate::broker::{
    refusal::Refusal,
    value::{Table, Value},
};

/// The properties that RabbitMQ hashes.
const PROPERTIES: [&str; 3] = ["correlation_id", "message_id", "timestamp"];

/// What an exchange hashes. Messages that do not have it stay together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum HashOn {
    #[default]
    Key,
    Header(Box<str>),
    Property(&'static str),
}

impl HashOn {
    /// What the exchange's arguments name, in RabbitMQ's words or LavinMQ's.
    ///
    /// # Errors
    /// Why it cannot be, in RabbitMQ's words.
    pub(super) fn new(arguments: &Table) -> Result<Self, String> {
        let named = |name: &str| arguments.get(name).and_then(Value::as_str).map(Box::from);
        let Some(property) = arguments.get("hash-property") else {
            let header = named("hash-header").or_else(|| named("x-hash-on"));
            return Ok(header.map_or(Self::Key, Self::Header));
        };
        if arguments.get("hash-header").is_some() {
            return Err("hash-header and hash-property are mutually exclusive".to_owned());
        }
        let mut known = PROPERTIES.into_iter();
        match known.find(|name| property.as_str() == Some(name)) {
            Some(name) => Ok(Self::Property(name)),
            None => Err(format!("Unsupported property: {property}")),
        }
    }
}

/// The weight that a binding key states.
fn weight(key: &str) -> Option<i64> {
    key.parse().ok()
}

/// Why a binding cannot have this key.
pub(super) fn problem(key: &str) -> Option<Refusal<'_>> {
    let is_weight = weight(key).is_some_and(|weight| weight > 0);
    (!is_weight).then_some(Refusal::Weight { key })
}

/// The binding for what is hashed; none when there are no bindings.
pub(super) fn choose<'e>(
    bindings: impl Iterator<Item = (&'e str, &'e Binding)>,
    hashed: &[u8],
) -> Option<&'e Binding> {
    let draws = bindings.map(|(key, binding)| {
        let name = binding.destination.name();
        (
            draw(weight(key).unwrap_or_default(), hashed, name),
            name,
            binding,
        )
    });
    draws
        .max_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(right.1)))
        .map(|(.., binding)| binding)
}

/// A number in proportion to the weight: the highest of several is a binding's with the probability of its share.
fn draw(weight: i64, hashed: &[u8], name: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    (hashed, name).hash(&mut hasher);
    // 53 bits fill a float's fraction; with the half it is neither 0 nor 1.
    let uniform = ((hasher.finish() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -(weight as f64) / uniform.ln()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::broker::{exchange::Destination, queue::Dialect, value::Table};

    fn binding(name: &str) -> Binding {
        Binding {
            destination: Destination::Exchange(name.into(), true),
            arguments: Table::default(),
        }
    }

    fn chosen(bindings: &[(&str, Binding)], key: u32) -> String {
        let bindings = bindings.iter().map(|(weight, binding)| (*weight, binding));
        let chosen = choose(bindings, &key.to_be_bytes()).unwrap();
        chosen.destination.name().to_string()
    }

    #[test]
    fn each_binding_gets_its_share_and_keeps_it_when_another_goes() {
        let mut bindings = vec![
            ("1", binding("a")),
            ("1", binding("b")),
            ("2", binding("c")),
        ];
        let before: Vec<String> = (0..4000).map(|key| chosen(&bindings, key)).collect();
        let mut shares: HashMap<&str, usize> = HashMap::new();
        for name in &before {
            *shares.entry(name).or_default() += 1;
        }
        for (name, share) in [("a", 1000), ("b", 1000), ("c", 2000)] {
            assert!(shares[name].abs_diff(share) < 200, "{shares:?}");
        }
        bindings.remove(0);
        for (key, name) in before.iter().enumerate().filter(|(_, name)| *name != "a") {
            assert_eq!(chosen(&bindings, key as u32), *name);
        }
    }

    #[test]
    fn a_header_or_a_property_is_hashed_but_not_both_and_not_any() {
        let hash_on = |arguments: &[(&str, &str)]| {
            let arguments = arguments.iter().map(|(name, value)| {
                let value = Value::String(value.as_bytes().to_vec());
                ((*name).to_owned(), value)
            });
            HashOn::new(&Table(arguments.collect()))
        };
        assert_eq!(hash_on(&[]), Ok(HashOn::Key));
        let header = Ok(HashOn::Header("h".into()));
        assert_eq!(hash_on(&[("hash-header", "h")]), header);
        assert_eq!(hash_on(&[("x-hash-on", "h")]), header);
        for name in PROPERTIES {
            let property = Ok(HashOn::Property(name));
            assert_eq!(hash_on(&[("hash-property", name)]), property);
        }
        assert_eq!(
            hash_on(&[("hash-property", "app_id")]).unwrap_err(),
            "Unsupported property: app_id"
        );
        assert_eq!(
            hash_on(&[("hash-property", "message_id"), ("hash-header", "h")]).unwrap_err(),
            "hash-header and hash-property are mutually exclusive"
        );
    }

    #[test]
    fn a_weight_is_a_number_above_nothing() {
        let told = |key| {
            let refusal = problem(key)?;
            Some(Dialect::RabbitMq4.refuse(&refusal).to_string())
        };
        assert_eq!(told("10"), None);
        assert_eq!(told("100000"), None);
        assert_eq!(
            told("ten").as_deref(),
            Some("The binding key must be an integer: <<\"ten\">>")
        );
        assert_eq!(
            told("0").as_deref(),
            Some("The binding key must be greater than 0")
        );
    }
}
