use std::{ops::Range, time::Duration};

use cache_api::ErrorKind;

use super::Operation;

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// It takes so long (of tokio's time), and then happens.
    Delay(Duration),
    /// It fails, and nothing happened. With [`ErrorKind::Full`] a full disk, with [`ErrorKind::Gone`] a body that was
    /// swept meanwhile, with [`ErrorKind::Unavailable`] a connection lost on the way there.
    Error(ErrorKind),
    /// It happens, and fails nevertheless: a connection lost on the way back. A listing breaks off after its first
    /// entry.
    LostAnswer(ErrorKind),
    /// It never ends, and nothing happened: whoever waits must drop it.
    Hang,
    /// It happens, and never ends.
    HangAfter,
    /// A [`Read`](Operation::Read) returns a frame fewer than it was asked for.
    Short,
    /// What a [`Read`](Operation::Read) returns, and the inline bodies of a [`Lookup`](Operation::Lookup), are cut to
    /// half their bytes.
    CutBody,
    /// The heads of a [`Lookup`](Operation::Lookup) or [`List`](Operation::List) are cut to half their bytes.
    CutHead,
}

impl Fault {
    /// Whether it can go wrong so with that operation. A rule that says so of another does nothing.
    #[must_use]
    pub const fn fits(self, operation: Operation) -> bool {
        match self {
            Self::Short => matches!(operation, Operation::Read),
            Self::CutBody => matches!(operation, Operation::Read | Operation::Lookup),
            Self::CutHead => matches!(operation, Operation::Lookup | Operation::List),
            _ => true,
        }
    }
}

/// One line of a script: these calls of these operations fail so.
///
/// A rule counts the calls that it is about from when it was [injected](super::FaultyStorage::inject). Where several
/// rules meet one call, the first that was injected decides.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a rule does nothing until it is injected"]
pub struct Rule {
    operations: Vec<Operation>,
    fault: Fault,
    calls: Range<u64>,
    frame: Option<u32>,
    seen: u64,
}

impl Rule {
    /// All calls of that operation.
    pub fn on(operation: Operation, fault: Fault) -> Self {
        Self::any(&[operation], fault)
    }

    /// All calls of any of these operations.
    pub fn any(operations: &[Operation], fault: Fault) -> Self {
        Self { operations: operations.to_vec(), fault, calls: 0..u64::MAX, frame: None, seen: 0 }
    }

    /// Only the call of that number, from 0.
    pub fn nth(self, call: u64) -> Self {
        self.calls(call..call.saturating_add(1))
    }

    /// Only the calls of these numbers, from 0.
    pub fn calls(mut self, calls: Range<u64>) -> Self {
        self.calls = calls;
        self
    }

    /// Only the next call.
    pub fn once(self) -> Self {
        self.nth(0)
    }

    /// Of the [`Write`](Operation::Write)s of each body only that of the frame of this number: there its writer breaks.
    pub fn at_frame(mut self, frame: u32) -> Self {
        self.frame = Some(frame);
        self
    }

    /// Counts a call if the rule is about it: the fault, where it is its turn.
    pub(super) fn meet(&mut self, operation: Operation, frame: Option<u32>) -> Option<Fault> {
        let about = self.operations.contains(&operation) && (self.frame.is_none() || self.frame == frame);
        if !about || !self.fault.fits(operation) {
            return None;
        }
        let turn = self.calls.contains(&self.seen);
        self.seen = self.seen.saturating_add(1);
        turn.then_some(self.fault)
    }
}

/// A fault that was injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Injected {
    /// Into what.
    pub operation: Operation,
    /// Into which of all its calls, from 0.
    pub call: u64,
    /// What.
    pub fault: Fault,
}
