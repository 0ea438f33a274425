use http::StatusCode;

use super::*;

fn matches(rule: Rule, url: &str) -> bool {
    Rules::new([rule]).unwrap().find(&Url::parse(url).unwrap()) == Some(0)
}

#[test]
fn hosts() {
    let table = [
        ("*.site.com", "https://a.site.com/", true),
        ("*.site.com", "https://a.b.site.com/x", true),
        ("*.site.com", "https://A.Site.COM:8443/?q", true),
        ("*.site.com", "https://a.site.com./", true),
        ("*.Site.COM", "https://a.site.com/", true),
        ("*.site.com", "https://site.com/", false),
        ("{,*.}site.com", "https://site.com/", true),
        ("{,*.}site.com", "https://a.site.com/", true),
        ("{,*.}site.com", "https://evilsite.com/", false),
        // A host's pattern sees the host alone.
        ("*.site.com", "https://evil.com/?u=.site.com", false),
        ("*.site.com", "https://evil.com/a.site.com", false),
        ("*.site.com", "https://evil.com/?https://a.site.com", false),
        ("*.site.com", "https://evil.com/#.site.com", false),
        ("*.site.com", "https://a.site.com@evil.com/", false),
        ("*.site.com", "https://a.site.com.evil.com/", false),
        ("*.site.com", "https://evil.com:443/a.site.com", false),
        ("*", "https://evil.com/", true),
        ("api?.site.com", "https://api1.site.com/", true),
        ("api?.site.com", "https://api12.site.com/", false),
        ("api[0-9].site.com", "https://api1.site.com/", true),
        ("api[0-9].site.com", "https://apix.site.com/", false),
        ("a.site.com.", "https://a.site.com/", true),
        ("127.0.0.1", "http://127.1/", true),
        ("[::1]", "http://[0:0::1]:80/", true),
        ("[::1]", "http://[::2]/", false),
        ("xn--bcher-kva.example", "https://b\u{fc}cher.example/", true),
    ];
    for (glob, url, expected) in table {
        assert_eq!(matches(Rule::new("r").host(glob), url), expected, "{glob} and {url}");
    }
}

#[test]
fn paths() {
    let table = [
        ("/v1/*", "https://h/v1/a", true),
        ("/v1/*", "https://h/v1/", true),
        ("/v1/*", "https://h/v1/a?b", true),
        ("/v1/*", "https://h/v1/a/b", false),
        ("/v1/*", "https://h/v1", false),
        ("/v1/**", "https://h/v1/a/b", true),
        ("/v1/**", "https://h/v1/a", true),
        ("/v1/**", "https://h/v2/v1/a", false),
        ("/v1/**", "https://h/?/v1/a", false),
        ("/v1/**", "https://h/v2/../v1/a", true),
        ("**/*.json", "https://h/a/b.json", true),
        ("**/*.json", "https://h/a/b.json?x", true),
        ("**/*.json", "https://h/a?b.json", false),
        ("/V1/*", "https://h/v1/a", false),
        ("/a%20b", "https://h/a b", true),
        ("/{a,b}", "https://h/b", true),
        (r"/\*", "https://h/*", true),
        (r"/\*", "https://h/a", false),
    ];
    for (glob, url, expected) in table {
        assert_eq!(matches(Rule::new("r").path(glob), url), expected, "{glob} and {url}");
    }
}

#[test]
fn regular_expressions_match_as_a_whole() {
    let host = |regex: &str| Rule::new("r").host_regex(regex);
    let path = |regex: &str| Rule::new("r").path_regex(regex);
    let table = [
        (host(r"(.+\.)?site\.com"), "https://a.site.com/", true),
        (host(r"site\.com"), "https://evilsite.com/", false),
        (host(r"site\.com"), "https://site.com.evil.com/", false),
        (host(r"site\.com|other\.com"), "https://xother.com/", false),
        (host(r"site\.com"), "https://evil.com/?u=site.com", false),
        (host(r"SITE\.com"), "https://site.com/", true),
        (path(r"/v[0-9]+/.*"), "https://h/v12/a/b", true),
        (path(r"/v[0-9]+"), "https://h/v12/a", false),
        (path(r"/a|/b"), "https://h/bc", false),
        // A line's end is no path's end.
        (path(r"(?m)^/a$"), "https://h/a", true),
        (path(r"/A"), "https://h/a", false),
    ];
    for (rule, url, expected) in table {
        assert_eq!(matches(rule.clone(), url), expected, "{rule:?} and {url}");
    }
}

#[test]
fn the_first_that_matches_in_host_and_path_counts() {
    let rules = Rules::new([
        Rule::new("both").host("a.example").path("/x/*"),
        Rule::new("host").host("*.example"),
        Rule::new("path").path("/x/*"),
        Rule::new("later").host("a.example"),
    ])
    .unwrap();
    let table = [
        ("https://a.example/x/1", Some("both")),
        ("https://a.example/y", Some("host")),
        ("https://b.example/x/1", Some("host")),
        ("https://b.test/x/1", Some("path")),
        ("https://b.test/", None),
    ];
    for (url, expected) in table {
        let found = rules.find(&Url::parse(url).unwrap());
        let name = found.and_then(|index| Some(&**rules.iter().nth(index)?.name()));
        assert_eq!(name, expected, "{url}");
    }
    assert!(
        Rules::default().is_empty() && Rules::default().find(&Url::parse("https://h/").unwrap()).is_none()
    );
}

#[test]
fn what_cannot_be_used_is_named() {
    let rule = || Rule::new("api");
    let table = [
        (rule().host("[a"), "host of the rule `api`: not a glob"),
        (rule().host("{a,b"), "host of the rule `api`: not a glob"),
        (rule().host(""), "host of the rule `api`: empty: leave it out for all"),
        (rule().host("https://a.example"), "host of the rule `api`: a host has no scheme"),
        (rule().host("a.example/x"), "host of the rule `api`: not a host: the path has a setting of its own"),
        (rule().host("a.example:80"), "host of the rule `api`: the port does not count"),
        (
            rule().host("b\u{fc}cher.example"),
            "host of the rule `api`: not ASCII: write an international name in its ASCII form",
        ),
        (rule().path("v1/*"), "path of the rule `api`: a path begins with a slash"),
        (rule().path("/[z-a]"), "path of the rule `api`: not a glob"),
        (rule().host_regex("("), "host_regex of the rule `api`: not a regular expression"),
        (rule().host_regex("a)|(b"), "host_regex of the rule `api`: not a regular expression"),
        (rule().path_regex("["), "path_regex of the rule `api`: not a regular expression"),
        (rule().methods([Method::DELETE]), "methods of the rule `api`: answers to DELETE are never cached"),
        (
            rule().statuses([StatusCode::OK, StatusCode::NOT_MODIFIED]),
            "statuses of the rule `api`: a response with 304 is never stored",
        ),
        (
            rule().always_cache(true).expiry(Expiry::DoNotStore),
            "always_cache of the rule `api`: contradicts `expiry`: do not store",
        ),
    ];
    for (rule, expected) in table {
        let error = Rules::new([Rule::new("fine").host("*"), rule]).unwrap_err();
        assert_eq!(error.to_string(), expected);
        let by_library = expected.ends_with("not a glob") || expected.ends_with("expression");
        assert_eq!(std::error::Error::source(&error).is_some(), by_library, "{expected}");
    }
}
