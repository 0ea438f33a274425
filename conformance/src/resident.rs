//! How much memory this process has, as Linux says it.

use crate::failure::{Failure, Outcome};

const STATUS: &str = "/proc/self/status";

/// Whether the system says it.
pub(crate) fn is_known() -> bool {
    peak().is_ok()
}

/// What is resident now, in bytes.
pub(crate) fn now() -> Outcome<u64> {
    field("VmRSS:")
}

/// The most that was resident since the process began, or since [`forget_peak`].
pub(crate) fn peak() -> Outcome<u64> {
    field("VmHWM:")
}

/// Lets the peak begin anew, where the system allows it.
pub(crate) fn forget_peak() {
    // Else it is that of all that ran before: more than it should be, never less.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// What is mapped, in bytes: room that was allocated counts before it is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapped {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

/// What is mapped now, and was at most.
pub(crate) fn mapped() -> Outcome<Mapped> {
    Ok(Mapped { now: field("VmSize:")?, peak: field("VmPeak:")? })
}

fn field(name: &str) -> Outcome<u64> {
    let status = std::fs::read_to_string(STATUS).map_err(|e| Failure::new(format!("{STATUS}: {e}")))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse().ok());
    let kib: u64 = kib.ok_or_else(|| Failure::new(format!("{STATUS} has no {name}")))?;
    Ok(kib.saturating_mul(1024))
}
