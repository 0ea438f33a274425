//! The cases, a file a group.

use crate::case::Case;

mod contract;
mod round_trip;

const GROUPS: &[&[Case]] = &[contract::CASES, round_trip::CASES];

/// All cases in the order of their groups.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    GROUPS.iter().copied().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn names_are_unique() {
        let mut seen = HashSet::new();
        for case in super::all() {
            assert!(seen.insert((case.group, case.name)), "{}::{} twice", case.group, case.name);
        }
    }
}
