//! Choosing one binding by a hash, so that few keys move when bindings come and go.
//!
//! Rendezvous hashing: each binding draws a number from the key and its own name, as often as its weight says, and the
//! highest number wins. A binding that goes gives up only its own keys.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Binding;

/// Draws of one binding are bounded, because each costs time.
const WEIGHT_MAX: u32 = 1000;

/// The weight that a binding key states: a number above 0. Above the bound it counts as the bound.
pub(super) fn weight(key: &str) -> Option<u32> {
    let weight = key.parse::<u64>().ok().filter(|weight| *weight > 0)?;
    Some(u32::try_from(weight).map_or(WEIGHT_MAX, |weight| weight.min(WEIGHT_MAX)))
}

/// Why a binding key is no weight, in RabbitMQ's words.
pub(super) fn refusal(key: &str) -> String {
    match key.parse::<i64>() {
        Ok(_) => "The binding key must be greater than 0".to_owned(),
        Err(_) => format!("The binding key must be an integer: <<\"{key}\">>"),
    }
}

/// The binding for what is hashed; none when there are no bindings.
pub(super) fn choose<'e>(
    bindings: impl Iterator<Item = (&'e str, &'e Binding)>,
    hashed: &[u8],
) -> Option<&'e Binding> {
    let draws = bindings.flat_map(|(key, binding)| {
        (0..weight(key).unwrap_or_default()).map(move |number| {
            let mut hasher = DefaultHasher::new();
            let name = binding.destination.name();
            (hashed, &**name, number).hash(&mut hasher);
            (hasher.finish(), name, binding)
        })
    });
    draws
        .max_by(|left, right| (left.0, left.1).cmp(&(right.0, right.1)))
        .map(|(.., binding)| binding)
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
    fn a_weight_is_a_number_within_bounds() {
        assert_eq!(weight("10"), Some(10));
        assert_eq!(weight("ten"), None);
        assert_eq!(weight("1001"), Some(1000));
        assert_eq!(weight("0"), None);
        assert_eq!(refusal("0"), "The binding key must be greater than 0");
        assert_eq!(refusal("-3"), refusal("0"));
        let text = "The binding key must be an integer: <<\"ten\">>";
        assert_eq!(refusal("ten"), text);
    }
}
