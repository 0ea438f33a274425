//! RFC 9111 as pure functions of (options, request, stored, now).
//!
//! Nothing here does I/O, waits, or reads a clock. [`before`] decides what a request gets before the network is
//! asked; [`after`] decides what becomes of the origin's answer, and [`on_error`] of its absence. Each decision
//! carries the [`Reason`]s that led to it, so that nothing is worked out again for display.
//!
//! Settings come in where a response is stored: the first in the order of [`Precedence`] that says how long it is fresh
//! decides, and that is kept with it ([`cache_api::Terms`]). [`Rules`] say it for some URLs.
//!
//! ```text
//! before ──► Serve | ServeEarly | ServeStale | Unsatisfiable answered without waiting for the origin
//!        └─► Revalidate | Fetch | Bypass ──► (network) ──► after    ──► Store | Freshen | Refetch | Pass | ServeStale
//!                                                     └──► on_error ──► ServeStale | Fail
//! ```

mod after;
mod age;
mod before;
mod cache_control;
mod cache_status;
mod conditions;
mod controls;
mod date;
mod decision;
mod early;
mod expiry;
mod fields;
mod form;
mod freshen;
mod freshness;
mod host;
mod invalid;
mod invalidate;
mod options;
mod outcome;
mod part;
mod post;
mod precedence;
mod range;
mod reason;
mod rule;
mod select;
mod serve;
mod settle;
mod slide;
mod stale;
mod store;
mod targeted;
#[cfg(test)]
mod tests;
mod vary;
mod wants;

pub use after::after;
pub use before::before;
pub use cache_control::{CacheControl, Scope};
pub use cache_status::CacheStatus;
pub use controls::{Controls, RequestView, ResponseView, StoredView};
pub use date::{format_date, parse_date};
pub use decision::{Ask, Before, Decision, Forward};
pub use expiry::{Expiry, NoHttpDate};
pub use fields::{end_to_end, is_hop_by_hop};
pub use form::Form;
pub use freshness::{Freshness, Source};
pub use host::names_another_host;
pub use invalid::InvalidSetting;
pub use options::{Fallback, Mode, Options, SetCookie};
pub use outcome::{After, Keep, OnError, Outcome};
pub use part::part_len;
pub use precedence::{ExpiryMode, Precedence, Setting};
pub use range::ByteRange;
pub use reason::{Reason, Reasons};
pub use rule::{Rule, Rules};
pub use serve::{Served, serve, unsatisfiable};
pub use slide::{Sliding, slide};
pub use stale::on_error;
pub use vary::{selectors, variant_digest, variant_id};
