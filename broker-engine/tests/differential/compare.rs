//! Two logs side by side, and the differences that are allowed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use regex::Regex;

/// A difference that is allowed, with its reason.
#[derive(Debug)]
pub(crate) struct Allowed {
    pub(crate) reason: String,
    /// The lines that only the peer (`-`) or only Warren (`+`) has.
    pub(crate) lines: Vec<String>,
}

/// What only Warren says, wherever it does; what the pattern calls `kept` both say.
#[derive(Debug)]
pub(crate) struct Surplus {
    pub(crate) reason: String,
    pattern: Regex,
}

/// The list of what may differ.
#[derive(Debug, Default)]
pub(crate) struct List {
    /// By the scenario's title.
    pub(crate) scenarios: BTreeMap<String, Allowed>,
    pub(crate) surplus: Vec<Surplus>,
}

impl List {
    /// Reads the list. `= TITLE` begins a scenario's entry, `~ PATTERN` one for what only Warren says; `why` gives its
    /// reason.
    pub(crate) fn load(path: &Path) -> Self {
        let mut list = Self::default();
        let mut title = None;
        for line in fs::read_to_string(path).unwrap().lines() {
            if let Some(pattern) = line.strip_prefix("~ ") {
                list.surplus.push(Surplus {
                    reason: String::new(),
                    pattern: Regex::new(pattern).unwrap(),
                });
                title = None;
            } else if let Some(next) = line.strip_prefix("= ") {
                let entry = Allowed {
                    reason: String::new(),
                    lines: Vec::new(),
                };
                let former = list.scenarios.insert(next.to_owned(), entry);
                assert!(former.is_none(), "'{next}' is listed twice");
                title = Some(next.to_owned());
            } else {
                list.add(title.as_ref(), line);
            }
        }
        list
    }

    fn add(&mut self, title: Option<&String>, line: &str) {
        let entry = title.and_then(|title| self.scenarios.get_mut(title));
        match (line.strip_prefix("why "), entry) {
            (Some(reason), Some(entry)) => reason.clone_into(&mut entry.reason),
            (Some(reason), None) => {
                let surplus = self.surplus.last_mut().expect("a reason follows an entry");
                reason.clone_into(&mut surplus.reason);
            }
            (None, Some(entry)) if line.starts_with(['-', '+']) => {
                entry.lines.push(line.to_owned());
            }
            _ => assert!(
                line.is_empty() || line.starts_with("# "),
                "'{line}' is no part of an entry"
            ),
        }
    }

    /// Warren's log without what only Warren says, and how often each of that was found.
    pub(crate) fn without_surplus(&self, log: &[String]) -> (Vec<String>, Vec<usize>) {
        let mut log = log.to_vec();
        let mut counts = vec![0; self.surplus.len()];
        for line in &mut log {
            for (surplus, count) in self.surplus.iter().zip(&mut counts) {
                *count += surplus.pattern.find_iter(line).count();
                *line = surplus.pattern.replace_all(line, "$kept").into_owned();
            }
        }
        (log, counts)
    }
}

/// The peer's log and Warren's as one: `- ` before what only the peer has, `+ ` before what only Warren has.
pub(crate) fn difference(peer: &[String], warren: &[String]) -> Vec<String> {
    let (rows, columns) = (peer.len(), warren.len());
    // The longest common run of lines from each pair of places on.
    let mut common = vec![vec![0; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            common[row][column] = if peer[row] == warren[column] {
                common[row + 1][column + 1] + 1
            } else {
                common[row + 1][column].max(common[row][column + 1])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut lines = Vec::new();
    while row < rows || column < columns {
        if row < rows && column < columns && peer[row] == warren[column] {
            lines.push(format!("  {}", peer[row]));
            row += 1;
            column += 1;
        } else if column == columns
            || (row < rows && common[row + 1][column] >= common[row][column + 1])
        {
            lines.push(format!("- {}", peer[row].trim_start()));
            row += 1;
        } else {
            lines.push(format!("+ {}", warren[column].trim_start()));
            column += 1;
        }
    }
    lines
}

/// The lines that differ.
pub(crate) fn changes(difference: &[String]) -> Vec<String> {
    let changed = difference.iter().filter(|line| !line.starts_with(' '));
    changed.cloned().collect()
}

/// A difference for people.
pub(crate) fn report(title: &str, difference: &[String]) -> String {
    let mut text = format!("= {title}\n");
    for line in difference {
        writeln!(text, "{line}").expect("a string takes everything");
    }
    text
}
