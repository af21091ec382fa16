//! Looks for a free place: from a point that each node has for itself, so that nodes placed at the same
//! time seldom want the same one, and around the end.
//!
//! Asks for places in groups that grow. While a good part of the range is free the first group has one,
//! however many are taken; only a range that is full is read to the end.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use super::{Error, Inventory, Place};
use crate::model::NodeId;

const GROUP: u32 = 64;
const GROUP_MAX: u32 = 4_096;

/// Where places come from: a row of `count` of them.
pub(super) struct Row<P> {
    pub(super) count: u32,
    pub(super) place: P,
}

/// Where a node's search begins, in a row of `count` places.
pub(super) fn start(token: NodeId, count: u32) -> u32 {
    let [.., a, b, c, d] = *token.0.as_bytes();
    u32::from_be_bytes([a, b, c, d])
        .checked_rem(count)
        .unwrap_or(0)
}

/// The first place from `start` on that no node has and `is_free` finds free; `None` when there is none.
pub(super) async fn first_free(
    row: Row<impl Fn(u32) -> Place>,
    start: u32,
    inventory: &dyn Inventory,
    is_free: impl Fn(&Place) -> bool,
) -> Result<Option<Place>, Error> {
    let (mut passed, mut group) = (0, GROUP);
    while passed < row.count {
        let next = row.count.min(passed.saturating_add(group));
        let index = |offset: u32| (u64::from(start) + u64::from(offset)) % u64::from(row.count);
        let places: Vec<Place> = (passed..next)
            .filter_map(|offset| u32::try_from(index(offset)).ok())
            .map(&row.place)
            .collect();
        let addresses: BTreeSet<IpAddr> = places.iter().map(|(address, ..)| *address).collect();
        let addresses: Vec<IpAddr> = addresses.into_iter().collect();
        let taken = inventory.taken(&addresses).await?;
        let taken: HashSet<(IpAddr, u16)> = taken
            .into_iter()
            .flat_map(|(address, amqps, management)| [(address, amqps), (address, management)])
            .collect();
        let unrecorded = places.into_iter().filter(|(address, amqps, management)| {
            !taken.contains(&(*address, *amqps)) && !taken.contains(&(*address, *management))
        });
        if let Some(place) = { unrecorded }.find(|place| is_free(place)) {
            return Ok(Some(place));
        }
        (passed, group) = (next, GROUP_MAX.min(group * 2));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::provision::inventory::tests::Table;

    fn place(index: u32) -> Place {
        let address = Ipv4Addr::from_bits(0x7f40_0000 + index);
        (IpAddr::V4(address), 5671, 15671)
    }

    fn pair(index: u32) -> Place {
        let port = u16::try_from(20_000 + index * 2).unwrap();
        (IpAddr::V4(Ipv4Addr::LOCALHOST), port, port + 1)
    }

    /// Reads everything there is.
    fn naive(
        row: &Row<fn(u32) -> Place>,
        start: u32,
        taken: &[Place],
        is_free: impl Fn(&Place) -> bool,
    ) -> Option<Place> {
        let meets = |one: &Place, other: &Place| {
            one.0 == other.0
                && [one.1, one.2]
                    .iter()
                    .any(|p| [other.1, other.2].contains(p))
        };
        (start..row.count)
            .chain(0..start)
            .map(row.place)
            .find(|place| !taken.iter().any(|other| meets(place, other)) && is_free(place))
    }

    proptest! {
        #[test]
        fn the_place_is_the_one_that_reading_everything_finds(
            places in prop_oneof![Just(place as fn(u32) -> Place), Just(pair as fn(u32) -> Place)],
            count in 1_u32..400,
            from in 0_u32..400,
            taken in prop::collection::vec(0_u32..400, 0..500),
            listened in prop::collection::hash_set(0_u32..400, 0..40),
        ) {
            let row = || Row { count, place: places };
            let taken: Vec<Place> = taken.into_iter().map(places).collect();
            let strangers: HashSet<Place> = listened.into_iter().map(places).collect();
            let inventory = Table { places: taken.clone(), ..Table::default() };
            let start = from % count;
            let is_free = |place: &Place| !strangers.contains(place);
            let found = futures_util::FutureExt::now_or_never(
                first_free(row(), start, &inventory, is_free),
            );
            let expected = naive(&row(), start, &taken, is_free);
            prop_assert_eq!(found.unwrap().unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn what_is_read_does_not_grow_with_the_fleet() {
        const COUNT: u32 = 65_533;
        for nodes in [100, 1_000, 10_000] {
            // As they lie after as many searches of this kind: anywhere.
            let spread =
                (0..nodes).map(|node: u32| place(node.wrapping_mul(2_654_435_761) % COUNT));
            let inventory = Table {
                places: spread.collect(),
                ..Table::default()
            };
            for turn in 0..50 {
                let row = Row {
                    count: COUNT,
                    place,
                };
                let found = first_free(row, turn * 1_009, &inventory, |_| true).await;
                assert!(found.unwrap().is_some());
            }
            let asked = inventory.asked.lock();
            assert_eq!(asked.iter().sum::<usize>(), 50 * 64, "{nodes} nodes");
        }
    }
}
