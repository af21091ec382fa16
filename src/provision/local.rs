//! Places on this machine: hosts are agents that run here, addresses are loopback ones.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::{BoxFuture, ready};

use super::range::is_free;
use super::{Error, HostLoad, PlacementRequest, Progress, Provisioner, Range};
use crate::model::NodeId;
use crate::model::node::Placement;

/// The `provisioner` of hosts that this one places nodes on.
pub const NAME: &str = "local";

const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Nodes that are placed at the same time seldom want the same place of so many.
const SPREAD: usize = 64;

/// Gives every node a place of a range that is among the first free ones. Keeps nothing: a place is taken when the
/// caller has recorded it, and free again when the record is gone.
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
    fn place(
        &self,
        token: NodeId,
        request: PlacementRequest,
    ) -> BoxFuture<'_, Result<Progress<Placement>, Error>> {
        let skipped = usize::from(token.0.as_bytes()[15]) % SPREAD;
        Box::pin(ready(Ok(choose(self.range, &request, skipped, is_free))))
    }

    fn release(&self, _token: NodeId) -> BoxFuture<'_, Result<Progress<()>, Error>> {
        Box::pin(ready(Ok(Progress::Ready(()))))
    }
}

/// The host with the fewest nodes, and a place that is neither recorded nor in use: the first after
/// `skipped` of them, or the last there is.
fn choose(
    range: Range,
    request: &PlacementRequest,
    skipped: usize,
    is_free: impl Fn(IpAddr, &[u16]) -> bool,
) -> Progress<Placement> {
    let local = request.hosts.iter().filter(|host| host.provisioner == NAME);
    let Some(host) = local.min_by_key(|host| spread(host)) else {
        return Progress::Pending {
            ask_again: ASK_AGAIN,
            reason: "no host of this machine has reported lately".to_owned(),
        };
    };
    let taken: HashSet<(IpAddr, u16)> = request
        .taken
        .iter()
        .flat_map(|(address, amqps, management)| [(*address, *amqps), (*address, *management)])
        .collect();
    let unrecorded = range.places().filter(|(address, amqps, management)| {
        !taken.contains(&(*address, *amqps)) && !taken.contains(&(*address, *management))
    });
    let free =
        unrecorded.filter(|(address, amqps, management)| is_free(*address, &[*amqps, *management]));
    let place = free.take(skipped + 1).last();
    match place {
        Some((address, amqps_port, management_port)) => Progress::Ready(Placement {
            host_id: host.id,
            address,
            amqps_port,
            management_port,
        }),
        None => Progress::Failed(format!("no free address is left in {range}")),
    }
}

fn spread(host: &HostLoad) -> (i64, &str, uuid::Uuid) {
    (host.nodes, &host.zone, host.id.0)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::HostId;

    fn host(id: u128, zone: &str, nodes: i64) -> HostLoad {
        HostLoad {
            id: HostId(Uuid::from_u128(id)),
            zone: zone.to_owned(),
            provisioner: NAME.to_owned(),
            nodes,
        }
    }

    fn request(hosts: Vec<HostLoad>, taken: &[&str]) -> PlacementRequest {
        let taken = taken
            .iter()
            .map(|address| (address.parse().unwrap(), 5671, 15671))
            .collect();
        PlacementRequest {
            instance_type: "mq.m5.large".to_owned(),
            is_simulated: false,
            zones_taken: Vec::new(),
            hosts,
            taken,
        }
    }

    fn range() -> Range {
        "127.83.12.0/24".parse().unwrap()
    }

    fn placed(progress: Progress<Placement>) -> Placement {
        match progress {
            Progress::Ready(placement) => placement,
            Progress::Pending { .. } | Progress::Failed(_) => panic!("{progress:?}"),
        }
    }

    #[test]
    fn nodes_go_to_the_emptiest_host_and_the_next_free_address() {
        let hosts = vec![host(1, "a", 2), host(2, "b", 1), host(3, "c", 1)];
        let request = request(hosts, &["127.83.12.2", "127.83.12.4"]);
        let placement = placed(choose(range(), &request, 0, |_, _| true));
        assert_eq!(placement.host_id, HostId(Uuid::from_u128(2)));
        assert_eq!(placement.address, "127.83.12.3".parse::<IpAddr>().unwrap());
        assert_eq!(
            (placement.amqps_port, placement.management_port),
            (5671, 15671)
        );
    }

    #[test]
    fn nodes_placed_at_once_are_spread_while_there_is_room() {
        let request = request(vec![host(1, "a", 0)], &["127.83.12.3"]);
        let last = |skipped| {
            let placement = placed(choose(range(), &request, skipped, |_, _| true));
            placement.address.to_string()
        };
        assert_eq!(last(1), "127.83.12.4");
        assert_eq!(last(1_000), "127.83.12.254", "the last is as good");
    }

    #[test]
    fn an_address_that_a_stranger_listens_on_is_passed_over() {
        let stranger: IpAddr = "127.83.12.2".parse().unwrap();
        let request = request(vec![host(1, "a", 0)], &[]);
        let placement = placed(choose(range(), &request, 0, |address, _| {
            address != stranger
        }));
        assert_eq!(placement.address, "127.83.12.3".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn ports_are_given_in_pairs_where_addresses_are_scarce() {
        let mut request = request(vec![host(1, "a", 0)], &[]);
        request
            .taken
            .push(("127.0.0.1".parse().unwrap(), 20_000, 20_001));
        let placement = placed(choose(Range::Ports(20_000), &request, 0, |_, _| true));
        assert_eq!(
            (placement.amqps_port, placement.management_port),
            (20_002, 20_003)
        );
    }

    #[test]
    fn without_a_host_there_is_waiting_and_without_an_address_failure() {
        let mut stranger = host(1, "a", 0);
        stranger.provisioner = "ec2".to_owned();
        let nobody = request(vec![stranger], &[]);
        assert!(matches!(
            choose(range(), &nobody, 0, |_, _| true),
            Progress::Pending { .. }
        ));
        let full = request(vec![host(1, "a", 0)], &[]);
        assert!(matches!(
            choose(range(), &full, 0, |_, _| false),
            Progress::Failed(_)
        ));
    }
}
