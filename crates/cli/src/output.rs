//! Tables for people, JSON and YAML for programs.

use std::io::Write;

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::error::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns
    Table,
    /// The API's own members
    Json,
    /// The same in YAML
    Yaml,
}

/// The members of a value in a form for programs. A table has none of its own: JSON stands in.
pub(crate) fn data<T: Serialize>(format: Format, value: &T) -> String {
    match format {
        Format::Table | Format::Json => {
            serde_json::to_string_pretty(value).expect("answers are plain data and always encode")
        }
        Format::Yaml => {
            let text = serde_yaml_ng::to_string(value);
            let text = text.expect("answers are plain data and always encode");
            text.trim_end().to_owned()
        }
    }
}

/// One line a row below a header line; just the header when there is nothing.
pub(crate) fn rows<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table.add_rows(rows);
    trim(&table)
}

/// One member a line. A value of several lines continues below itself.
pub(crate) fn members(members: Vec<(&str, String)>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in members {
        table.add_row([name, &value]);
    }
    trim(&table)
}

/// Without the cells' outer padding, so that a line starts with its value and ends with it.
fn trim(table: &Table) -> String {
    table
        .lines()
        .map(|line| {
            line.strip_prefix(' ')
                .unwrap_or(&line)
                .trim_end()
                .to_owned()
        })
        .collect::<Vec<_>>()
        .join("\n")
}

pub(crate) fn timestamp(at: chrono::DateTime<chrono::Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(Error::Output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_carry_no_padding() {
        let text = rows(
            ["NAME", "STATE"],
            vec![
                ["orders".to_owned(), "RUNNING".to_owned()],
                ["a".to_owned(), "DELETION_IN_PROGRESS".to_owned()],
            ],
        );
        assert_eq!(
            text,
            "NAME    STATE\norders  RUNNING\na       DELETION_IN_PROGRESS"
        );
    }

    #[test]
    fn nothing_to_list_is_a_header_alone() {
        assert_eq!(rows(["NAME"], Vec::new()), "NAME");
    }

    #[test]
    fn a_value_of_several_lines_stays_in_its_column() {
        let text = members(vec![
            ("id", "b-1".to_owned()),
            ("endpoints", "one\ntwo".to_owned()),
        ]);
        assert_eq!(text, "id         b-1\nendpoints  one\n           two");
    }
}
