/// One way to be wrong. The reference does all else right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None: the suite must pass it.
    Sound,
    /// A lookup never ends.
    Hangs,
    /// A lookup never gives its thread back.
    BlocksItsThread,
    /// A lookup panics.
    Panics,
    /// A lookup returns dead entries.
    ServesDead,
    /// A removal of an absent resource leaves nothing behind.
    ForgetsRemovalOfAbsent,
    /// The generation is a counter that starts again.
    CountsGenerations,
    /// A commit replaces whatever is there.
    Overwrites,
    /// A new head goes to whatever version is there.
    KeepIgnoresVersion,
    /// A version is told by its head counter alone.
    RevivesVersions,
    /// A read of an old body returns the new one.
    ReadsOtherBytes,
    /// A body is visible as soon as its writing begins.
    ShowsPending,
    /// Bodies never committed are counted.
    CountsPending,
    /// `clear` takes every namespace that begins alike.
    ClearsByPrefix,
    /// All namespaces are one.
    OneNamespace,
    /// A commit reads the resource, waits, and writes all of it back.
    LosesUpdates,
    /// A commit checks the generation, waits, and publishes.
    ChecksThenPublishes,
    /// A commit publishes the head, waits, and adds the frames.
    TearsOnCancellation,
    /// `dead_at` is taken as it is.
    NoClamp,
    /// A 65th variant evicts the newest.
    EvictsNewest,
    /// A purge by tag forgets what is under way.
    PurgeForgets,
    /// A listing has dead entries.
    ListsDead,
    /// A listing has an entry twice.
    ListsTwice,
    /// Of repeated fields the last is kept.
    LosesRepeats,
    /// Heads are kept as they are, whatever serializer there is.
    StoresOpenly,
    /// Tickets never grow old.
    IgnoresTicketAge,
    /// A wrapper that passes an ability on no more.
    ForgetsAbility,
    /// A sweep takes tombstones.
    SweepsTombstones,
    /// A resource dies with the variant that was stored last.
    DiesWhole,
    /// A new head leaves its body's expiry as it was.
    PartsApart,
    /// A replaced or removed body is gone at once.
    NoReadGrace,
    /// A sweep takes bodies under way.
    SweepsPending,
    /// A sweep leaves bodies that were never committed.
    LeavesOrphans,
    /// Whoever releases a lease ends it.
    ReleasesAnyLease,
    /// That a resource is uncacheable is not remembered.
    ForgetsUncacheable,
    /// At most four writers are open at once.
    FewWriters,
    /// Garbage is an error of the lookup.
    FailsOnGarbage,
    /// A touch of what is gone fails.
    TouchFails,
    /// Of a variant's uses in a batch, one is counted.
    CountsOnce,
    /// A variant's uses are counted on in what replaces it.
    CountsOn,
    /// Counts of uses are read, and written back later.
    CountsInTwoSteps,
    /// Uses are counted, and not told of in a listing by tag.
    CountsUntagged,
    /// A body in one piece is another's.
    WholeIsOther,
    /// A lookup returns all inline bodies.
    InlineWithoutBound,
    /// A commit sent again is refused.
    RefusesRepeats,
    /// Frames beyond the end are left out.
    ReadsShort,
    /// A new head keeps the old tags.
    KeepsOldTags,
    /// `remove` of one version removes whatever is there.
    RemovesAnyVersion,
    /// Any resource's ticket will do.
    TakesAnyTicket,
    /// The body of a commit is not looked for.
    CommitsNoBody,
    /// A lookup reads heads and bodies one after the other.
    LooksUpInTwoSteps,
    /// A purge removes what is stored, waits, and only then refuses what is under way.
    PurgesInTwoSteps,
    /// A sweep reads what is past its time, waits, and deletes it.
    SweepsInTwoSteps,
    /// A removed body that is committed again still goes when its grace ends.
    LeavesRetired,
    /// What was removed is forgotten when the store is opened again.
    ForgetsRemovalOnReopen,
    /// Keys are text: what is no UTF-8 becomes U+FFFD.
    KeysAsText,
    /// Keys end at their first NUL.
    KeysEndAtNul,
    /// Variants are told apart without regard to case.
    VariantsFoldCase,
    /// A `*` among the tags to be purged or listed stands for all.
    TagsMatchPatterns,
    /// A listing ends after its first page of 1,000.
    ListsAPage,
    /// A clear ends after its first page of 1,000.
    ClearsAPage,
    /// A connection that broke is used again.
    KeepsBrokenConnections,
    /// An answer is waited for without a limit.
    WaitsForAnswers,
    /// A server that does not answer is an error like any other.
    GivesUpForGood,
    /// Of removals nobody hears.
    TellsNoRemovals,
    /// What happens in one namespace all hear of.
    TellsOtherNamespaces,
    /// A storage hears of what it does itself.
    TellsItself,
    /// A commit is told of before it happens.
    TellsTooEarly,
    /// Lookups are answered from copies, of which nothing that others change takes anything away.
    KeepsCopies,
    /// Nor anything that the storage changes itself.
    KeepsOwnCopies,
    /// What is read past the storage is not what it holds.
    DumpsNothing,
}
