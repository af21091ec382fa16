//! Matching routing keys against topic patterns: words separated by dots, `*` for one word, `#` for any number.

use std::collections::HashMap;

/// A set of patterns as a trie of words.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    words: HashMap<Box<str>, Node>,
    star: Option<Box<Node>>,
    hash: Option<Box<Node>>,
    /// The pattern that ends here.
    pattern: Option<Box<str>>,
}

impl Patterns {
    pub(super) fn insert(&mut self, pattern: &str) {
        let mut node = &mut self.root;
        for word in words(pattern) {
            node = match word {
                "*" => node.star.get_or_insert_default(),
                "#" => node.hash.get_or_insert_default(),
                _ => node.words.entry(word.into()).or_default(),
            };
        }
        node.pattern = Some(pattern.into());
    }

    pub(super) fn remove(&mut self, pattern: &str) {
        let words: Vec<_> = words(pattern).collect();
        self.root.remove(&words);
    }

    /// Calls `found` with each pattern that matches; a pattern may come more than once.
    pub(super) fn matches(&self, key: &str, found: &mut dyn FnMut(&str)) {
        let words: Vec<_> = words(key).collect();
        self.root.matches(&words, found);
    }
}

impl Node {
    fn remove(&mut self, words: &[&str]) {
        let Some((word, rest)) = words.split_first() else {
            self.pattern = None;
            return;
        };
        match *word {
            "*" => remove_from(&mut self.star, rest),
            "#" => remove_from(&mut self.hash, rest),
            word => {
                if let Some(node) = self.words.get_mut(word) {
                    node.remove(rest);
                    if node.is_empty() {
                        self.words.remove(word);
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.pattern.is_none()
            && self.words.is_empty()
            && self.star.is_none()
            && self.hash.is_none()
    }

    fn matches(&self, words: &[&str], found: &mut dyn FnMut(&str)) {
        if let Some(hash) = &self.hash {
            for skipped in 0..=words.len() {
                hash.matches(&words[skipped..], found);
            }
        }
        let Some((word, rest)) = words.split_first() else {
            if let Some(pattern) = &self.pattern {
                found(pattern);
            }
            return;
        };
        if let Some(star) = &self.star {
            star.matches(rest, found);
        }
        if let Some(node) = self.words.get(*word) {
            node.matches(rest, found);
        }
    }
}

/// The words of a pattern or key; an empty one has none.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('.').take_while(move |_| !text.is_empty())
}

fn remove_from(node: &mut Option<Box<Node>>, rest: &[&str]) {
    if let Some(inner) = node {
        inner.remove(rest);
        if inner.is_empty() {
            *node = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Patterns, words};

    fn naive(pattern: &[&str], key: &[&str]) -> bool {
        match pattern.split_first() {
            None => key.is_empty(),
            Some((&"#", rest)) => (0..=key.len()).any(|skipped| naive(rest, &key[skipped..])),
            Some((word, rest)) => key
                .split_first()
                .is_some_and(|(first, tail)| (*word == "*" || word == first) && naive(rest, tail)),
        }
    }

    #[test]
    fn matches_as_the_definition_says() {
        let mut random = fastrand::Rng::with_seed(7);
        let parts = ["a", "b", "*", "#", ""];
        for round in 0..2000 {
            let mut patterns = Patterns::default();
            let mut set = BTreeSet::new();
            for _ in 0..6 {
                let pattern: Vec<_> = (0..random.usize(1..5))
                    .map(|_| parts[random.usize(..5)])
                    .collect();
                patterns.insert(&pattern.join("."));
                set.insert(pattern.join("."));
            }
            if let Some(removed) = set.first().cloned() {
                patterns.remove(&removed);
                set.remove(&removed);
            }
            let key: Vec<_> = (0..random.usize(1..5))
                .map(|_| ["a", "b", ""][random.usize(..3)])
                .collect();
            let key = key.join(".");
            let mut found = BTreeSet::new();
            patterns.matches(&key, &mut |pattern| {
                found.insert(pattern.to_owned());
            });
            let expected: BTreeSet<_> = set
                .into_iter()
                .filter(|pattern| {
                    naive(
                        &words(pattern).collect::<Vec<_>>(),
                        &words(&key).collect::<Vec<_>>(),
                    )
                })
                .collect();
            assert_eq!(found, expected, "round {round}, key {key:?}");
        }
    }

    #[test]
    fn a_removed_pattern_leaves_nothing_behind() {
        let mut patterns = Patterns::default();
        patterns.insert("a.*.#.b");
        patterns.insert("a.*");
        patterns.remove("a.*.#.b");
        patterns.remove("a.*");
        assert!(patterns.root.is_empty());
    }
}
