//! RFC 9111 §4.4.

use super::*;

#[test]
fn what_unsafe_requests_invalidate() {
    let table: &[(&str, &str, &[&str])] = &[
        ("POST", "200", &["/dir/page?q"]),
        ("PUT", "204", &["/dir/page?q"]),
        ("DELETE", "303", &["/dir/page?q"]),
        ("M-SEARCH", "200", &["/dir/page?q"]),
        ("POST", "400", &[]),
        ("POST", "500", &[]),
        ("GET", "200", &[]),
        ("HEAD", "200", &[]),
        ("OPTIONS", "200", &[]),
        ("QUERY", "200", &[]),
        ("POST", "201 | Location: new#part", &["/dir/page?q", "/dir/new"]),
        ("POST", "201 | Location: /a | Content-Location: /b", &["/dir/page?q", "/a", "/b"]),
        ("POST", "201 | Location: page?q | Content-Location: page?q", &["/dir/page?q"]),
        ("POST", "201 | Location: https://a.example:443/a", &["/dir/page?q", "/a"]),
        // Of another origin.
        ("POST", "201 | Location: https://b.example/a", &["/dir/page?q"]),
        ("POST", "201 | Location: http://a.example/a", &["/dir/page?q"]),
        ("POST", "201 | Location: https://a.example:8443/a", &["/dir/page?q"]),
        ("POST", "201 | Location: //", &["/dir/page?q"]),
        ("POST", "400 | Location: /a", &[]),
    ];
    for (request, answer, paths) in table {
        for bypass in [false, true] {
            let request = req(request).with(|controls| controls.bypass = bypass);
            let after = exchange(&private(), &request, &[], 0, answer);
            let found: Vec<_> = after.invalidates.iter().map(Url::as_str).collect();
            let expected: Vec<_> = paths.iter().map(|path| format!("https://a.example{path}")).collect();
            assert_eq!(found, expected, "{} → {answer}", request.method);
        }
    }
}
