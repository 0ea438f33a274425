//! The suite can fail: a storage that does everything right passes it, and each of these, which is wrong in
//! one way, fails the cases named beside it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test, all of it")]

mod abilities;
mod bend;
mod copies;
mod events;
mod fault;
mod reference;
mod subject;
mod wire;

use fault::Fault;
use subject::suite;

#[test]
fn the_sound_one_passes() {
    let report = suite(Fault::Sound).run_quiet(|_| true);
    assert!(report.is_sound(), "{report}");
    // What is in this process has neither a clock nor bodies of its own outside it.
    let left_out: Vec<_> = report.left_out.iter().map(|(case, _)| &**case).collect();
    assert_eq!(left_out, ["expiry::by_the_server_itself", "memory::fifty_mib"]);
}

/// A storage that waits for ever, stops its thread or panics fails the case, and no more than that.
#[test]
fn one_that_never_answers_fails() {
    for (fault, expected) in
        [(Fault::Hangs, "stuck"), (Fault::BlocksItsThread, "stuck"), (Fault::Panics, "panicked")]
    {
        // A panic is written down before it is seen, which may take a while.
        let patience = std::time::Duration::from_secs(if expected == "stuck" { 1 } else { 20 });
        let report = suite(fault).patience(patience).run_quiet(|case| case == "round_trip::empty");
        let [(case, failure)] = report.failed.as_slice() else { panic!("{fault:?}: {report}") };
        assert_eq!(case, "round_trip::empty");
        assert!(failure.message().contains(expected), "{fault:?}: {failure}");
    }
}

/// A store that is said to delete by a clock of its own, and does not.
#[test]
fn one_that_deletes_nothing_fails() {
    let report = suite(Fault::Sound).native_expiry().run_quiet(|case| case == "expiry::by_the_server_itself");
    assert!(report.has_failed("expiry::by_the_server_itself"), "{report}");
}

/// What never comes is waited for as long as the patience lasts.
#[test]
fn one_that_tells_no_removals_fails() {
    let patience = std::time::Duration::from_secs(3);
    let report =
        suite(Fault::TellsNoRemovals).patience(patience).run_quiet(|case| case.starts_with("events::"));
    for case in ["events::removal", "events::removal_of_absent", "events::removal_of_a_version"] {
        assert!(report.has_failed(case), "{case}: {report}");
    }
    assert!(!report.has_failed("events::commit"), "{report}");
}

/// A storage may be given time to see what another one changed: not for ever, and for nothing else.
#[test]
fn one_that_is_late_fails_when_its_time_is_over() {
    let bound = std::time::Duration::from_millis(20);
    for (fault, case) in [
        (Fault::KeepsCopies, "two_handles::one_sees_the_other"),
        (Fault::KeepsOwnCopies, "versions::after_two_updates"),
        (Fault::NoReadGrace, "two_handles::body_replaced_by_the_other"),
        (Fault::LosesUpdates, "two_handles::two_variants_stepwise"),
        (Fault::ChecksThenPublishes, "two_handles::removal_during_commit_absent"),
    ] {
        let report = suite(fault).eventual(bound).run_quiet(|name| name == case);
        assert!(report.has_failed(case), "{fault:?} passes {case}: {report}");
    }
    let report = suite(Fault::Sound).eventual(bound).run_quiet(|name| name.starts_with("two_handles::"));
    assert!(report.is_sound(), "{report}");
}

/// Runs the groups of these cases and expects each of the cases to fail.
fn fails(fault: Fault, cases: &[&str]) {
    let group = |case: &str| case.split("::").next().map(str::to_owned);
    let groups: Vec<_> = cases.iter().map(|case| group(case)).collect();
    // Some cases of an outage wait for what does not come.
    let chosen = |case: &str| cases.contains(&case) || !case.starts_with("outage::");
    let report = suite(fault).run_quiet(|case| groups.contains(&group(case)) && chosen(case));
    for case in cases {
        assert!(report.has_failed(case), "{fault:?} passes {case}: {report}");
    }
}

macro_rules! broken {
    ($($name:ident: $fault:ident => [$($case:literal),+ $(,)?]),+ $(,)?) => {
        $(#[test]
        fn $name() {
            fails(Fault::$fault, &[$($case),+]);
        })+
    };
}

broken! {
    serves_dead: ServesDead => ["expiry::dead_exactly_at", "expiry::dead_after_a_jump", "expiry::parts_apart"],
    forgets_removal_of_absent: ForgetsRemovalOfAbsent =>
        ["races::removal_of_absent_before_commit", "races::removal_during_commit_absent"],
    counts_generations: CountsGenerations => ["races::removed_twice"],
    overwrites: Overwrites =>
        ["writers::overtaken", "writers::one_variant_stepwise", "writers::one_variant_at_once", "parity::random_operations_2"],
    keep_ignores_version: KeepIgnoresVersion =>
        ["versions::wrong_version", "versions::after_two_updates", "versions::of_two_only_one"],
    revives_versions: RevivesVersions => [
        "versions::revival", "versions::revival_with_original_ticket", "versions::revival_of_identical_content",
    ],
    reads_other_bytes: ReadsOtherBytes => ["bodies::old_body_during_replacement"],
    shows_pending: ShowsPending =>
        ["bodies::pending_is_invisible", "outage::killed_while_writing", "outage::cut_while_writing"],
    counts_pending: CountsPending => ["bodies::pending_is_not_listed"],
    clears_by_prefix: ClearsByPrefix => ["isolation::clear_of_a_prefix"],
    one_namespace: OneNamespace => ["isolation::one_key_in_two_namespaces", "isolation::clear"],
    loses_updates: LosesUpdates => [
        "writers::two_variants_stepwise", "writers::eight_variants_at_once",
        "two_handles::two_variants_stepwise",
    ],
    checks_then_publishes: ChecksThenPublishes => [
        "races::removal_during_commit_absent", "races::removal_during_commit_by_clear",
        "two_handles::removal_during_commit_absent",
    ],
    tears_on_cancellation: TearsOnCancellation => ["cancellation::commit", "cancellation::commit_over_another"],
    no_clamp: NoClamp => ["versions::dead_at_is_clamped", "versions::keep_is_clamped_to_the_body", "parity::random_operations_1"],
    evicts_newest: EvictsNewest => ["variants::a_65th_evicts_the_oldest"],
    purge_forgets: PurgeForgets => ["races::purge_before_first_commit", "tags::new_tag_under_way", "parity::random_operations_1"],
    lists_dead: ListsDead => ["listing::dead_ones"],
    lists_twice: ListsTwice => ["listing::five_hundred", "two_handles::listed_while_the_other_writes"],
    stores_openly: StoresOpenly => ["secrecy::nothing_lies_open"],
    dumps_nothing: DumpsNothing => ["secrecy::nothing_lies_open", "redaction::no_trace_is_left"],
    loses_repeats: LosesRepeats => ["heads::repeated_fields"],
    ignores_ticket_age: IgnoresTicketAge => ["writers::ticket_too_old"],
    forgets_ability: ForgetsAbility => ["contract::declares_its_abilities"],
    sweeps_tombstones: SweepsTombstones =>
        ["races::sweep_forgets_no_removal", "races::death_forgets_no_removal"],
    dies_whole: DiesWhole => ["expiry::short_after_long"],
    parts_apart: PartsApart => ["expiry::parts_apart"],
    no_read_grace: NoReadGrace => [
        "bodies::old_body_during_replacement", "bodies::old_body_after_removal",
        "two_handles::body_replaced_by_the_other", "two_handles::body_removed_by_the_other",
    ],
    sweeps_pending: SweepsPending => ["sweep::bodies_under_way_stay"],
    leaves_orphans: LeavesOrphans => ["sweep::abandoned_bodies"],
    releases_any_lease: ReleasesAnyLease => ["leases::stale_release", "leases::release"],
    forgets_uncacheable: ForgetsUncacheable => ["leases::uncacheable"],
    few_writers: FewWriters => ["bodies::pending_writers_block_nobody"],
    fails_on_garbage: FailsOnGarbage => ["garbage::flipped_head", "garbage::foreign_head"],
    touch_fails: TouchFails => ["touch::unknown"],
    counts_once: CountsOnce => ["touch::counted", "touch::counted_anew"],
    counts_on: CountsOn => ["touch::counted_anew"],
    counts_in_two_steps: CountsInTwoSteps => ["touch::counted_at_once"],
    counts_untagged: CountsUntagged => ["touch::counted"],
    whole_is_other: WholeIsOther => ["round_trip::one_frame_and_a_byte"],
    inline_without_bound: InlineWithoutBound => ["round_trip::more_inline_than_a_lookup_holds"],
    refuses_repeats: RefusesRepeats => ["writers::repeated_commit", "parity::random_operations_1"],
    reads_short: ReadsShort => ["round_trip::frames_beyond_the_end"],
    keeps_old_tags: KeepsOldTags => ["tags::old_tags_of_a_replaced_head", "listing::after_replacement"],
    removes_any_version: RemovesAnyVersion => ["versions::removal_of_an_old_version", "parity::random_operations_1"],
    takes_any_ticket: TakesAnyTicket => ["writers::ticket_of_another_resource"],
    commits_no_body: CommitsNoBody => ["writers::body_never_written"],
    looks_up_in_two_steps: LooksUpInTwoSteps => ["bodies::never_mixed_stepwise"],
    purges_in_two_steps: PurgesInTwoSteps =>
        ["races::commit_during_removal_by_tag", "two_handles::commit_during_removal_by_tag"],
    sweeps_in_two_steps: SweepsInTwoSteps => ["races::commit_during_sweep"],
    leaves_retired: LeavesRetired => ["writers::repeated_commit_after_version_removal"],
    tells_other_namespaces: TellsOtherNamespaces => ["events::another_namespace"],
    tells_itself: TellsItself => ["events::own_changes"],
    tells_too_early: TellsTooEarly => ["events::commit"],
    forgets_removal_on_reopen: ForgetsRemovalOnReopen => ["persistence::removal_before_reopening"],
    keys_as_text: KeysAsText => ["hostile::keys", "hostile::listed_and_cleared"],
    keys_end_at_nul: KeysEndAtNul => ["hostile::keys"],
    variants_fold_case: VariantsFoldCase => ["hostile::variants"],
    tags_match_patterns: TagsMatchPatterns => ["hostile::tags", "hostile::tags_listed"],
    lists_a_page: ListsAPage => ["many::listed_and_cleared_in_pages"],
    clears_a_page: ClearsAPage => ["many::listed_and_cleared_in_pages"],
    keeps_broken_connections: KeepsBrokenConnections => ["outage::unreachable"],
    waits_for_answers: WaitsForAnswers => ["outage::stalled"],
    gives_up_for_good: GivesUpForGood => [
        "outage::restarted", "outage::killed_while_writing", "outage::unreachable", "outage::cut_while_writing",
    ],
}
