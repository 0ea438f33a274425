//! From one storage into another.

use std::{sync::Arc, time::Duration};

use crate::support::{self, Draft, Shelf, TestClock, memory, sqlite};
use bytes::Bytes;
use cache_admin::{Admin, CopyOptions, EntryFilter, Keys, Progress, Run, Target};
use cache_api::{CacheKey, ErrorKind, FRAME_SIZE, JsonSerializer, Limits, Storage, VariantId, key_fn};
use cache_backend_memory::MemoryStorage;
use cache_conformance::fault::{Fault, FaultyStorage, Operation, Rule};
use proptest::prelude::*;
use url::Url;

const A: &str = "https://a.example.com/x";
const B: &str = "https://b.example.com/y?page=2";

fn all() -> EntryFilter {
    EntryFilter::all()
}

async fn copy(from: &Admin, to: &Admin) -> Progress {
    from.copy_to(to, &all(), &CopyOptions::new(), Run::new()).await.unwrap()
}

/// Inline, of one frame, of whole frames and of a part of one; two variants; tags.
fn drafts() -> Vec<Draft> {
    let url = |n: usize| format!("https://{n}.example.com/?page={n}");
    let sizes = [0, 1, 65_536, 65_537, FRAME_SIZE, FRAME_SIZE + 1, 2 * FRAME_SIZE, 700_000];
    let mut drafts: Vec<_> =
        sizes.iter().enumerate().map(|(n, len)| Draft::new(&url(n)).len(*len).tags(&["all"])).collect();
    drafts.push(Draft { variant: VariantId::from_bytes([1; 16]), ..Draft::new(&url(0)) });
    drafts
}

#[tokio::test]
async fn all_that_is_there_under_another_serializer() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let (first, second) = (memory("default"), sqlite(&directory, "default").await);
    for (from, to) in [(&first, &second), (&second, &first)] {
        let from = Shelf::new(Arc::clone(from), &clock);
        let to = Shelf::with(Arc::clone(to), Arc::new(JsonSerializer::new()), &clock);
        to.admin.clear().await.unwrap();
        from.admin.clear().await.unwrap();
        for draft in drafts() {
            from.put(&draft).await;
            clock.forward(1);
        }
        let contents = from.contents().await;
        let bytes = from.admin.count(&all()).await.unwrap().bytes;
        let copied = copy(&from.admin, &to.admin).await;
        assert_eq!((copied.done, copied.seen, copied.bytes), (9, 9, bytes));
        assert_eq!(to.contents().await, contents);
        // Again there is nothing to do, and no body is read for it.
        let again = copy(&from.admin, &to.admin).await;
        assert_eq!((again.passed_over, again.done, again.bytes), (9, 0, 0));
        assert_eq!((from.contents().await, to.contents().await), (contents.clone(), contents));
    }
}

#[tokio::test]
async fn progress_is_told_with_each_frame() {
    let clock = TestClock::new();
    let (from, to) = (Shelf::new(memory("default"), &clock), Shelf::new(memory("default"), &clock));
    from.put(&Draft::new(A).len(3 * FRAME_SIZE + 5)).await;
    let mut told = Vec::new();
    let run = Run::new().with_total(true).on_progress(|so_far| told.push((so_far.bytes, so_far.total)));
    from.admin.copy_to(&to.admin, &all(), &CopyOptions::new(), run).await.unwrap();
    let frame = FRAME_SIZE as u64;
    told.dedup();
    assert_eq!(told, [0, frame, 2 * frame, 3 * frame, 3 * frame + 5].map(|bytes| (bytes, Some(1))));
}

#[tokio::test]
async fn a_trial_writes_nothing() {
    let clock = TestClock::new();
    let (from, to) = (Shelf::new(memory("default"), &clock), Shelf::new(memory("default"), &clock));
    for draft in drafts() {
        from.put(&draft).await;
    }
    let filter = all().pattern("{0,1}.example.com".parse().unwrap());
    let (options, run) = (CopyOptions::new(), Run::new().dry_run(true));
    let would = from.admin.copy_to(&to.admin, &filter, &options, run).await.unwrap();
    assert_eq!((would.done, would.bytes, to.contents().await.len()), (3, 11, 0));
    assert_eq!(from.admin.copy_to(&to.admin, &filter, &options, Run::new()).await.unwrap(), would);
    assert_eq!(to.contents().await.len(), 3);
}

#[tokio::test]
async fn what_is_newer_in_the_target_stays_and_what_is_older_goes() {
    let clock = TestClock::new();
    let (from, to) = (Shelf::new(memory("default"), &clock), Shelf::new(memory("default"), &clock));
    from.put(&Draft::new(A).len(1)).await;
    to.put(&Draft::new(B).len(1)).await;
    clock.forward(5);
    to.put(&Draft::new(A).len(2)).await;
    from.put(&Draft::new(B).len(2)).await;
    let copied = copy(&from.admin, &to.admin).await;
    assert_eq!((copied.done, copied.passed_over), (1, 1));
    let lens: Vec<_> = to.contents().await.into_values().map(|content| content.body.len()).collect();
    assert_eq!(lens, [2, 2]);
    // What was confirmed is newer, too.
    clock.forward(5);
    from.admin.reset_expiry(&all(), Run::new()).await.unwrap();
    assert_eq!(copy(&from.admin, &to.admin).await.done, 2);
}

#[tokio::test]
async fn what_cannot_be_read_is_left_out_and_what_cannot_be_kept_refused() {
    let (clock, storage) = (TestClock::new(), FaultyStorage::new(memory("default")));
    let from = Shelf::new(Arc::new(storage.clone()), &clock);
    from.put(&Draft::new(A)).await;
    from.put(&Draft::new(B).len(300_000)).await;
    let garbage = CacheKey::from_bytes([7; 32]);
    from.put_garbage(garbage, &Draft::new(A), Bytes::from_static(b"?")).await;
    storage.inject(Rule::on(Operation::Read, Fault::Error(ErrorKind::Gone)));
    let small: Arc<dyn Storage> = Arc::new(MemoryStorage::builder().max_entry_size(100_000).build().unwrap());
    let to = Shelf::new(small, &clock);
    let copied = copy(&from.admin, &to.admin).await;
    assert_eq!((copied.done, copied.invalid), (1, 2));
    storage.heal();
    let copied = copy(&from.admin, &to.admin).await;
    assert_eq!((copied.passed_over, copied.invalid, copied.refused), (1, 1, 1));
    assert_eq!(to.urls(&all()).await, [A]);
}

#[tokio::test]
async fn an_entry_dies_when_the_target_says_so() {
    let clock = TestClock::new();
    let from = Shelf::new(memory("default"), &clock);
    let limits = Limits::default().with_max_retention(Duration::from_secs(100));
    let to = Shelf::new(Arc::new(MemoryStorage::builder().limits(limits).build().unwrap()), &clock);
    from.put(&Draft::new(A)).await;
    copy(&from.admin, &to.admin).await;
    let content = to.contents().await.into_values().next().unwrap();
    assert_eq!(content.dead_at, content.stored_at + Duration::from_secs(100));
}

#[tokio::test]
async fn another_namespace_has_other_keys() {
    let clock = TestClock::new();
    let (from, to) = (Shelf::new(memory("old"), &clock), Shelf::new(memory("new"), &clock));
    from.put(&Draft::new(A)).await;
    from.put(&Draft { tenant: Some("t"), ..Draft::new(B) }).await;
    let options = CopyOptions::new();
    let copied = from.admin.copy_to(&to.admin, &all(), &options, Run::new()).await.unwrap();
    assert_eq!((copied.done, copied.unkeyed), (1, 1));
    let (a, b) = (Url::parse(A).unwrap(), Target::get(&Url::parse(B).unwrap()).with_tenant("t"));
    assert!(to.admin.contains(&(&a).into()).await.unwrap());
    let options = options.tenants(["s", "t"]);
    let copied = from.admin.copy_to(&to.admin, &all(), &options, Run::new()).await.unwrap();
    assert_eq!((copied.done, copied.passed_over), (1, 1));
    assert!(to.admin.contains(&b).await.unwrap());

    // Kept, they are found by nobody who makes them of the namespace.
    let kept = Shelf::new(memory("third"), &clock);
    let options = CopyOptions::new().keys(Keys::Keep);
    from.admin.copy_to(&kept.admin, &all(), &options, Run::new()).await.unwrap();
    assert_eq!(kept.urls(&all()).await, [A, B]);
    assert!(!kept.admin.contains(&(&a).into()).await.unwrap());
}

#[tokio::test]
async fn a_new_key_function_in_the_same_storage() {
    let (clock, storage) = (TestClock::new(), memory("default"));
    let shelf = Shelf::new(Arc::clone(&storage), &clock);
    let by_path = key_fn(|request: &cache_api::KeyRequest<'_>| {
        let mut url = request.url.clone();
        url.set_query(None);
        let key = cache_api::CanonicalKey::new(request.namespace, request.method, &url).finish();
        async move { Ok(cache_api::Keyed::Key(key)) }
    });
    let new = shelf.admin.clone().with_key(Arc::new(by_path));
    let old = shelf.put(&Draft::new(B)).await;
    // Its key holds more than its head.
    shelf.put_at(CacheKey::from_bytes([3; 32]), &Draft::new(A)).await;
    let options = CopyOptions::new().keys(Keys::Make);
    let copied = shelf.admin.copy_to(&new, &all(), &options, Run::new()).await.unwrap();
    assert_eq!((copied.done, copied.unkeyed), (1, 1));
    let target: Target = (&Url::parse(B).unwrap()).into();
    let found = new.get(&target).await.unwrap();
    assert!(found.len() == 1 && found[0].key != old && found[0].url() == Some(B));
    // What lies under the new keys is not told from what is keyed by more.
    let again = shelf.admin.copy_to(&new, &all(), &options, Run::new()).await.unwrap();
    assert_eq!((again.done, again.passed_over, again.unkeyed), (0, 1, 2));
}

#[tokio::test]
async fn what_was_selected_by_a_value_is_not_found_under_another_key() {
    let clock = TestClock::new();
    let (from, to) = (Shelf::new(memory("old"), &clock), Shelf::new(memory("new"), &clock));
    let name = http::header::ACCEPT;
    let present = Some(cache_api::SelectorDigest([1; 16]));
    for (n, value, (done, unkeyed)) in [(1, None, (1, 0)), (2, present, (1, 1))] {
        let draft = Draft { variant: VariantId::from_bytes([n; 16]), ..Draft::new(A) };
        from.put_selected(&draft, cache_api::Selector { name: name.clone(), value }).await;
        let copied = copy(&from.admin, &to.admin).await;
        assert_eq!((copied.done + copied.passed_over, copied.unkeyed), (done, unkeyed));
    }
}

/// A copy that breaks off at its nth call of any kind, in the source or the target, and is run again.
#[tokio::test]
async fn a_copy_cut_anywhere_goes_on() {
    let clock = TestClock::new();
    let from = Shelf::new(memory("default"), &clock);
    for draft in drafts() {
        from.put(&draft).await;
    }
    let contents = from.contents().await;
    let calls = [
        Operation::List,
        Operation::Lookup,
        Operation::Read,
        Operation::Writer,
        Operation::Write,
        Operation::Finish,
        Operation::Commit,
    ];
    for fault in [Fault::Error(ErrorKind::Unavailable), Fault::LostAnswer(ErrorKind::Timeout)] {
        for operation in calls {
            let mut cuts = 0;
            for nth in 0.. {
                let (source, target) =
                    (FaultyStorage::new(Arc::clone(&from.storage)), FaultyStorage::new(memory("default")));
                let source_shelf = Shelf::new(Arc::new(source.clone()), &clock);
                let to = Shelf::new(Arc::new(target.clone()), &clock);
                source.inject(Rule::on(operation, fault).nth(nth));
                target.inject(Rule::on(operation, fault).nth(nth));
                let options = CopyOptions::new().at_once(2);
                let first = source_shelf.admin.copy_to(&to.admin, &all(), &options, Run::new()).await;
                let cut = !source.injected().is_empty() || !target.injected().is_empty();
                assert_eq!(first.is_err(), cut, "{operation} {nth} {fault:?}");
                // What is there is whole, whatever happened.
                for (place, content) in to_contents(&target, &clock).await {
                    assert_eq!(contents.get(&place), Some(&content), "{operation} {nth} {fault:?}");
                }
                source.heal();
                target.heal();
                let copied =
                    source_shelf.admin.copy_to(&to.admin, &all(), &options, Run::new()).await.unwrap();
                assert_eq!(copied.done + copied.passed_over, 9);
                assert_eq!(to.contents().await, contents, "{operation} {nth} {fault:?}");
                if !cut {
                    break;
                }
                cuts += 1;
            }
            assert!(cuts > 0, "no {operation} was cut");
        }
    }
}

async fn to_contents(
    target: &FaultyStorage,
    clock: &TestClock,
) -> std::collections::BTreeMap<(String, VariantId), support::Content> {
    Shelf::new(Arc::clone(target.beneath()), clock).contents().await
}

fn any_draft() -> impl Strategy<Value = Draft> {
    let len = prop_oneof![0..200_usize, 65_530..65_545_usize, 262_140..262_150_usize, 500_000..600_000_usize];
    let tags = proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3);
    (0..6_u8, len, tags, 0..3_u8, 1..10_000_u64).prop_map(|(host, len, tags, variant, life)| Draft {
        variant: VariantId::from_bytes([variant; 16]),
        life,
        ..Draft::new(&format!("https://{host}.example.com/")).len(len).tags(&tags)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Copying and then listing is listing.
    #[test]
    fn a_copy_is_the_same(drafts in proptest::collection::vec(any_draft(), 0..12), at_once in 1..5_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let clock = TestClock::new();
            let from = Shelf::new(memory("default"), &clock);
            let to = Shelf::with(memory("default"), Arc::new(JsonSerializer::new()), &clock);
            for draft in &drafts {
                from.put(draft).await;
            }
            let options = CopyOptions::new().at_once(at_once);
            from.admin.copy_to(&to.admin, &all(), &options, Run::new()).await.unwrap();
            assert_eq!(to.contents().await, from.contents().await);
        });
    }
}
