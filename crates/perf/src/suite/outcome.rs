//! The table that the suite fills.

use std::fmt;

use comfy_table::{Table, presets};
use serde::Serialize;

use super::cases::Case;

/// One case, measured or not.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub name: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    pub must: f64,
    pub stretch: f64,
    /// The least of all rounds.
    pub measured: Option<f64>,
    pub median: Option<f64>,
    /// The relay's least, with the same frames.
    pub relay: Option<f64>,
    /// The least of another broker with the same load.
    pub peer: Option<f64>,
    /// The best of all rounds.
    pub rate_per_s: Option<f64>,
    /// Why it is not measured, or what was wrong.
    pub note: String,
    is_wrong: bool,
}

impl Row {
    pub(super) fn new(case: &Case, is_quick: bool) -> Self {
        Self {
            name: case.name,
            title: case.title(is_quick),
            unit: case.unit,
            must: case.must,
            stretch: case.stretch,
            measured: None,
            median: None,
            relay: None,
            peer: None,
            rate_per_s: None,
            note: String::new(),
            is_wrong: false,
        }
    }

    pub(super) fn fail(&mut self, note: String) {
        self.note = note;
        self.is_wrong = true;
    }

    pub(super) fn is_failed(&self) -> bool {
        self.is_wrong
    }

    fn verdict(&self) -> &'static str {
        match self.measured {
            _ if self.is_failed() => "wrong",
            None => "not served",
            Some(measured) if measured <= self.stretch => "stretch",
            Some(measured) if measured <= self.must => "met",
            Some(_) => "MISSED",
        }
    }

    fn cells(&self) -> [String; 11] {
        let figure = |value: Option<f64>| value.map_or_else(String::new, format_figure);
        let ratio = self
            .measured
            .zip(self.relay)
            .map(|(measured, relay)| measured / relay);
        [
            self.title.to_owned(),
            format!("{} {}", format_figure(self.must), self.unit),
            format_figure(self.stretch),
            figure(self.measured),
            figure(self.median),
            figure(self.relay),
            figure(ratio),
            figure(self.peer),
            self.rate_per_s
                .map_or_else(String::new, |rate| format!("{rate:.0}/s")),
            self.verdict().to_owned(),
            self.note.clone(),
        ]
    }

    /// For who watches.
    pub(super) fn line(&self) -> String {
        let [
            _,
            must,
            _,
            measured,
            median,
            relay,
            _,
            peer,
            rate,
            verdict,
            note,
        ] = self.cells();
        format!(
            "{verdict}: {measured} (median {median}, must {must}), relay {relay}, peer {peer}, {rate} {note}"
        )
    }
}

fn format_figure(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        small if small < 10.0 => 3,
        middle if middle < 1000.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// All rows.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub rows: Vec<Row>,
}

impl Outcome {
    /// Whether every target was measured and met.
    #[must_use]
    pub fn holds(&self) -> bool {
        let is_met =
            |row: &Row| !row.is_wrong && row.measured.is_some_and(|measured| measured <= row.must);
        self.rows.iter().all(is_met)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header([
            "case", "must", "stretch", "measured", "median", "relay", "ratio", "peer", "rate",
            "verdict", "note",
        ]);
        for row in &self.rows {
            table.add_row(row.cells());
        }
        write!(formatter, "{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases::CASES;
    use super::*;

    #[test]
    fn a_case_counts_as_met_only_when_measured_and_right() {
        let mut row = Row::new(&CASES[0], false);
        let holds = |row: &Row| {
            Outcome {
                rows: vec![row.clone()],
            }
            .holds()
        };
        assert_eq!((row.verdict(), holds(&row)), ("not served", false));
        for (measured, verdict, expected) in [
            (0.05, "stretch", true),
            (0.1, "met", true),
            (0.5, "MISSED", false),
        ] {
            row.measured = Some(measured);
            assert_eq!((row.verdict(), holds(&row)), (verdict, expected));
        }
        row.measured = Some(0.05);
        row.fail("lost a message".to_owned());
        assert_eq!((row.verdict(), holds(&row)), ("wrong", false));
    }
}
