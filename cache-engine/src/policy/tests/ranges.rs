//! RFC 9110 §14 out of a complete stored response, and what is served.

use super::*;

const FRESH: &str = "200 | Cache-Control: max-age=60 | ETag: \"a\" | Last-Modified: @-100";

#[test]
fn of_a_complete_response() {
    let weak = "200 | Cache-Control: max-age=60 | ETag: W/\"a\" | Last-Modified: @0";
    let table = [
        (FRESH, "GET | Range: bytes=0-1", "0-1"),
        (FRESH, "GET | Range: bytes=1-", "1-9"),
        (FRESH, "GET | Range: bytes=-1", "9-9"),
        (FRESH, "GET | Range: bytes=10-", "RangeNotSatisfiable { complete: 10 }"),
        (FRESH, "GET | Range: bytes=0-1, 3-4", "Full"),
        (FRESH, "HEAD | Range: bytes=0-1", "Head"),
        ("404 | Cache-Control: max-age=60", "GET | Range: bytes=0-1", "Full"),
        // The caller's conditions come first (RFC 9110 §13.2.2).
        (FRESH, "GET | Range: bytes=0-1 | If-None-Match: \"a\"", "NotModified"),
        (FRESH, "GET | Range: bytes=0-1 | If-None-Match: \"b\"", "0-1"),
        (FRESH, "GET | Range: bytes=0-1 | If-Range: \"a\"", "0-1"),
        (FRESH, "GET | Range: bytes=0-1 | If-Range: \"b\"", "Full"),
        (FRESH, "GET | Range: bytes=0-1 | If-Range: W/\"a\"", "Full"),
        (weak, "GET | Range: bytes=0-1 | If-Range: W/\"a\"", "Full"),
        (FRESH, "GET | Range: bytes=0-1 | If-Range: @-100", "0-1"),
        (FRESH, "GET | Range: bytes=0-1 | If-Range: @-99", "Full"),
        // Modified in the second of its Date: not strong.
        (weak, "GET | Range: bytes=0-1 | If-Range: @0", "Full"),
    ];
    for (response, request, form) in table {
        assert_eq!(
            decide(&private(), &req(request), &[stored(response)], 1),
            format!("Serve 0 {form} Fresh"),
            "{request}"
        );
    }
    // Without the body's length there is no range to answer.
    let (head, request) = (stored(FRESH), req("GET | Range: bytes=0-1"));
    let before = before(&private(), &request.view(), &[StoredView::new(&head)], at(1));
    assert!(matches!(before.decision, Decision::Serve { form: Form::Full, .. }));
}

#[test]
fn heads_as_served() {
    let text = "200 | Cache-Control: max-age=60 | ETag: \"a\" | Content-Type: t | Content-Length: 10 | \
                Content-Encoding: br | Set-Cookie: a | Set-Cookie: b | Date: @-5 | X: 1";
    let head = stored(text);
    let common = "Cache-Control: max-age=60 | ETag: \"a\" | Set-Cookie: a | Set-Cookie: b | Date: @-5 | X: 1";
    let part = |first, last| Form::Range(ByteRange { first, last, complete: 10, at: first });
    let whole = format!("{common} | Content-Type: t | Content-Length: 10 | Content-Encoding: br | Age: 7");
    let table = [
        (Form::Full, 200, whole.clone()),
        (Form::Head, 200, whole),
        (Form::NotModified, 304, format!("{common} | Age: 7")),
        (
            part(2, 4),
            206,
            format!(
                "{common} | Content-Type: t | Content-Encoding: br | Content-Length: 3 | Content-Range: bytes 2-4/10 | Age: 7"
            ),
        ),
        (
            Form::RangeNotSatisfiable { complete: 10 },
            416,
            "Date: @-5 | Content-Length: 0 | Content-Range: bytes */10".to_owned(),
        ),
    ];
    for (form, status, expected) in table {
        let served = serve(&head, form, Some(Duration::from_millis(7900)));
        assert_eq!((served.status.as_u16(), served.headers), (status, fields(&expected)), "{form:?}");
    }
    // Confirmed by the origin: no Age of ours. Dates are served as they came.
    assert_eq!(serve(&head, Form::Full, None).headers, head.headers);
    assert_eq!(unsatisfiable().status, StatusCode::GATEWAY_TIMEOUT);
}
