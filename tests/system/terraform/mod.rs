//! The real Terraform, or OpenTofu, with the real AWS provider, against real installations.
//!
//! They run where `WARREN_TERRAFORM` names the program, as `.ci/long terraform` does: neither it nor the
//! provider comes from a package registry. Which versions ran is printed. Every change is followed by a
//! plan that must be empty, and by a look at what the API says.

mod activemq;
mod arguments;
mod example;
mod program;
mod reading;
mod refusals;
mod roles;
mod simulated;
mod workspace;
