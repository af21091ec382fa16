//! Places on this machine: hosts are agents that run here, addresses are loopback ones.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::{BoxFuture, ready};

use super::range::is_free;
use super::search::{Row, first_free, start};
use super::{Error, Inventory, PlacementRequest, Progress, Provisioner, Range};
use crate::model::NodeId;
use crate::model::node::Placement;

/// The `provisioner` of hosts that this one places nodes on.
pub const NAME: &str = "local";

const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Gives every node a free place of a range. Keeps nothing: a place is taken when the caller has recorded
/// it, and free again when the record is gone.
#[derive(Debug, Clone)]
pub struct Local {
    range: Range,
}

impl Local {
    pub fn new(range: Range) -> Self {
        Self { range }
    }
}

impl Provisioner for Local {
    fn place<'a>(
        &'a self,
        token: NodeId,
        _request: PlacementRequest,
        inventory: &'a dyn Inventory,
    ) -> BoxFuture<'a, Result<Progress<Placement>, Error>> {
        Box::pin(choose(self.range, token, inventory, is_free))
    }

    fn release(&self, _token: NodeId) -> BoxFuture<'_, Result<Progress<()>, Error>> {
        Box::pin(ready(Ok(Progress::Ready(()))))
    }
}

/// The host with the fewest nodes, and a place that is neither recorded nor in use.
async fn choose(
    range: Range,
    token: NodeId,
    inventory: &dyn Inventory,
    is_free: impl Fn(IpAddr, &[u16]) -> bool,
) -> Result<Progress<Placement>, Error> {
    let Some(host_id) = inventory.emptiest_host(NAME, &[]).await? else {
        return Ok(Progress::Pending {
            ask_again: ASK_AGAIN,
            reason: "no host of this machine has reported lately".to_owned(),
        });
    };
    let count = range.count();
    let row = Row {
        count,
        place: |index| range.place(index),
    };
    let start = start(token, count);
    let unused = |(address, amqps, management): &_| is_free(*address, &[*amqps, *management]);
    Ok(match first_free(row, start, inventory, unused).await? {
        Some((address, amqps_port, management_port)) => Progress::Ready(Placement {
            host_id,
            address,
            amqps_port,
            management_port,
        }),
        None => Progress::Failed(format!("no free address is left in {range}")),
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::HostId;
    use crate::provision::inventory::tests::{Row as Host, Table, host};

    fn inventory(hosts: Vec<Host>, taken: &[&str]) -> Table {
        let places = taken
            .iter()
            .map(|address| (address.parse().unwrap(), 5671, 15671));
        Table {
            hosts,
            places: places.collect(),
            ..Table::default()
        }
    }

    fn range() -> Range {
        "127.83.12.0/24".parse().unwrap()
    }

    /// Whose search begins at this place.
    fn token(start: u128) -> NodeId {
        NodeId(Uuid::from_u128(start))
    }

    async fn placed(range: Range, start: u128, inventory: &Table) -> Placement {
        let progress = choose(range, token(start), inventory, |_, _| true).await;
        match progress.unwrap() {
            Progress::Ready(placement) => placement,
            progress @ (Progress::Pending { .. } | Progress::Failed(_)) => panic!("{progress:?}"),
        }
    }

    #[tokio::test]
    async fn nodes_go_to_the_emptiest_host_and_the_next_free_address() {
        let hosts = vec![
            host(1, "a", 2, NAME),
            host(2, "b", 1, NAME),
            host(3, "c", 1, NAME),
        ];
        let inventory = inventory(hosts, &["127.83.12.2", "127.83.12.4"]);
        let placement = placed(range(), 0, &inventory).await;
        assert_eq!(placement.host_id, HostId(Uuid::from_u128(2)));
        assert_eq!(placement.address, "127.83.12.3".parse::<IpAddr>().unwrap());
        assert_eq!(
            (placement.amqps_port, placement.management_port),
            (5671, 15671)
        );
    }

    #[tokio::test]
    async fn nodes_placed_at_once_are_spread_and_the_search_goes_around() {
        let inventory = inventory(vec![host(1, "a", 0, NAME)], &["127.83.12.254"]);
        for (start, address) in [
            (1, "127.83.12.3"),
            (252, "127.83.12.2"),
            (254, "127.83.12.3"),
        ] {
            let placement = placed(range(), start, &inventory).await;
            assert_eq!(placement.address.to_string(), address);
        }
    }

    #[tokio::test]
    async fn an_address_that_a_stranger_listens_on_is_passed_over() {
        let stranger: IpAddr = "127.83.12.2".parse().unwrap();
        let inventory = inventory(vec![host(1, "a", 0, NAME)], &[]);
        let progress = choose(range(), token(0), &inventory, |address, _| {
            address != stranger
        });
        let Progress::Ready(placement) = progress.await.unwrap() else {
            panic!("there is room")
        };
        assert_eq!(placement.address, "127.83.12.3".parse::<IpAddr>().unwrap());
    }

    #[tokio::test]
    async fn ports_are_given_in_pairs_where_addresses_are_scarce() {
        let mut inventory = inventory(vec![host(1, "a", 0, NAME)], &[]);
        let first = ("127.0.0.1".parse().unwrap(), 20_000, 20_001);
        inventory.places.push(first);
        let placement = placed(Range::Ports(20_000), 0, &inventory).await;
        assert_eq!(
            (placement.amqps_port, placement.management_port),
            (20_002, 20_003)
        );
    }

    #[tokio::test]
    async fn without_a_host_there_is_waiting_and_without_an_address_failure() {
        let nobody = inventory(vec![host(1, "a", 0, "ec2")], &[]);
        let progress = choose(range(), token(0), &nobody, |_, _| true).await;
        assert!(matches!(progress.unwrap(), Progress::Pending { .. }));
        let full = inventory(vec![host(1, "a", 0, NAME)], &[]);
        let progress = choose(range(), token(0), &full, |_, _| false).await;
        assert!(matches!(progress.unwrap(), Progress::Failed(_)));
    }
}
