use cache_api::ErrorKind;

use super::{Fault, Operation};

/// Faults by chance, the same each time: what goes wrong with the nth call of an operation depends on the seed, the
/// operation and n alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "chance does nothing until it is given to a storage"]
pub struct Seeded {
    seed: u64,
    per_mille: u16,
    of: Vec<(Operation, u16)>,
    faults: Vec<Fault>,
}

impl Seeded {
    /// One call in ten fails: with an error, a lost answer, or what it returns torn. Nothing waits or hangs.
    pub fn new(seed: u64) -> Self {
        let faults = vec![
            Fault::Error(ErrorKind::Unavailable),
            Fault::LostAnswer(ErrorKind::Timeout),
            Fault::LostAnswer(ErrorKind::Unavailable),
            Fault::Short,
            Fault::CutBody,
            Fault::CutHead,
        ];
        Self { seed, per_mille: 100, of: Vec::new(), faults }
    }

    /// So many calls in 1,000 fail.
    pub fn per_mille(mut self, per_mille: u16) -> Self {
        self.per_mille = per_mille;
        self
    }

    /// So many calls in 1,000 of that operation.
    pub fn of(mut self, operation: Operation, per_mille: u16) -> Self {
        self.of.push((operation, per_mille));
        self
    }

    /// With this fault beside the others.
    pub fn and(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// With these faults; one that does not [fit](Fault::fits) an operation leaves it alone.
    pub fn faults(mut self, faults: &[Fault]) -> Self {
        self.faults = faults.to_vec();
        self
    }

    /// What goes wrong with that call of the operation, if anything.
    pub(super) fn decide(&self, operation: Operation, call: u64) -> Option<Fault> {
        let place = Operation::ALL.iter().position(|known| *known == operation)?;
        let mut dice = mix(self.seed ^ mix(place as u64) ^ mix(call).rotate_left(17));
        let own = self.of.iter().rev().find(|(of, _)| *of == operation);
        let per_mille = own.map_or(self.per_mille, |(_, per_mille)| *per_mille);
        if dice % 1000 >= u64::from(per_mille) {
            return None;
        }
        dice = mix(dice);
        let mut fit = self.faults.iter().filter(|fault| fault.fits(operation));
        let count = fit.clone().count() as u64;
        let chosen = usize::try_from(dice.checked_rem(count)?).ok()?;
        fit.nth(chosen).copied()
    }
}

/// The output function of SplitMix64: each bit of the input changes half of those of the output.
fn mix(mut state: u64) -> u64 {
    state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(seeded: &Seeded, operation: Operation) -> Vec<Option<Fault>> {
        (0..10_000).map(|call| seeded.decide(operation, call)).collect()
    }

    #[test]
    fn a_seed_says_it_all() {
        for operation in [Operation::Commit, Operation::Read] {
            assert_eq!(first(&Seeded::new(7), operation), first(&Seeded::new(7), operation));
            assert_ne!(first(&Seeded::new(7), operation), first(&Seeded::new(8), operation));
        }
        assert_ne!(first(&Seeded::new(7), Operation::Commit), first(&Seeded::new(7), Operation::Remove));
    }

    #[test]
    fn as_often_as_told() {
        let often = |seeded: &Seeded, operation| first(seeded, operation).iter().flatten().count();
        let seeded = Seeded::new(1).per_mille(250).of(Operation::Commit, 0).of(Operation::Read, 1000);
        assert!((2300..2700).contains(&often(&seeded, Operation::Lookup)));
        assert_eq!(often(&seeded, Operation::Commit), 0);
        assert_eq!(often(&seeded, Operation::Read), 10_000);
    }

    #[test]
    fn each_fault_where_it_fits() {
        let found = first(&Seeded::new(1).per_mille(1000), Operation::Read);
        assert!(found.contains(&Some(Fault::Short)) && found.contains(&Some(Fault::CutBody)));
        let only_short = Seeded::new(1).per_mille(1000).faults(&[Fault::Short]);
        assert_eq!(first(&only_short, Operation::Commit).iter().flatten().count(), 0);
    }
}
