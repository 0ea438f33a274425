use http::{HeaderMap, header};
use url::Url;

/// Whether `Host` asks for another host than the URL names: the answer is then not that of the URL.
#[must_use]
pub fn names_another_host(headers: &HeaderMap, url: &Url) -> bool {
    let mut lines = headers.get_all(header::HOST).iter();
    let Some(line) = lines.next() else { return false };
    let host = line.as_bytes();
    let named = url.host_str().and_then(|name| host.split_at_checked(name.len()).map(|cut| (name, cut)));
    let Some((name, (first, rest))) = named else { return true };
    let port = match rest {
        [] => None,
        [b':', digits @ ..] => match std::str::from_utf8(digits).map(str::parse::<u16>) {
            Ok(Ok(port)) => Some(port),
            _ => return true,
        },
        _ => return true,
    };
    let is_default = port.is_none() && url.port().is_none();
    let same_port = is_default || port.is_some() && port == url.port_or_known_default();
    lines.next().is_some() || !first.eq_ignore_ascii_case(name.as_bytes()) || !same_port
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_host_is_the_urls_or_another() {
        let table: [(&str, &[&str], bool); 14] = [
            ("http://a.test/", &[], false),
            ("http://a.test/", &["a.test"], false),
            ("http://a.test/", &["A.Test"], false),
            ("http://a.test/", &["a.test:80"], false),
            ("https://a.test/", &["a.test:443"], false),
            ("http://a.test:8080/", &["a.test:8080"], false),
            ("http://[::1]:81/", &["[::1]:81"], false),
            ("http://a.test/", &["b.test"], true),
            ("http://a.test/", &["a.test.b"], true),
            ("http://a.test/", &["a.test:81"], true),
            ("http://a.test:8080/", &["a.test"], true),
            ("http://a.test/", &["a.test:x"], true),
            ("http://a.test/", &[""], true),
            ("http://a.test/", &["a.test", "b.test"], true),
        ];
        for (url, hosts, another) in table {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, HeaderValue::from_static(host));
            }
            assert_eq!(names_another_host(&headers, &Url::parse(url).unwrap()), another, "{url} {hosts:?}");
        }
    }
}
