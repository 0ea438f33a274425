//! The cases, a file a group.

use crate::case::Case;

mod bodies;
mod cancellation;
mod contract;
mod events;
mod expiry;
mod garbage;
mod heads;
mod hostile;
mod isolation;
mod leases;
mod listing;
mod many;
mod memory;
mod outage;
mod parity;
mod persistence;
mod races;
mod redaction;
mod round_trip;
mod secrecy;
mod sweep;
mod tags;
mod touch;
mod two_handles;
mod variants;
mod versions;
mod writers;

const GROUPS: &[&[Case]] = &[
    contract::CASES,
    round_trip::CASES,
    heads::CASES,
    variants::CASES,
    versions::CASES,
    writers::CASES,
    bodies::CASES,
    cancellation::CASES,
    races::CASES,
    expiry::CASES,
    isolation::CASES,
    hostile::CASES,
    listing::CASES,
    many::CASES,
    tags::CASES,
    leases::CASES,
    touch::CASES,
    sweep::CASES,
    parity::CASES,
    garbage::CASES,
    secrecy::CASES,
    redaction::CASES,
    persistence::CASES,
    two_handles::CASES,
    memory::CASES,
    outage::CASES,
    events::CASES,
];

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
