//! The tables of `OBSERVABILITY.md`, and the files that are written against them, beside what is emitted.

use std::collections::{BTreeMap, BTreeSet};

use cache_engine::{
    policy::Forward,
    stats::{
        Bypass, Ended, Failure, Flow, Label, Leader, NotStored, Operation, Outcome, Purpose, Refresh, Reply,
        Stored, Wait,
    },
};

use crate::{
    events::{closing, tagged},
    recording::{Seen, quoted, seen, table},
};

const TEXT: &str = include_str!("../../OBSERVABILITY.md");

fn all() -> Seen {
    let mut all = Seen::default();
    all.add(seen(crate::hit()).1);
    all.add(seen(crate::stale()).1);
    all.add(seen(crate::revalidated()).1);
    all.add(seen(crate::failing()).1);
    all.add(seen(crate::past()).1);
    all.add(seen(crate::negative()).1);
    all.add(seen(crate::waiting()).1);
    all.add(seen(crate::abandoned()).1);
    all.add(seen(crate::broken()).1);
    all.add(seen(crate::resumed()).1);
    all.add(seen(crate::not_stored()).1);
    all.add(seen(tagged()).1);
    all.add(seen(closing()).1);
    all
}

fn one(cell: &str) -> String {
    quoted(cell).into_iter().next().unwrap()
}

#[test]
fn what_is_emitted_is_documented_and_the_other_way_round() {
    let seen = all();

    let documented: BTreeMap<_, _> = table(TEXT, "## Metrics")
        .iter()
        .map(|row| (one(&row[0]), (row[1].clone(), row[2].clone(), quoted(&row[3]))))
        .collect();
    let mut emitted = BTreeMap::new();
    for series in &seen.series {
        assert!(series.is_described, "{series:?}");
        let kind = format!("{:?}", series.kind).to_lowercase();
        let labels: BTreeSet<_> = series.labels.keys().cloned().collect();
        let row = (kind, series.unit.unwrap().to_owned(), labels);
        let earlier = emitted.insert(series.name.clone(), row.clone());
        assert!(
            earlier.is_none_or(|earlier| earlier == row),
            "{series:?}: not the labels that it had before"
        );
    }
    assert_eq!(emitted, documented);

    let documented: BTreeMap<_, _> =
        table(TEXT, "## Spans").iter().map(|row| (one(&row[0]), (row[1].clone(), quoted(&row[2])))).collect();
    let emitted: BTreeMap<_, _> = seen
        .spans
        .iter()
        .map(|span| {
            let fields = span.declared.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
            (span.name.to_owned(), (span.level.clone(), fields))
        })
        .collect();
    assert_eq!(emitted, documented);
    // Each field is filled in by something.
    for (name, (_, fields)) in documented {
        let filled: BTreeSet<_> =
            seen.spans(&name).iter().flat_map(|span| span.fields.keys().map(ToString::to_string)).collect();
        assert_eq!(filled, fields, "{name}");
    }

    let documented: BTreeMap<_, _> = table(TEXT, "## Events")
        .iter()
        .map(|row| ((row[0].clone(), one(&row[1])), quoted(&row[2])))
        .collect();
    let mut emitted = BTreeMap::<_, BTreeSet<_>>::new();
    for event in &seen.events {
        let fields = emitted.entry((event.level.clone(), event.message.clone())).or_default();
        fields.extend(event.declared.iter().map(ToString::to_string));
    }
    assert_eq!(emitted, documented);
}

/// Each label has a closed set of values, and all of them are documented.
#[test]
fn the_values_of_labels_are_documented() {
    fn words<L: Label>() -> BTreeSet<String> {
        L::all().map(|label| label.words().as_ref().concat()).collect()
    }
    let mut documented = BTreeMap::new();
    for row in table(TEXT, "### Labels") {
        let (metric, label) = (one(&row[0]), one(&row[1]));
        let above = documented.iter().find(|((_, other), _)| *other == label).map(|(_, values)| values);
        let values = if row[2] == "as above" { BTreeSet::clone(above.unwrap()) } else { quoted(&row[2]) };
        documented.insert((metric, label), values);
    }
    let storage = "http_cache_storage";
    let expected: BTreeMap<_, _> = [
        ("http_cache_requests_total".into(), "outcome", words::<Outcome>()),
        ("http_cache_bypasses_total".into(), "reason", words::<Bypass>()),
        ("http_cache_forwards_total".into(), "reason", words::<Forward>()),
        ("http_cache_stored_total".into(), "what", words::<Stored>()),
        ("http_cache_not_stored_total".into(), "reason", words::<NotStored>()),
        ("http_cache_body_bytes_total".into(), "source", words::<Flow>()),
        ("http_cache_origin_request_duration_seconds".into(), "purpose", words::<Purpose>()),
        ("http_cache_origin_request_duration_seconds".into(), "reply", words::<Reply>()),
        ("http_cache_refreshes_total".into(), "result", words::<Refresh>()),
        ("http_cache_leader_wait_duration_seconds".into(), "leader", words::<Leader>()),
        ("http_cache_leader_wait_duration_seconds".into(), "result", words::<Wait>()),
        (format!("{storage}_operation_duration_seconds"), "operation", words::<Operation>()),
        (format!("{storage}_operation_duration_seconds"), "result", words::<Ended>()),
        (format!("{storage}_errors_total"), "operation", words::<Operation>()),
        (format!("{storage}_errors_total"), "kind", words::<Failure>()),
        (format!("{storage}_skipped_total"), "operation", words::<Operation>()),
    ]
    .into_iter()
    .map(|(metric, label, values)| ((metric, label.to_owned()), values))
    .collect();
    assert_eq!(documented, expected);

    for series in all().series {
        for (label, value) in series.labels.iter().filter(|(label, _)| *label != "backend") {
            let values = &expected[&(series.name.clone(), label.clone())];
            assert!(values.contains(value), "{}: {label}={value}", series.name);
        }
    }
}

/// No label and no span gives away what was asked for: a path, a query, a field.
#[test]
fn nothing_emitted_holds_what_was_asked() {
    let (_, seen) = seen(async {
        let bench = crate::hit().await;
        let mut request = crate::support::get();
        request.url.set_path("/a-path");
        request.url.set_query(Some("token=a-query"));
        request.url.set_username("a-user").unwrap();
        request.url.set_password(Some("a-password")).unwrap();
        request.tenant = Some("a-tenant".into());
        bench.send(crate::support::with_field(request, "authorization", "Bearer a-field")).await;
    });
    let all = format!("{seen:?}");
    for secret in ["a-path", "a-query", "a-user", "a-password", "a-tenant", "a-field"] {
        assert!(!all.contains(secret), "{secret}");
    }
}
