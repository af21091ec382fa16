//! Lists that a thread needs for every batch, also of things that borrow from what is gone after it: their memory stays.

use std::cell::Cell;
use std::thread::LocalKey;

/// The memory of one thread's list between two batches. `T` is what the list holds, borrowing from nothing.
pub(crate) type Kept<T> = LocalKey<Cell<Vec<T>>>;

/// The thread's list, empty. Whoever finds it taken gets a new one.
pub(crate) fn take<T>(kept: &'static Kept<T>) -> Vec<T> {
    kept.take()
}

/// Keeps the memory of a list of `U`, which is `T` but for what it borrows from.
pub(crate) fn give<T, U>(kept: &'static Kept<T>, mut list: Vec<U>) {
    list.clear();
    // Collected in place: nothing is left of the list but its memory.
    kept.set(list.into_iter().filter_map(|_| None).collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        static NAMES: Cell<Vec<&'static str>> = const { Cell::new(Vec::new()) };
    }

    #[test]
    fn a_list_comes_back_empty_in_the_same_memory() {
        let name = String::from("gone soon");
        let mut list: Vec<&str> = take(&NAMES);
        list.extend([&*name; 100]);
        let memory = list.as_ptr().addr();
        give(&NAMES, list);
        drop(name);
        let again = take(&NAMES);
        assert!(again.is_empty() && again.capacity() >= 100);
        assert_eq!(again.as_ptr().addr(), memory);
        assert_eq!(take(&NAMES).capacity(), 0);
    }
}
