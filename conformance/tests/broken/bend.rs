//! What the faults make of a commit before it is applied.

use std::sync::Arc;

use cache_api::*;

use crate::{
    fault::Fault,
    reference::{Reference, Space},
};

impl Reference {
    pub(crate) fn bend(
        &self,
        space: &mut Space,
        ticket: &mut Ticket,
        entry: &mut Entry,
        change: &mut Change,
    ) {
        if self.has(Fault::VariantsFoldCase) {
            let mut id = *entry.variant.as_bytes();
            id.make_ascii_lowercase();
            entry.variant = VariantId::from_bytes(id);
        }
        let record = space.records.entry(self.filed(&entry.key)).or_default();
        let current = record.variants().iter().find(|v| v.id == entry.variant).map(|v| v.version);
        let retold = |generation, variants: &[Variant]| {
            let at = ticket.issued_at();
            Resource::new(*ticket.key(), generation, ticket.epoch(), variants, at).ticket().clone()
        };
        match (self.world.fault, &mut *change, current) {
            (Fault::Overwrites, Change::Put(_), _) => {
                *ticket = retold(ticket.generation(), record.variants());
            }
            (Fault::KeepIgnoresVersion, Change::Keep(version), Some(current)) => *version = current,
            (Fault::RevivesVersions, Change::Keep(version), Some(current))
                if version.head == current.head =>
            {
                *version = current;
                *ticket = retold(record.generation(), record.variants());
            }
            (Fault::NoClamp, Change::Put(Body::Stored(body)), _) => body.limit = entry.dead_at,
            (Fault::EvictsNewest, Change::Put(_), None) if record.variants().len() >= MAX_VARIANTS => {
                let (_, rest) = record.variants().split_last().unwrap();
                *record = Record::from_parts(record.generation(), rest, record.tombstone_until());
            }
            (fault @ (Fault::LosesRepeats | Fault::StoresOpenly), ..) => {
                let mut head = entry.head.value().unwrap().clone();
                let names = head.headers.keys().cloned();
                let names = if fault == Fault::LosesRepeats { names.collect() } else { Vec::new() };
                for name in names {
                    let last = head.headers.get_all(&name).iter().next_back().unwrap().clone();
                    head.headers.insert(name, last);
                }
                let body = match &change {
                    Change::Put(body) => body.id(),
                    Change::Keep(version) => version.body,
                };
                let place = Place::head(self.namespace(), entry.key, entry.variant, body);
                entry.head = StoredHead::new(head, Arc::new(CborSerializer::new()), place);
            }
            (Fault::KeepsOldTags, Change::Keep(_), Some(_)) => {
                let old = record.variants().iter().find(|v| v.id == entry.variant).unwrap();
                entry.tags = Arc::clone(&old.tags);
            }
            (Fault::TakesAnyTicket, ..) => {
                let generation = record.generation();
                let at = ticket.issued_at();
                let found = Resource::new(entry.key, generation, ticket.epoch(), record.variants(), at);
                *ticket = found.ticket().clone();
            }
            _ => {}
        }
    }
}
