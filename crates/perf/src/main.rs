//! The tool as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use warren_perf::command::Command;

fn main() -> ExitCode {
    match Command::parse().verb.run(&[]) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("warren-perf: {error}");
            ExitCode::FAILURE
        }
    }
}
