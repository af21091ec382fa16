//! What a provisioner may ask while it looks for a place: few questions, each of a cost that does not grow
//! with the fleet.

use std::net::IpAddr;

use futures_util::future::BoxFuture;

use super::Error;
use crate::model::HostId;

/// An address with its AMQPS and its management port.
pub type Place = (IpAddr, u16, u16);

/// The installation as it stands. Answers may be overtaken while the caller thinks: that an address has one
/// node is decided when the place is recorded.
pub trait Inventory: Send + Sync {
    /// The host of `provisioner` with the fewest nodes, of those whose agents were heard of lately and that
    /// stand in none of `zones_avoided`; of equal ones the first by zone, then by id.
    fn emptiest_host<'a>(
        &'a self,
        provisioner: &'a str,
        zones_avoided: &'a [String],
    ) -> BoxFuture<'a, Result<Option<HostId>, Error>>;

    /// The places that nodes have at any of `addresses`.
    fn taken<'a>(&'a self, addresses: &'a [IpAddr]) -> BoxFuture<'a, Result<Vec<Place>, Error>>;
}

#[cfg(test)]
pub(super) mod tests {
    use futures_util::future::ready;
    use parking_lot::Mutex;
    use uuid::Uuid;

    use super::*;

    /// A host of a [`Table`].
    #[derive(Debug, Clone)]
    pub(in crate::provision) struct Row {
        pub(in crate::provision) id: HostId,
        pub(in crate::provision) zone: String,
        pub(in crate::provision) provisioner: String,
        pub(in crate::provision) nodes: i64,
    }

    pub(in crate::provision) fn host(id: u128, zone: &str, nodes: i64, provisioner: &str) -> Row {
        Row {
            id: HostId(Uuid::from_u128(id)),
            zone: zone.to_owned(),
            provisioner: provisioner.to_owned(),
            nodes,
        }
    }

    /// An inventory that looks at everything, and remembers how much it was asked.
    #[derive(Debug, Default)]
    pub(in crate::provision) struct Table {
        pub(in crate::provision) hosts: Vec<Row>,
        pub(in crate::provision) places: Vec<Place>,
        pub(in crate::provision) asked: Mutex<Vec<usize>>,
    }

    impl Inventory for Table {
        fn emptiest_host<'a>(
            &'a self,
            provisioner: &'a str,
            zones_avoided: &'a [String],
        ) -> BoxFuture<'a, Result<Option<HostId>, Error>> {
            let fitting = self.hosts.iter().filter(|host| {
                host.provisioner == provisioner && !zones_avoided.contains(&host.zone)
            });
            let host = fitting.min_by_key(|host| (host.nodes, &host.zone, host.id.0));
            Box::pin(ready(Ok(host.map(|host| host.id))))
        }

        fn taken<'a>(
            &'a self,
            addresses: &'a [IpAddr],
        ) -> BoxFuture<'a, Result<Vec<Place>, Error>> {
            self.asked.lock().push(addresses.len());
            let places = self.places.iter();
            let taken = places.filter(|(address, ..)| addresses.contains(address));
            Box::pin(ready(Ok(taken.copied().collect())))
        }
    }
}
