//! A commit in one round trip.
//!
//! It needs no look at the purges where a variant that the ticket saw, and that is there unchanged, has all of the
//! entry's tags: that one was in their indexes before the ticket was issued, so a purge since would have found it, and
//! taken it or moved the resource's generation. DynamoDB tests that, together with all that the rules of
//! [`Record`](cache_api::Record) ask; where any of it does not hold, the commit is decided thoroughly.

use aws_sdk_dynamodb::types::AttributeValue;
use cache_api::{Body, Change, Committed, Entry, INLINE_TOTAL, Result, Variant, Version};

use crate::{
    attribute::{binary, duration_millis, millis, number, whole},
    commit::{Attempt, FOREVER, inline_total},
    purges::Known,
    row::{Form, Kept, RECORD_MAX, Row, WITHIN_MAX},
    schema::{Expression, variant_name},
    storage::Inner,
    write::{Effects, LetGo, RecordWrite, What, Wrote},
};

/// Beyond that many variants the record is read, so that the oldest can go.
const VARIANTS_MAX: usize = 32;

/// What became of it.
pub(crate) enum Fast {
    NotTried,
    Decided(Committed),
    /// The record is another than the ticket saw.
    Lost(Row),
}

pub(crate) async fn attempt(attempt: &Attempt<'_>) -> Result<Fast> {
    let Some((record, effects, committed)) = prepare(attempt).await? else { return Ok(Fast::NotTried) };
    Ok(match attempt.inner.write("commit", &attempt.entry.key, record, effects).await? {
        Wrote::Done => Fast::Decided(committed),
        Wrote::BodyGone => Fast::Decided(attempt.body_gone().await?),
        Wrote::Lost(None) => Fast::NotTried,
        Wrote::Lost(item) => {
            let row = Row::read(item);
            // It came through after all, and the answer was lost.
            if row.stamp.as_ref() == Some(&attempt.stamp) {
                Fast::Decided(committed)
            } else {
                Fast::Lost(row)
            }
        }
    })
}

async fn prepare(attempt: &Attempt<'_>) -> Result<Option<(RecordWrite, Effects, Committed)>> {
    let Attempt { inner, ticket, entry, change, now, .. } = attempt;
    if Known::is_untidy(&ticket.epoch()) {
        return Ok(None);
    }
    let seen = ticket.variants();
    let own = seen.iter().find(|v| v.id == entry.variant);
    let carries = |v: &&Variant| entry.tags.iter().all(|tag| v.tags.contains(tag));
    let Some(witness) = own.filter(carries).or_else(|| seen.iter().find(carries)) else { return Ok(None) };
    let (version, limit) = match (change, own) {
        (Change::Keep(version), Some(own)) if own.version == *version => {
            (Version { head: version.head.saturating_add(1), ..*version }, own.limit)
        }
        (Change::Keep(_), _) => return Ok(None),
        (Change::Put(body), Some(own)) if own.version.body == body.id() => return Ok(None),
        (Change::Put(Body::Inline(body)), _) => {
            let others = seen.iter().filter(|v| v.id != entry.variant).map(|v| &v.body);
            if inline_total(others).saturating_add(body.len) > INLINE_TOTAL as u64 {
                return Ok(None);
            }
            (Version { body: body.id, head: 0 }, whole(inner.limits.retention_from(*now)))
        }
        (Change::Put(Body::Stored(body)), _) => (Version { body: body.id, head: 0 }, body.limit),
    };
    let dead_at = whole(entry.dead_at.min(limit));
    if seen.len() > VARIANTS_MAX || dead_at <= *now || known_size(seen, entry).await? > RECORD_MAX {
        return Ok(None);
    }
    let dead = millis(dead_at);
    let is_own = own.is_some_and(|own| own.id == witness.id);

    let mut write = Draft::new(attempt);
    write.name("#v", variant_name(&entry.variant));
    let place = if is_own { "#v" } else { "#w" };
    if !is_own {
        write.name("#w", variant_name(&witness.id));
    }
    write.condition(format_args!("{place}.n = :wn AND {place}.q = :wq AND {place}.k >= :dead"));
    write.value(":wn", binary(*witness.version.body.as_bytes()));
    write.value(":wq", number(u64::from(witness.version.head)));
    write.value(":dead", number(dead));
    let mut effects = Effects::default();
    match (change, own) {
        (Change::Keep(before), _) => {
            write.keep(before, is_own, *now);
            write.head(entry, version).await?;
        }
        (Change::Put(body), own) => {
            let variant = Variant::new(entry.clone(), body.clone(), 0, limit);
            let form = attempt.form();
            let body_until = if form == Form::Beside { attempt.register_until() } else { FOREVER };
            let new = Kept { variant, form, filled: true, registered_until: dead, body_until };
            attempt.bring(&new, &mut effects);
            match own {
                Some(own) => {
                    write.replace(&new, own, is_own).await?;
                    effects.let_go.push(let_go(inner, own, *now).await?);
                }
                None => {
                    write.condition("attribute_not_exists(#v)");
                    write.set("#v = :v");
                    write.value(":v", AttributeValue::M(new.attributes().await?));
                }
            }
        }
    }
    Ok(Some((write.done(), effects, Committed::Stored { version, dead_at })))
}

/// About how large the record is with the entry, and with bodies that lie in it.
async fn known_size(seen: &[Variant], entry: &Entry) -> Result<usize> {
    let mut size = entry.head.bytes().await?.len() + 16 * entry.tags.len();
    for variant in seen {
        size += variant.head.bytes().await?.len() + 16 * variant.tags.len();
    }
    Ok(size + (seen.len() + 1) * (WITHIN_MAX + 512))
}

/// What becomes of a body that is replaced. Where an inline one lies is told by its encoded length.
async fn let_go(inner: &Inner, own: &Variant, now: std::time::SystemTime) -> Result<LetGo> {
    let form = match &own.body {
        Body::Stored(_) => Form::Stored,
        Body::Inline(inline) if inline.frame.bytes().await?.len() <= WITHIN_MAX => Form::Within,
        Body::Inline(_) => Form::Beside,
    };
    let until = millis(now.min(own.dead_at)).saturating_add(duration_millis(inner.limits.read_grace));
    Ok(LetGo { body: own.version.body, form, until })
}

/// An update of a record, under construction.
struct Draft {
    write: RecordWrite,
    set: Expression,
    remove: Expression,
    condition: Expression,
}

impl Draft {
    fn new(attempt: &Attempt<'_>) -> Self {
        let write = RecordWrite {
            key: attempt.inner.keys.record(&attempt.entry.key),
            what: What::Changed(String::new()),
            condition: String::new(),
            names: Vec::new(),
            values: Vec::new(),
        };
        let (set, remove, condition) = Default::default();
        let mut new = Self { write, set, remove, condition };
        new.condition("g = :g");
        new.value(":g", binary(*attempt.ticket.generation().as_bytes()));
        new.set("c = :c");
        new.value(":c", attempt.stamp.clone());
        new
    }

    fn condition(&mut self, piece: impl std::fmt::Display) {
        self.condition.push(" AND ", piece);
    }

    fn set(&mut self, piece: impl std::fmt::Display) {
        self.set.push(", ", piece);
    }

    fn name(&mut self, name: &'static str, of: String) {
        self.write.names.push((name, of));
    }

    fn value(&mut self, name: &'static str, value: AttributeValue) {
        self.write.values.push((name, value));
    }

    /// The conditions under which a head is replaced; the body stays where it is.
    fn keep(&mut self, before: &Version, is_own: bool, now: std::time::SystemTime) {
        self.condition("#v.n = :n AND #v.q = :q AND #v.d > :now AND #v.e >= :dead");
        self.value(":n", binary(*before.body.as_bytes()));
        self.value(":q", number(u64::from(before.head)));
        self.value(":now", number(millis(now)));
        self.set("#v.d = :dead");
        if !is_own {
            self.set("#v.k = :dead");
        }
    }

    /// What comes with a head.
    async fn head(&mut self, entry: &Entry, version: Version) -> Result<()> {
        let tags: Vec<u8> = entry.tags.iter().flat_map(|tag| *tag.as_bytes()).collect();
        self.set("#v.q = :head, #v.h = :h, #v.s = :s, #v.a = :a");
        self.value(":head", number(u64::from(version.head)));
        self.value(":h", binary(entry.head.bytes().await?.to_vec()));
        self.value(":s", number(millis(entry.stored_at)));
        self.value(":a", binary(tags));
        Ok(())
    }

    /// A new body in the place of the one that the ticket saw; what the variant's registration is stays.
    async fn replace(&mut self, new: &Kept, own: &Variant, is_own: bool) -> Result<()> {
        self.condition("#v.n = :n");
        self.value(":n", binary(*own.version.body.as_bytes()));
        let mut attributes = new.attributes().await?;
        for (name, path, value) in [
            ("n", "#v.n = :vn", ":vn"),
            ("q", "#v.q = :vq", ":vq"),
            ("h", "#v.h = :vh", ":vh"),
            ("o", "#v.o = :vo", ":vo"),
            ("f", "#v.f = :vf", ":vf"),
            ("l", "#v.l = :vl", ":vl"),
            ("s", "#v.s = :vs", ":vs"),
            ("d", "#v.d = :vd", ":vd"),
            ("x", "#v.x = :vx", ":vx"),
            ("k", "#v.k = :vk", ":vk"),
            ("e", "#v.e = :ve", ":ve"),
            ("a", "#v.a = :va", ":va"),
            ("i", "#v.i = :vi", ":vi"),
        ] {
            match attributes.remove(name) {
                Some(_) if name == "k" && is_own => {}
                Some(attribute) => {
                    self.set(path);
                    self.value(value, attribute);
                }
                None => self.remove.push(", ", format_args!("#v.{name}")),
            }
        }
        Ok(())
    }

    fn done(self) -> RecordWrite {
        let Self { mut write, set, remove, condition } = self;
        let (set, remove) = (set.into_string(), remove.into_string());
        let remove = if remove.is_empty() { remove } else { format!(" REMOVE {remove}") };
        write.what = What::Changed(format!("SET {set}{remove}"));
        write.condition = condition.into_string();
        write
    }
}
