//! Places on hosts that run no engine, for brokers that no engine serves yet.
//!
//! Only an installation for tests and development has such hosts. Their agents report what nodes
//! would do; the addresses are of a block that no network carries (RFC 1112, section 4), so that
//! nobody takes a simulated endpoint for a real one.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use futures_util::future::{BoxFuture, ready};

use super::{Error, HostLoad, PlacementRequest, Progress, Provisioner};
use crate::model::NodeId;
use crate::model::node::Placement;

/// The `provisioner` of hosts that simulate their nodes.
pub const NAME: &str = "simulated";

const ASK_AGAIN: Duration = Duration::from_secs(1);
/// 240.0.0.0/4.
const BLOCK: u32 = 0xf000_0000;
const AMQPS_PORT: u16 = 5671;
const MANAGEMENT_PORT: u16 = 443;

/// Gives nodes that have to be simulated their places, and leaves all others to `real`.
#[derive(Debug, Clone)]
pub struct Simulated<P> {
    real: P,
}

impl<P> Simulated<P> {
    pub fn beside(real: P) -> Self {
        Self { real }
    }
}

impl<P: Provisioner> Provisioner for Simulated<P> {
    fn place(
        &self,
        token: NodeId,
        request: PlacementRequest,
    ) -> BoxFuture<'_, Result<Progress<Placement>, Error>> {
        if request.is_simulated {
            Box::pin(ready(Ok(choose(token, &request))))
        } else {
            self.real.place(token, request)
        }
    }

    fn release(&self, token: NodeId) -> BoxFuture<'_, Result<Progress<()>, Error>> {
        // A simulated place is nothing but its record.
        self.real.release(token)
    }
}

/// The host with the fewest nodes in a zone where the broker has none, and an address that follows
/// from the node's id: nodes placed at the same time want different ones.
fn choose(token: NodeId, request: &PlacementRequest) -> Progress<Placement> {
    let elsewhere =
        |host: &&HostLoad| host.provisioner == NAME && !request.zones_taken.contains(&host.zone);
    let Some(host) = request
        .hosts
        .iter()
        .filter(elsewhere)
        .min_by_key(|host| (host.nodes, &host.zone, host.id.0))
    else {
        return Progress::Pending {
            ask_again: ASK_AGAIN,
            reason: "no simulated host in another zone has reported lately".to_owned(),
        };
    };
    let taken: HashSet<IpAddr> = request.taken.iter().map(|(address, ..)| *address).collect();
    let [.., a, b, c, d] = *token.0.as_bytes();
    let first = u32::from_be_bytes([a, b, c, d]);
    let address = |step: u32| IpAddr::V4(Ipv4Addr::from_bits(BLOCK | first.wrapping_add(step)));
    // The block is far larger than the list.
    let free = (0..=u32::MAX)
        .map(address)
        .find(|address| !taken.contains(address));
    match free {
        Some(address) => Progress::Ready(Placement {
            host_id: host.id,
            address,
            amqps_port: AMQPS_PORT,
            management_port: MANAGEMENT_PORT,
        }),
        None => Progress::Failed("every simulated address is taken".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::HostId;

    fn host(id: u128, zone: &str, nodes: i64, provisioner: &str) -> HostLoad {
        HostLoad {
            id: HostId(Uuid::from_u128(id)),
            zone: zone.to_owned(),
            provisioner: provisioner.to_owned(),
            nodes,
        }
    }

    fn request(zones_taken: &[&str], taken: Vec<IpAddr>) -> PlacementRequest {
        PlacementRequest {
            instance_type: "mq.m5.large".to_owned(),
            is_simulated: true,
            zones_taken: zones_taken.iter().map(ToString::to_string).collect(),
            hosts: vec![
                host(1, "a", 0, "local"),
                host(2, "a", 3, NAME),
                host(3, "b", 5, NAME),
            ],
            taken: taken
                .into_iter()
                .map(|address| (address, AMQPS_PORT, MANAGEMENT_PORT))
                .collect(),
        }
    }

    fn placed(request: &PlacementRequest) -> Option<Placement> {
        match choose(NodeId(Uuid::from_u128(7)), request) {
            Progress::Ready(placement) => Some(placement),
            Progress::Pending { .. } | Progress::Failed(_) => None,
        }
    }

    #[test]
    fn nodes_of_a_broker_go_to_zones_of_their_own_on_simulated_hosts_alone() {
        let first = placed(&request(&[], Vec::new())).unwrap();
        assert_eq!(first.host_id, HostId(Uuid::from_u128(2)));
        assert_eq!(first.address, IpAddr::from([240, 0, 0, 7]));
        let second = placed(&request(&["a"], vec![first.address])).unwrap();
        assert_eq!(second.host_id, HostId(Uuid::from_u128(3)));
        assert_eq!(second.address, IpAddr::from([240, 0, 0, 8]));
        assert_eq!(placed(&request(&["a", "b"], Vec::new())), None);
    }
}
