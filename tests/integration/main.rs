//! The control plane over HTTP with a real Postgres: one file per resource or property. Every
//! answer is held against the service model that clients are generated from.

mod endpoint;
mod fleet;
mod principals;
mod server;
mod settings;
mod shapes;
mod signer;

mod access;
mod access_commands;
mod activemq;
mod agents;
mod audit;
mod brokers;
mod catalogue;
mod configurations;
mod contract;
mod db;
mod generated;
mod groups;
mod idempotency;
mod isolation;
mod job_admin;
mod jobs;
mod maintenance;
mod parity;
mod quotas;
mod replication;
mod rules;
mod sessions;
mod signatures;
mod simulated_hosts;
mod tags;
mod terraform;
mod updates;
mod upgrades;
mod users;
mod validation;
mod workflows;
