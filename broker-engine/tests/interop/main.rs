//! The engine as clients meet it: lapin, and a bare socket where the exact frames matter.

#[cfg(test)]
mod alarms;
#[cfg(test)]
mod api;
#[cfg(test)]
mod books;
#[cfg(test)]
mod churn;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod external;
#[cfg(test)]
mod features;
#[cfg(test)]
mod full_volume;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod governance;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod lavinmq;
mod management;
#[cfg(test)]
mod patience;
#[cfg(test)]
mod profiles;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod statistics;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod volume;
