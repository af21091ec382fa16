//! Everything together: real processes, real clients, real crashes.
//!
//! [`tree`] starts `warren dev`, [`installation`] the roles apart; the files below them hold the
//! tests. What clients see is written in Python, in `tests/python`.

mod balancer;
mod certificates;
mod installation;
mod patience;
mod releases;
mod remote;
mod tree;

mod accounts;
mod api_tls;
mod chaos;
mod clients;
mod command_line;
mod crash_points;
mod durability;
mod engine;
mod examples;
mod lifecycle;
mod metrics;
mod one_machine;
mod readme;
mod restore;
mod roles_apart;
mod rolling;
mod scale;
mod settings;
mod terraform;
mod traces;
