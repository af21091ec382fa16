//! The same scripts against Debian's RabbitMQ and against the engine: clients must see the same frames.
//!
//! What may differ is listed in `allowed.txt`, each entry with its reason; an entry that no longer holds is a failure
//! as well, so that the list only shrinks.

#[cfg(test)]
mod client;
#[cfg(test)]
mod compare;
#[cfg(test)]
mod names;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod run;
#[cfg(test)]
mod script;
#[cfg(test)]
mod server;
#[cfg(test)]
mod spec;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod value;
