//! The scenarios as they are written down.
//!
//! A file holds scenarios: a title after `= `, then a step a line. `~` stands for a prefix of the scenario's own, so
//! that all scenarios share one virtual host. `# ` begins a comment.

use std::fs;
use std::path::Path;

use crate::spec::Arguments;
use crate::value::{Cursor, Word};

/// A script with its title, which begins with its file's name.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
}

/// A step: what, on which connection and channel.
#[derive(Debug)]
pub(crate) struct Step {
    /// A letter; `A` when the line names none.
    pub(crate) connection: char,
    /// 1 when the line names no connection, 0 when it names a connection only.
    pub(crate) channel: u16,
    pub(crate) verb: String,
    /// The verb came with `!`: an answer is not waited for.
    pub(crate) is_hasty: bool,
    pub(crate) arguments: Arguments,
}

/// All scenarios of all files, in the order of their names.
pub(crate) fn load(directory: &Path) -> Vec<Scenario> {
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut scenarios: Vec<Scenario> = Vec::new();
    for path in paths {
        let file = path.file_stem().unwrap().to_str().unwrap();
        for line in fs::read_to_string(&path).unwrap().lines() {
            if let Some(title) = line.strip_prefix("= ") {
                scenarios.push(Scenario {
                    title: format!("{file}: {title}"),
                    lines: Vec::new(),
                });
            } else if !line.is_empty() && !line.starts_with("# ") {
                let scenario = scenarios.last_mut().expect("a title comes first");
                scenario.lines.push(line.to_owned());
            }
        }
    }
    scenarios
}

impl Step {
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let (connection, channel, rest) = match line.split_once(' ') {
            Some((place, rest)) if is_place(place) => {
                let (connection, channel) = place.split_at(1);
                let channel = if channel.is_empty() { "0" } else { channel };
                let channel = channel.parse().map_err(|_| "no channel number")?;
                (connection.chars().next().unwrap_or('A'), channel, rest)
            }
            _ => ('A', 1, line),
        };
        let mut cursor = Cursor::new(rest);
        let mut arguments = Arguments::default();
        while let Some(word) = cursor.word()? {
            match word {
                Word::Plain(word) => arguments.words.push(word),
                Word::Pair(name, value) => arguments.pairs.push((name, value)),
                Word::Table(table) => arguments.table = Some(table),
            }
        }
        if arguments.words.is_empty() {
            return Err("a step needs a verb".to_owned());
        }
        let verb = String::from_utf8_lossy(&arguments.words.remove(0)).into_owned();
        let is_hasty = verb.starts_with('!');
        Ok(Self {
            connection,
            channel,
            verb: verb.trim_start_matches('!').to_owned(),
            is_hasty,
            arguments,
        })
    }

    /// The word at this place as text; empty when there is none.
    pub(crate) fn word(&self, at: usize) -> String {
        let word = self.arguments.words.get(at);
        word.map(|word| String::from_utf8_lossy(word).into_owned())
            .unwrap_or_default()
    }

    /// The value given for a name as text.
    pub(crate) fn pair(&self, name: &str) -> Option<String> {
        let mut pairs = self.arguments.pairs.iter();
        pairs
            .find(|(other, _)| other == name)
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.pair(name).and_then(|value| value.parse().ok())
    }

    pub(crate) fn has(&self, flag: &str) -> bool {
        let mut words = self.arguments.words.iter();
        words.any(|word| word == flag.as_bytes())
    }
}

/// Whether a word is a letter with digits, as in `B2`.
fn is_place(word: &str) -> bool {
    let mut characters = word.chars();
    characters
        .next()
        .is_some_and(|letter| letter.is_ascii_uppercase())
        && characters.all(|digit| digit.is_ascii_digit())
}
