//! How far the log got, and how far it must get before something counts as durable.

/// What makes something durable, the stricter one first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Synced to the volume: survives a power cut.
    #[default]
    Sync,
    /// Written to the operating system: survives the process, not a power cut.
    Write,
}

impl Durability {
    /// Its name in arguments, policies and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Write => "write",
        }
    }

    /// The level of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sync, Self::Write]
            .into_iter()
            .find(|level| level.name() == name)
    }

    /// What keeps the promises of both.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        if self == Self::Sync { self } else { other }
    }
}

/// Entries of the log of this process: all up to this one. Grows by one per entry, starts at zero at open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point(pub u64);

/// A point in the log, and what makes everything up to it durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    point: Point,
    level: Durability,
}

impl Position {
    /// Everything up to a point.
    pub fn new(point: Point, level: Durability) -> Self {
        Self { point, level }
    }

    /// The last entry.
    pub fn point(self) -> Point {
        self.point
    }

    /// What makes it durable.
    pub fn level(self) -> Durability {
        self.level
    }

    /// The same point, durable by another level.
    #[must_use]
    pub fn at(self, level: Durability) -> Self {
        Self { level, ..self }
    }

    /// What is durable only when both are: the later point by the stricter level, which may ask for more than the two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            point: self.point.max(other.point),
            level: self.level.stricter(other.level),
        }
    }

    /// As [`Position::and`] of those that are there.
    pub fn of_both(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(one.and(other)),
            (one, other) => one.or(other),
        }
    }
}

/// How far the log got, or must get: up to where it is written, and up to where it is synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Up to here everything is written to the operating system.
    pub written: Point,
    /// Up to here everything is synced to the volume.
    pub synced: Point,
}

impl Progress {
    /// Whether a position is durable.
    pub fn covers(self, position: Position) -> bool {
        self.reached(position.level) >= position.point
    }

    /// Whether whoever waits for `needed` need not wait any more.
    pub fn includes(self, needed: Self) -> bool {
        self.written >= needed.written && self.synced >= needed.synced
    }

    /// The least progress that includes this and covers a position.
    #[must_use]
    pub fn raised_to(mut self, position: Position) -> Self {
        let mark = match position.level {
            Durability::Sync => &mut self.synced,
            Durability::Write => &mut self.written,
        };
        *mark = (*mark).max(position.point);
        self
    }

    fn reached(self, level: Durability) -> Point {
        match level {
            Durability::Sync => self.synced,
            Durability::Write => self.written,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(point: u64, level: Durability) -> Position {
        Position::new(Point(point), level)
    }

    #[test]
    fn each_level_is_covered_by_its_own_mark() {
        let progress = Progress {
            written: Point(7),
            synced: Point(5),
        };
        for (point, by_sync, by_write) in [(5, true, true), (6, false, true), (8, false, false)] {
            assert_eq!(progress.covers(position(point, Durability::Sync)), by_sync);
            assert_eq!(
                progress.covers(position(point, Durability::Write)),
                by_write
            );
        }
        let needed = Progress::default()
            .raised_to(position(5, Durability::Sync))
            .raised_to(position(7, Durability::Write));
        assert_eq!(needed, progress, "no more is needed than each asks for");
        assert!(progress.includes(needed));
        assert!(!progress.includes(needed.raised_to(position(6, Durability::Sync))));
        assert!(!progress.includes(needed.raised_to(position(8, Durability::Write))));
    }

    #[test]
    fn two_positions_become_the_later_one_by_the_stricter_level() {
        let (sync, write) = (
            position(5, Durability::Sync),
            position(7, Durability::Write),
        );
        let both = position(7, Durability::Sync);
        assert_eq!(sync.and(write), both);
        assert_eq!(write.and(sync), both);
        assert_eq!(Position::of_both(None, Some(write)), Some(write));
        assert_eq!(Position::of_both(None, None), None);
    }
}
