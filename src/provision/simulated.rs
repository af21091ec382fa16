//! Places on hosts that run no engine, for brokers that no engine serves yet.
//!
//! Only an installation for tests and development has such hosts. Their agents report what nodes
//! would do; the addresses are of a block that no network carries (RFC 1112, section 4), so that
//! nobody takes a simulated endpoint for a real one.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::search::{Row, first_free, start};
use super::{Error, Inventory, Place, PlacementRequest, Progress, Provisioner};
use crate::model::NodeId;
use crate::model::node::Placement;

/// The `provisioner` of hosts that simulate their nodes.
pub const NAME: &str = "simulated";

const ASK_AGAIN: Duration = Duration::from_secs(1);
/// 240.0.0.0/4.
const BLOCK: u32 = 0xf000_0000;
const BLOCK_COUNT: u32 = 1 << 28;
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
    fn place<'a>(
        &'a self,
        token: NodeId,
        request: PlacementRequest,
        inventory: &'a dyn Inventory,
    ) -> BoxFuture<'a, Result<Progress<Placement>, Error>> {
        if request.is_simulated {
            Box::pin(choose(token, request, inventory))
        } else {
            self.real.place(token, request, inventory)
        }
    }

    fn release(&self, token: NodeId) -> BoxFuture<'_, Result<Progress<()>, Error>> {
        // A simulated place is nothing but its record.
        self.real.release(token)
    }
}

fn place(index: u32) -> Place {
    let address = Ipv4Addr::from_bits(BLOCK | index);
    (IpAddr::V4(address), AMQPS_PORT, MANAGEMENT_PORT)
}

/// The host with the fewest nodes in a zone where the broker has none, and an address that follows
/// from the node's id: nodes placed at the same time want different ones.
async fn choose(
    token: NodeId,
    request: PlacementRequest,
    inventory: &dyn Inventory,
) -> Result<Progress<Placement>, Error> {
    let host = inventory.emptiest_host(NAME, &request.zones_taken).await?;
    let Some(host_id) = host else {
        return Ok(Progress::Pending {
            ask_again: ASK_AGAIN,
            reason: "no simulated host in another zone has reported lately".to_owned(),
        });
    };
    let row = Row {
        count: BLOCK_COUNT,
        place,
    };
    let start = start(token, BLOCK_COUNT);
    Ok(match first_free(row, start, inventory, |_| true).await? {
        Some((address, amqps_port, management_port)) => Progress::Ready(Placement {
            host_id,
            address,
            amqps_port,
            management_port,
        }),
        None => Progress::Failed("every simulated address is taken".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::HostId;
    use crate::provision::inventory::tests::{Table, host};

    async fn placed(zones_taken: &[&str], taken: Vec<IpAddr>) -> Option<Placement> {
        let request = PlacementRequest {
            instance_type: "mq.m5.large".to_owned(),
            is_simulated: true,
            zones_taken: zones_taken.iter().map(ToString::to_string).collect(),
        };
        let places = taken
            .into_iter()
            .map(|address| (address, AMQPS_PORT, MANAGEMENT_PORT));
        let inventory = Table {
            hosts: vec![
                host(1, "a", 0, "local"),
                host(2, "a", 3, NAME),
                host(3, "b", 5, NAME),
            ],
            places: places.collect(),
            ..Table::default()
        };
        let token = NodeId(Uuid::from_u128(7));
        match choose(token, request, &inventory).await.unwrap() {
            Progress::Ready(placement) => Some(placement),
            Progress::Pending { .. } | Progress::Failed(_) => None,
        }
    }

    #[tokio::test]
    async fn nodes_of_a_broker_go_to_zones_of_their_own_on_simulated_hosts_alone() {
        let first = placed(&[], Vec::new()).await.unwrap();
        assert_eq!(first.host_id, HostId(Uuid::from_u128(2)));
        assert_eq!(first.address, IpAddr::from([240, 0, 0, 7]));
        let second = placed(&["a"], vec![first.address]).await.unwrap();
        assert_eq!(second.host_id, HostId(Uuid::from_u128(3)));
        assert_eq!(second.address, IpAddr::from([240, 0, 0, 8]));
        assert_eq!(placed(&["a", "b"], Vec::new()).await, None);
    }
}
