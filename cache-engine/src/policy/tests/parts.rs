//! Stored parts: RFC 9111 §3.3, RFC 9110 §14.4 and §15.3.7.

use proptest::prelude::*;

use super::*;

const PART: &str = "206 | Cache-Control: max-age=60 | ETag: \"a\" | Content-Range: bytes 100-109/200";
/// To the end of what it is a part of.
const TAIL: &str = "206 | Cache-Control: max-age=60 | Content-Range: bytes 190-199/200";
const WHOLE: &str = "200 | Cache-Control: max-age=60 | ETag: \"a\" | Content-Length: 200";

/// As [`decide`], over stored bodies of those lengths; ranges also say where they lie in what is stored.
fn decide_over(request: &Req, stored: &[(&Head, u64)], now: i64) -> String {
    let views: Vec<_> = stored.iter().map(|(head, len)| StoredView::new(head).with_body_len(*len)).collect();
    let before = before(&private(), &request.view(), &views, at(now));
    match before.decision {
        Decision::Serve { index, form: Form::Range(part) } => {
            format!("{index}: {}-{}/{} at {}", part.first, part.last, part.complete, part.at)
        }
        Decision::Serve { index, form } => format!("{index}: {form:?}"),
        Decision::ServeStale { index, .. } => format!("stale {index}"),
        Decision::Unsatisfiable => "504".to_owned(),
        ref other => {
            let ask = before.ask().unwrap();
            let kind = if matches!(other, Decision::Revalidate(_)) { "Revalidate" } else { "Fetch" };
            format!("{kind} {:?} {:?}{}", before.reason(), ask.selected, asked(ask))
        }
    }
}

#[test]
fn what_is_stored() {
    let options = private();
    let (range, fresh) = ("GET | Range: bytes=100-109", "Cache-Control: max-age=60");
    let table: &[(&str, &str, &str)] = &[
        (range, "Content-Range: bytes 100-109/200", "Store"),
        (range, "Content-Range: Bytes 100-109/200 | Content-Length: 10", "Store"),
        // Fewer bytes than it says: told apart when it is served.
        (range, "Content-Range: bytes 100-109/200 | Content-Length: 9", "Store"),
        (range, "Content-Range: bytes 100-109/200 | Content-Length: 11", "Pass Partial"),
        (range, "Content-Range: bytes 100-109/200 | Content-Length: 0", "Pass Partial"),
        (range, "Content-Range: bytes 100-109/*", "Pass Partial"),
        (range, "Content-Range: bytes */200", "Pass Partial"),
        (range, "Content-Range: bytes 109-100/200", "Pass Partial"),
        (range, "Content-Range: bytes 100-200/200", "Pass Partial"),
        (range, "Content-Range: lines 100-109/200", "Pass Partial"),
        (range, "Content-Range: bytes 100-109/200 | Content-Range: bytes 0-9/200", "Pass Partial"),
        (
            range,
            "Content-Range: bytes 0-9/20 | Content-Type: Multipart/ByteRanges; boundary=x",
            "Pass Partial",
        ),
        (range, "Content-Type: multipart/byteranges; boundary=x", "Pass Partial"),
        ("GET", "Content-Range: bytes 100-109/200", "Pass Partial"),
        ("HEAD | Range: bytes=100-109", "Content-Range: bytes 100-109/200", "Pass Partial"),
        // All other rules hold as for any response.
        (range, "Content-Range: bytes 100-109/200 | Cache-Control: no-store", "Pass ResponseNoStore"),
        (range, "Content-Range: bytes 100-109/200 | Vary: *", "Pass VaryStar"),
        (
            "GET | Range: bytes=1- | Cache-Control: no-store",
            "Content-Range: bytes 1-9/10",
            "Pass RequestNoStore",
        ),
    ];
    for (request, answer, expected) in table {
        let after = exchange(&options, &req(request), &[], 0, &format!("206 | {fresh} | {answer}"));
        assert_eq!(outcome(&after), *expected, "{request} {answer}");
    }
    let part = "206 | Content-Range: bytes 100-109/200";
    for (options, request, answer, expected) in [
        (private(), range, format!("{part} | Last-Modified: @-86400"), "Store"),
        (private(), range, part.to_owned(), "Pass NotReusable"),
        (shared(), range, format!("{part} | Cache-Control: private, max-age=60"), "Pass Private"),
        (
            shared(),
            "GET | Range: bytes=100-109 | Authorization: x",
            format!("{part} | Cache-Control: max-age=60"),
            "Pass Authorization",
        ),
    ] {
        assert_eq!(
            outcome(&exchange(&options, &req(request), &[], 0, &answer)),
            expected,
            "{request} {answer}"
        );
    }
}

#[test]
fn what_a_part_answers() {
    let table = [
        (PART, 10, "bytes=100-109", "0: 100-109/200 at 0"),
        (PART, 10, "bytes=103-104", "0: 103-104/200 at 3"),
        (PART, 10, "bytes=109-109", "0: 109-109/200 at 9"),
        (PART, 10, "bytes=99-104", "Fetch PartOnly None"),
        (PART, 10, "bytes=0-4", "Fetch PartOnly None"),
        (PART, 10, "bytes=105-110", "Fetch PartOnly None"),
        (PART, 10, "bytes=300-", "Fetch PartOnly None"),
        (PART, 10, "bytes=105-", "Fetch PartOnly None"),
        (PART, 10, "bytes=-1", "Fetch PartOnly None"),
        (PART, 10, "bytes=100-101, 103-104", "Fetch PartOnly None"),
        (PART, 10, "bytes=104-103", "Fetch PartOnly None"),
        (PART, 10, "lines=100-109", "Fetch PartOnly None"),
        (TAIL, 10, "bytes=195-", "0: 195-199/200 at 5"),
        (TAIL, 10, "bytes=195-1000", "0: 195-199/200 at 5"),
        (TAIL, 10, "bytes=-10", "0: 190-199/200 at 0"),
        (TAIL, 10, "bytes=-3", "0: 197-199/200 at 7"),
        (TAIL, 10, "bytes=-11", "Fetch PartOnly None"),
        (TAIL, 10, "bytes=-0", "Fetch PartOnly None"),
        (TAIL, 10, "bytes=200-", "Fetch PartOnly None"),
        // An origin that sent fewer bytes than it said: what is there, under its own numbers.
        (TAIL, 8, "bytes=190-199", "0: 190-197/200 at 0"),
        (TAIL, 8, "bytes=195-", "0: 195-197/200 at 5"),
        (TAIL, 8, "bytes=198-", "Fetch PartOnly None"),
        (TAIL, 8, "bytes=-1", "0: 197-197/200 at 7"),
        (TAIL, 8, "bytes=-9", "Fetch PartOnly None"),
        (TAIL, 0, "bytes=190-199", "Fetch PartOnly None"),
        // Nothing that a store may hold by mistake is served beyond what it says.
        ("206 | Cache-Control: max-age=60", 10, "bytes=0-1", "Fetch PartOnly None"),
        (TAIL, 99, "bytes=-3", "0: 197-199/200 at 7"),
    ];
    for (part, len, range, expected) in table {
        let request = req(&format!("GET | Range: {range}"));
        assert_eq!(decide_over(&request, &[(&stored(part), len)], 1), expected, "{len} {range}");
    }
    let inside = "Range: bytes=100-101";
    for (request, expected) in [
        ("GET".to_owned(), "Fetch PartOnly None"),
        ("HEAD".to_owned(), "Fetch PartOnly None"),
        (format!("HEAD | {inside}"), "Fetch PartOnly None"),
        ("GET | Cache-Control: only-if-cached".to_owned(), "504"),
        ("GET | If-None-Match: \"a\"".to_owned(), "Fetch PartOnly None"),
        (format!("GET | {inside} | If-None-Match: \"a\""), "0: NotModified"),
        (format!("GET | {inside} | If-Range: \"a\""), "0: 100-101/200 at 0"),
        (format!("GET | {inside} | If-Range: \"b\""), "Fetch PartOnly None"),
        (format!("GET | {inside} | If-Range: W/\"a\""), "Fetch PartOnly None"),
        (format!("GET | {inside} | If-Match: \"a\""), "Fetch OriginCondition Some(0)"),
    ] {
        assert_eq!(decide_over(&req(&request), &[(&stored(PART), 10)], 1), expected, "{request}");
    }
    let before = ask_before(&private(), &req("GET"), &[stored(PART)], 1);
    assert_eq!((before.forward, before.ask().unwrap().coalesce), (Some(Forward::Partial), true));
}

#[test]
fn a_part_beside_a_complete_response() {
    let head = |text: &str, date: i64| {
        let mut head = stored(text);
        head.headers.insert("date", format_date(at(date)).parse().unwrap());
        head
    };
    let (inside, outside) = ("GET | Range: bytes=100-101", "GET | Range: bytes=0-1");
    let other = PART.replace("\"a\"", "\"b\"");
    let stale = WHOLE.replace("=60", "=1");
    let table = [
        (WHOLE, 0, PART, 0, inside, "0: 100-101/200 at 100"),
        (WHOLE, 0, PART, 0, "GET", "0: Full"),
        (WHOLE, 0, PART, 0, outside, "0: 0-1/200 at 0"),
        // The more recent one (RFC 9111 §4), unless they are the same.
        (WHOLE, 0, PART, 1, inside, "0: 100-101/200 at 100"),
        (WHOLE, 0, &other, 1, inside, "1: 100-101/200 at 0"),
        (WHOLE, 1, &other, 0, inside, "0: 100-101/200 at 100"),
        (WHOLE, 0, &other, 1, "GET", "0: Full"),
        // What can be used goes before what cannot; what is validated is the complete one.
        (&stale, 0, PART, 0, inside, "1: 100-101/200 at 0"),
        (&stale, 0, PART, 0, outside, "Revalidate Stale Some(0) inm=\"a\""),
        (&stale, 0, PART, 0, "GET", "Revalidate Stale Some(0) inm=\"a\""),
        (&stale, 0, &PART.replace("=60", "=1"), 0, inside, "Revalidate Stale Some(0) inm=\"a\""),
    ];
    for (whole, date, part, part_date, request, expected) in table {
        let (whole, part) = (head(whole, date), head(part, part_date));
        let (request, of) = (req(request), format!("{date} {part_date} {request}"));
        assert_eq!(decide_over(&request, &[(&whole, 200), (&part, 10)], 10), expected, "{of}");
        let turned = decide_over(&request, &[(&part, 10), (&whole, 200)], 10);
        let expected = expected.replace("0:", "x:").replace("1:", "0:").replace("x:", "1:");
        assert_eq!(turned, expected.replace("Some(0)", "Some(1)"), "{of}, turned");
    }
    assert_ne!(variant_id(&stored(WHOLE)), variant_id(&stored(PART)));
    assert_eq!(variant_id(&stored(TAIL)), variant_id(&stored(PART)));
    let varied = stored_for("GET | Foo: 1", &format!("{PART} | Vary: Foo"));
    assert_ne!(variant_id(&varied), variant_id(&stored(PART)));
}

#[test]
fn a_stale_part_is_validated_by_a_strong_tag_alone() {
    let stale = |more: &str| {
        stored(&format!("206 | Cache-Control: max-age=1{more} | Content-Range: bytes 100-109/200 | X: 1"))
    };
    let table = [
        (" | ETag: \"a\" | Last-Modified: @-100", "Revalidate Stale Some(0) inm=\"a\""),
        (" | ETag: W/\"a\"", "Fetch Stale Some(0)"),
        (" | Last-Modified: @-100", "Fetch Stale Some(0)"),
        ("", "Fetch Stale Some(0)"),
        // A refresh would ask for the whole.
        (", stale-while-revalidate=99 | ETag: \"a\"", "Revalidate Stale Some(0) inm=\"a\""),
    ];
    let request = req("GET | Range: bytes=100-101");
    for (more, expected) in table {
        assert_eq!(decide_over(&request, &[(&stale(more), 10)], 10), expected, "{more}");
    }
    let heads = [stale(" | ETag: \"a\"")];
    let answer = "304 | ETag: \"a\" | Cache-Control: max-age=60 | X: 2 | Content-Range: bytes 0-9/10";
    let after = exchange(&private(), &request, &heads, 10, answer);
    assert_eq!(outcome(&after), "Freshen 0 100-101 keep");
    let Outcome::Freshen { head, .. } = after.outcome else { panic!() };
    assert_eq!(
        (&head.headers["content-range"], &head.headers["x"]),
        (&"bytes 100-109/200".parse().unwrap(), &"2".parse().unwrap())
    );
    for (answer, expected) in [
        ("304 | ETag: W/\"a\"", "Refetch"),
        ("304 | ETag: \"b\"", "Refetch"),
        ("206 | ETag: \"b\" | Content-Range: bytes 100-101/200 | Cache-Control: max-age=9", "Store"),
        ("200 | ETag: \"b\" | Cache-Control: max-age=9", "Store, forget [0]"),
        ("200 | ETag: \"b\" | Cache-Control: no-store", "Pass ResponseNoStore, forget [0]"),
        (
            "206 | ETag: \"b\" | Content-Range: bytes 100-101/200 | Cache-Control: no-store",
            "Pass ResponseNoStore, forget [0]",
        ),
        (
            "206 | ETag: \"a\" | Content-Range: bytes 100-101/200 | Cache-Control: no-store",
            "Pass ResponseNoStore",
        ),
        ("404", "Pass NotReusable, forget [0]"),
        ("503", "Pass NoFreshness"),
    ] {
        assert_eq!(outcome(&exchange(&private(), &request, &heads, 10, answer)), expected, "{answer}");
    }
    let lenient = private().stale_if_error(secs(99));
    assert_eq!(outcome(&exchange(&lenient, &request, &heads, 10, "503")), "ServeStale 0 100-101");
    let beyond = req("GET | Range: bytes=0-101");
    assert_eq!(outcome(&exchange(&lenient, &beyond, &heads, 10, "503")), "Pass NoFreshness");
}

#[test]
fn what_an_answer_does_to_what_is_stored() {
    let whole = || stored("200 | Cache-Control: max-age=1 | ETag: \"a\" | Content-Length: 200");
    let untagged = || stored("200 | Cache-Control: max-age=1 | Content-Length: 200 | Last-Modified: @-100");
    let part = || stored(PART);
    let of_foo = || stored_for("GET | Foo: 1", &format!("{PART} | Vary: Foo"));
    let head = |tag: &str| format!("200 | Cache-Control: max-age=60 | ETag: {tag}");
    let new = |tag: &str, complete: u64| {
        format!("206 | Cache-Control: max-age=60 | ETag: {tag} | Content-Range: bytes 0-9/{complete}")
    };
    let table = [
        // A complete response takes the place of the parts of its variant.
        ("GET", vec![part()], head("\"b\""), "Store, forget [0]"),
        ("GET", vec![whole(), part()], head("\"b\""), "Store, forget [1]"),
        ("GET", vec![of_foo()], head("\"b\""), "Store"),
        ("GET | Foo: 1", vec![of_foo()], head("\"b\""), "Store, forget [0]"),
        ("GET", vec![part()], "500 | Cache-Control: max-age=60".to_owned(), "Store"),
        ("GET | Cache-Control: no-store", vec![part()], head("\"b\""), "Pass RequestNoStore"),
        // A part leaves a complete one in its place unless it is of something else.
        ("GET | Range: bytes=0-9", vec![whole()], new("\"a\"", 200), "Store"),
        ("GET | Range: bytes=0-9", vec![whole()], new("\"b\"", 200), "Store, forget [0]"),
        ("GET | Range: bytes=0-9", vec![untagged()], new("\"b\"", 200), "Store"),
        ("GET | Range: bytes=0-9", vec![untagged()], new("\"b\"", 201), "Store, forget [0]"),
        (
            "GET | Range: bytes=0-9",
            vec![untagged()],
            new("\"b\" | Last-Modified: @-9", 200),
            "Store, forget [0]",
        ),
        (
            "GET | Range: bytes=0-9",
            vec![stored("404 | Cache-Control: max-age=1")],
            new("\"b\"", 9),
            "Pass Partial, forget [0]",
        ),
        // Of two parts of a variant the newer one stays.
        ("GET | Range: bytes=0-9", vec![part()], new("\"a\"", 200), "Store"),
        // RFC 9111 §4.3.5
        ("HEAD", vec![part()], head("\"a\""), "Store"),
        ("HEAD", vec![part()], head("\"b\""), "Store, forget [0]"),
        ("HEAD", vec![stored(TAIL)], format!("{} | Content-Length: 200", head("\"a\"")), "Store"),
        ("HEAD", vec![stored(TAIL)], format!("{} | Content-Length: 201", head("\"a\"")), "Store, forget [0]"),
        ("HEAD", vec![part()], "410".to_owned(), "Pass NotReusable, forget [0]"),
    ];
    for (request, heads, answer, expected) in table {
        let after = exchange(&private(), &req(request), &heads, 10, &answer);
        assert_eq!(outcome(&after), expected, "{request} {answer} {heads:#?}");
    }
}

proptest! {
    /// Whatever is asked of a complete response and a part of it, and whatever the origin answers: the part is served
    /// to ranges alone.
    #[test]
    fn a_part_is_never_served_as_a_whole(
        method in "GET|HEAD",
        range in "( [|] Range: bytes=(10[0-9]|[0-9])?-(10[0-9]|[0-9])?(,1-2)?)?",
        rest in "( [|] (If-None-Match|If-Range): (\"[ab]\"|W/\"a\"|[*]))?( [|] Cache-Control: (no-cache|max-stale|max-age=0|only-if-cached))?",
        lifetimes in prop::array::uniform2(0..20_u8),
        etag in "\"[ab]\"|W/\"a\"",
        answer in prop::sample::select(vec!["200", "304", "304 | ETag: \"a\"", "404", "503", "206 | Content-Range: bytes 0-9/200"]),
        with_whole: bool,
        lenient: bool,
    ) {
        let head = |status, lifetime| stored(&format!(
            "{status} | Cache-Control: max-age={lifetime}, stale-while-revalidate=5 | ETag: {etag}"
        ));
        let heads = [
            head("206 | Content-Range: bytes 100-199/200", lifetimes[0]),
            head("200", lifetimes[1]),
        ];
        let heads = if with_whole { &heads[..] } else { &heads[..1] };
        let options = if lenient { private().stale_if_error(secs(99)) } else { private() };
        let request = req(&format!("{method}{range}{rest}"));
        let check = |index: usize, form: Form| match form {
            Form::Range(part) => method == "GET" && !range.is_empty() && (index == 1 || part.first == part.at + 100),
            Form::NotModified => index == 1 || !range.is_empty(),
            _ => index == 1,
        };
        let before = ask_before(&options, &request, heads, 10);
        match before.decision {
            Decision::Serve { index, form } => prop_assert!(check(index, form)),
            Decision::ServeStale { index, .. } => prop_assert_eq!(index, 1),
            _ => {}
        }
        if before.ask().is_some() {
            match exchange(&options, &request, heads, 10, answer).outcome {
                Outcome::Freshen { index, form, .. } | Outcome::ServeStale { index, form, .. } => {
                    prop_assert!(check(index, form), "{form:?}");
                }
                _ => {}
            }
        }
    }

    /// What is served lies within what is stored, and says where it lies in the whole.
    #[test]
    fn slices_lie_within(
        range in "bytes=[0-9]{0,3}-[0-9]{0,3}",
        first in 0..300_u64,
        span in 1..300_u64,
        rest in 0..2_u64,
        len in 0..300_u64,
    ) {
        let complete = first + span + rest;
        let text = format!("206 | Cache-Control: max-age=60 | Content-Range: bytes {first}-{}/{complete}", first + span - 1);
        let (head, request) = (stored(&text), req(&format!("GET | Range: {range}")));
        let view = StoredView::new(&head).with_body_len(len);
        let before = before(&private(), &request.view(), &[view], at(1));
        match before.decision {
            Decision::Serve { form: Form::Range(part), .. } => {
                prop_assert!(part.at + part.count() <= len.min(span));
                prop_assert_eq!(part.first, first + part.at);
                prop_assert!(part.last < first + span && part.complete == complete);
                // A part that is all that it says answers as the whole would.
                let whole = stored("200 | Cache-Control: max-age=60");
                let of_whole = [StoredView::new(&whole).with_body_len(complete)];
                let of_whole = super::before(&private(), &request.view(), &of_whole, at(1)).decision;
                let Decision::Serve { form: Form::Range(of_whole), .. } = of_whole else { panic!() };
                prop_assert!(len < span || (of_whole.first, of_whole.last) == (part.first, part.last));
            }
            Decision::Fetch(_) => {}
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
