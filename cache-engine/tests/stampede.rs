//! One request to the origin for all who want the same, and what happens when that goes wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::support::{Bench, Got, Origin, OriginError, Reply, get, memory, settle, with_field};
use cache_conformance::fault::{Fault, FaultyStorage, Operation, Rule};
use cache_engine::Source;
use futures_util::future::join_all;
use http::header;
use tokio::sync::{Barrier, Semaphore};

/// An origin whose answers wait at a gate.
fn gated(gate: &Arc<Semaphore>, reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Origin {
    let gate = Arc::clone(gate);
    let reply = Arc::new(reply);
    Origin::new(move |nth, _| {
        let (gate, reply) = (Arc::clone(&gate), Arc::clone(&reply));
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(reply(nth))
        }
    })
}

async fn until(what: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !what() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("it did not happen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_cold_requests_are_one() {
    let gate = Arc::new(Semaphore::new(0));
    let bench =
        Arc::new(Bench::new(gated(&gate, |_| Reply::new(200, &[("cache-control", "max-age=60")], "once"))));
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.get().await.body })
        })
        .collect();
    until(|| bench.origin.requests() == 1).await;
    gate.add_permits(1000);
    for body in join_all(callers).await {
        assert_eq!(body.unwrap(), "once");
    }
    assert_eq!(bench.origin.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_requests_for_a_stale_entry_are_one_validation() {
    let bench = Arc::new(Bench::new(Origin::new(|_, request| async move {
        settle().await;
        let fields = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
        Ok(match request.headers.get(header::IF_NONE_MATCH) {
            None => Reply::new(200, &fields, "body"),
            Some(_) => Reply::streamed(304, &fields, futures_util::stream::empty()),
        })
    })));
    bench.get().await;
    bench.clock.forward(100);
    let callers = (0..1000).map(|_| {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.get().await.body })
    });
    for body in join_all(callers).await {
        assert_eq!(body.unwrap(), "body");
    }
    assert_eq!(bench.origin.requests(), 2);
}

/// A follower gets the leader's response only where policy would serve it to the follower's own request.
#[tokio::test]
async fn a_follower_that_selects_another_variant_fetches_for_itself() {
    let gate = Arc::new(Semaphore::new(0));
    let bench = Bench::new({
        let gate = Arc::clone(&gate);
        Origin::new(move |_, request| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                let language = request.headers[header::ACCEPT_LANGUAGE].to_str().unwrap().to_owned();
                Ok(Reply::new(200, &[("cache-control", "max-age=60"), ("vary", "accept-language")], language))
            }
        })
    });
    let languages = ["en", "fr", "en", "de", "fr", "en"];
    let callers = languages.map(|language| bench.send(with_field(get(), "accept-language", language)));
    let (answers, ()) = tokio::join!(join_all(callers), async {
        settle().await;
        assert_eq!(bench.origin.requests(), 1, "nobody knows yet that it varies");
        gate.add_permits(100);
    });
    for (answer, language) in answers.iter().zip(languages) {
        assert_eq!(answer.text(), language);
    }
    assert_eq!(bench.origin.requests(), 3);
}

/// All followers ask at once: they meet at the origin, which answers none before all are there.
#[tokio::test]
async fn an_uncacheable_answer_releases_all_followers_at_once() {
    let meeting = Arc::new(Barrier::new(50));
    let bench = Bench::new(Origin::new({
        move |nth, _| {
            let meeting = Arc::clone(&meeting);
            async move {
                if nth == 0 {
                    settle().await;
                } else {
                    meeting.wait().await;
                }
                Ok(Reply::new(200, &[("cache-control", "no-store")], nth.to_string()))
            }
        }
    }));
    let all = join_all((0..51).map(|_| bench.get()));
    let answers =
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("the followers stand in a queue");
    let mut bodies: Vec<_> = answers.iter().map(|answer| answer.text().to_owned()).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 51, "nobody got another's answer");
}

#[tokio::test]
async fn a_leader_that_panics_is_replaced() {
    let gate = Arc::new(Semaphore::new(0));
    let bench = Arc::new(Bench::new(gated(&gate, |nth| {
        assert!(nth > 0, "the leader's own");
        Reply::new(200, &[("cache-control", "max-age=60")], "second")
    })));
    let spawn = || {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.get().await })
    };
    let leader = spawn();
    until(|| bench.origin.requests() == 1).await;
    let followers: Vec<_> = (0..10).map(|_| spawn()).collect();
    settle().await;
    gate.add_permits(100);
    assert!(leader.await.unwrap_err().is_panic(), "the panic is the leader's");
    for follower in followers {
        assert_eq!(follower.await.unwrap().text(), "second");
    }
    assert_eq!(bench.origin.requests(), 2);
}

#[tokio::test]
async fn a_leader_that_goes_away_leaves_its_fetch_to_the_followers() {
    let gate = Arc::new(Semaphore::new(0));
    let bench =
        Arc::new(Bench::new(gated(&gate, |_| Reply::new(200, &[("cache-control", "max-age=60")], "first"))));
    let spawn = || {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.get().await })
    };
    let leader = spawn();
    until(|| bench.origin.requests() == 1).await;
    let follower = spawn();
    settle().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    settle().await;
    gate.add_permits(100);
    assert_eq!(follower.await.unwrap().text(), "first");
    assert_eq!(bench.origin.requests(), 1);
}

#[tokio::test]
async fn a_fetch_that_nobody_waits_for_ends() {
    struct Ended(Arc<AtomicBool>);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let ended = Arc::new(AtomicBool::new(false));
    let bench = Arc::new(Bench::new({
        let ended = Arc::clone(&ended);
        Origin::new(move |_, _| {
            let ended = Ended(Arc::clone(&ended));
            async move {
                let _ended = ended;
                std::future::pending().await
            }
        })
    }));
    let caller = tokio::spawn({
        let bench = Arc::clone(&bench);
        async move { bench.get().await }
    });
    until(|| bench.origin.requests() == 1).await;
    caller.abort();
    until(|| ended.load(Ordering::SeqCst)).await;
}

#[tokio::test]
async fn a_failure_is_tried_once_more_and_then_shared() {
    let gate = Arc::new(Semaphore::new(0));
    let bench = {
        let gate = Arc::clone(&gate);
        Bench::new(Origin::new(move |_, _| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Err(OriginError("connection refused"))
            }
        }))
    };
    let (answers, ()) = tokio::join!(join_all((0..100).map(|_| bench.engine.handle(get()))), async {
        settle().await;
        gate.add_permits(1000);
    });
    for answer in answers {
        let error = answer.unwrap_err();
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "connection refused");
    }
    assert_eq!(bench.origin.requests(), 2);
}

#[tokio::test]
async fn who_waits_too_long_fetches_for_itself() {
    let gate = Arc::new(Semaphore::new(0));
    let origin = {
        let gate = Arc::clone(&gate);
        Origin::new(move |nth, _| {
            let gate = Arc::clone(&gate);
            async move {
                if nth == 0 {
                    gate.acquire().await.unwrap().forget();
                }
                Ok(Reply::new(200, &[("cache-control", "max-age=60")], nth.to_string()))
            }
        })
    };
    let bench = Bench::with(origin, memory(), |builder| builder.wait_for_leader(Duration::from_millis(20)));
    let leader = bench.engine.handle(get());
    let follower = async {
        let answer = bench.get().await;
        gate.add_permits(1);
        answer
    };
    let (leader, follower) = tokio::join!(leader, follower);
    assert_eq!(follower.text(), "1");
    assert_eq!(Got::of(leader.unwrap()).await.unwrap().text(), "0");
}

#[tokio::test]
async fn followers_are_served_stale_when_the_leader_fails() {
    let bench = Bench::new(Origin::new(|nth, _| async move {
        settle().await;
        match nth {
            0 => Ok(Reply::new(200, &[("cache-control", "max-age=1, stale-if-error=600")], "stored")),
            _ => Err(OriginError("down")),
        }
    }));
    bench.get().await;
    bench.clock.forward(5);
    for answer in join_all((0..20).map(|_| bench.get())).await {
        assert_eq!((answer.text(), answer.info.source), ("stored", Source::Stale));
    }
    assert_eq!(bench.origin.requests(), 2);
}

/// A request that demands the origin's own word is not answered with what another's fetch brought.
#[tokio::test]
async fn a_reload_does_not_wait_for_others() {
    let gate = Arc::new(Semaphore::new(0));
    let bench = {
        let gate = Arc::clone(&gate);
        Bench::new(Origin::new(move |nth, _| {
            let gate = Arc::clone(&gate);
            async move {
                if nth == 0 {
                    gate.acquire().await.unwrap().forget();
                }
                Ok(Reply::new(200, &[("cache-control", "max-age=60")], nth.to_string()))
            }
        }))
    };
    let (first, second) = tokio::join!(bench.get(), async {
        settle().await;
        let answer = bench.send(with_field(get(), "cache-control", "no-cache")).await;
        gate.add_permits(1);
        answer
    });
    assert_eq!((first.text(), second.text()), ("0", "1"));
}

/// A store that takes its time is asked a few times for a thousand requests: who comes while it looks shares its next look.
#[tokio::test(start_paused = true)]
async fn a_thousand_requests_are_a_few_lookups() {
    let storage = FaultyStorage::new(memory());
    storage.inject(Rule::on(Operation::Lookup, Fault::Delay(Duration::from_millis(100))));
    let origin = Origin::new(|_, _| async {
        settle().await;
        Ok(Reply::new(200, &[("cache-control", "max-age=60")], "once"))
    });
    let bench = Arc::new(Bench::with(origin, Arc::new(storage.clone()), |builder| builder));
    let all = async || {
        let callers = (0..1000).map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.get().await.body })
        });
        for body in join_all(callers).await {
            assert_eq!(body.unwrap(), "once");
        }
    };
    all().await;
    let cold = storage.calls(Operation::Lookup);
    assert!(cold <= 6, "{cold} lookups before the answer was stored");
    all().await;
    let warm = storage.calls(Operation::Lookup) - cold;
    assert!(warm <= 2, "{warm} lookups of what is stored");
    assert_eq!(bench.origin.requests(), 1);
}

/// All who wait for a store that does not answer wait for it once.
#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_costs_each_its_deadline_once() {
    let storage = FaultyStorage::new(memory());
    storage.inject(Rule::on(Operation::Lookup, Fault::Hang));
    let origin =
        Origin::new(|_, _| async { Ok(Reply::new(200, &[("cache-control", "max-age=60")], "body")) });
    let deadline = Duration::from_secs(1);
    let bench =
        Arc::new(Bench::with(origin, Arc::new(storage.clone()), |builder| builder.read_deadline(deadline)));
    let began = tokio::time::Instant::now();
    let callers = (0..50).map(|_| {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.get().await.body })
    });
    for body in join_all(callers).await {
        assert_eq!(body.unwrap(), "body");
    }
    // The clock is the test's: it moves by what is waited for, and by nothing else.
    assert!(began.elapsed() < deadline * 2, "{:?}", began.elapsed());
}
