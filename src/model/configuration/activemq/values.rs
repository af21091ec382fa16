//! What an attribute of an ActiveMQ configuration may say.
//!
//! Only static values: nothing that the engine's configuration framework would look up or compute.
//! The few values that the published schema narrows are refused in the words of its validator,
//! which Amazon MQ passes on.

use super::permitted::DIRECTORY_MAP;

/// What an attribute accepts.
enum Facet {
    /// The schema's name for the type, and its words.
    Words(&'static str, &'static [&'static str]),
    /// Whole numbers, both ends included.
    Range(i64, i64),
}

const FACETS: [(&str, &str, Facet); 6] = [
    ("kahaDB", "checkpointInterval", Facet::Range(5_000, 25_000)),
    ("kahaDB", "indexWriteBatchSize", Facet::Range(1_000, 3_000)),
    (
        "kahaDB",
        "journalDiskSyncStrategy",
        Facet::Words("null", &["always", "periodic", "never"]),
    ),
    (
        "kahaDB",
        "preallocationStrategy",
        Facet::Words("null", &["sparse_file", "os_kernel_copy", "zeros"]),
    ),
    ("memoryUsage", "percentOfJvmHeap", Facet::Range(0, 70)),
    (
        "transportConnector",
        "name",
        Facet::Words("protocol", &["openwire"]),
    ),
];

/// Where a directory's permissions for queues, topics and temporary destinations stand.
const SEARCH_BASES: [&str; 3] = ["queueSearchBase", "topicSearchBase", "tempSearchBase"];

/// Whether a value holds a Spring expression or variable, or refers to another element.
pub(super) fn is_dynamic(value: &str) -> bool {
    let value = value.trim_start();
    let refers = value
        .strip_prefix('#')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_alphabetic() || c == '_'));
    refers || value.contains("${") || value.contains("#{")
}

/// Checks a value that the schema narrows; any other passes.
pub(super) fn check(element: &str, attribute: &str, value: &str) -> Result<(), String> {
    let facet = FACETS
        .iter()
        .find(|(of, name, _)| *of == element && *name == attribute);
    let Some((_, _, facet)) = facet else {
        return Ok(());
    };
    let (kind, reason) = match facet {
        Facet::Words(_, words) if words.contains(&value) => return Ok(()),
        Facet::Words(kind, words) => (
            *kind,
            format!(
                "cvc-enumeration-valid: Value '{value}' is not facet-valid with respect to \
                 enumeration '[{}]'. It must be a value from the enumeration.",
                words.join(", ")
            ),
        ),
        Facet::Range(least, most) => {
            let reason = match value.trim().parse::<i64>() {
                Ok(number) if (*least..=*most).contains(&number) => return Ok(()),
                Ok(number) if number < *least => format!(
                    "cvc-minInclusive-valid: Value '{value}' is not facet-valid with respect to \
                     minInclusive '{least}'."
                ),
                Ok(_) => format!(
                    "cvc-maxInclusive-valid: Value '{value}' is not facet-valid with respect to \
                     maxInclusive '{most}'."
                ),
                Err(_) => format!(
                    "cvc-datatype-valid.1.2.1: '{value}' is not a valid value for 'integer'."
                ),
            };
            ("integer", reason)
        }
    };
    Err(format!(
        "cvc-attribute.3: The value '{value}' of attribute '{attribute}' on element '{element}' \
         is not valid with respect to its type, '{kind}'. and {reason}"
    ))
}

/// The first attribute that the element cannot do without and does not have.
pub(super) fn missing(element: &str, has: impl Fn(&str) -> bool) -> Option<&'static str> {
    let needed = if element == DIRECTORY_MAP {
        &SEARCH_BASES[..]
    } else {
        &[]
    };
    needed.iter().copied().find(|name| !has(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_computed_is_dynamic() {
        for value in [
            "${user.home}",
            "a${b}",
            "#{1 + 1}",
            "#bean",
            " #bean",
            "#_b",
        ] {
            assert!(is_dynamic(value), "{value}");
        }
        for value in ["", "ORDERS.>", "a#b", "#", "#1", "$5", "{}", "50 mb"] {
            assert!(!is_dynamic(value), "{value}");
        }
    }

    #[test]
    fn narrowed_values_are_refused_in_the_validators_words() {
        assert_eq!(
            check("transportConnector", "name", "extra").unwrap_err(),
            "cvc-attribute.3: The value 'extra' of attribute 'name' on element \
             'transportConnector' is not valid with respect to its type, 'protocol'. and \
             cvc-enumeration-valid: Value 'extra' is not facet-valid with respect to enumeration \
             '[openwire]'. It must be a value from the enumeration."
        );
        for (attribute, valid, refused) in [
            ("percentOfJvmHeap", ["0", "70"], ["-1", "71"]),
            ("percentOfJvmHeap", ["60", " 5 "], ["", "60%"]),
        ] {
            for value in valid {
                assert_eq!(check("memoryUsage", attribute, value), Ok(()), "{value}");
            }
            for value in refused {
                assert!(check("memoryUsage", attribute, value).is_err(), "{value}");
            }
        }
        assert_eq!(check("broker", "persistent", "perhaps"), Ok(()));
    }
}
