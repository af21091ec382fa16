//! Choosing one binding by a hash, so that few keys move when bindings come and go.
//!
//! Weighted rendezvous hashing: each binding draws a number from the key and its own name, the more its weight the
//! higher in the mean, and the highest wins. A binding that goes gives up only its own keys.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Binding;

/// The weight that a binding key states.
fn weight(key: &str) -> Option<i64> {
    key.parse().ok()
}

/// Why a binding cannot have this key, in RabbitMQ's words.
pub(super) fn problem(key: &str) -> Option<String> {
    match weight(key) {
        None => Some(format!("The binding key must be an integer: <<\"{key}\">>")),
        Some(weight) if weight < 1 => Some("The binding key must be greater than 0".to_owned()),
        Some(_) => None,
    }
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
    use crate::broker::{exchange::Destination, value::Table};

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
    fn a_weight_is_a_number_above_nothing() {
        assert_eq!(problem("10"), None);
        assert_eq!(problem("100000"), None);
        assert_eq!(
            problem("ten").unwrap(),
            "The binding key must be an integer: <<\"ten\">>"
        );
        assert_eq!(
            problem("0").unwrap(),
            "The binding key must be greater than 0"
        );
    }
}
