//! One user's answer is never another's, however they say who they are.

#![cfg(all(feature = "memory", feature = "cookies"))]

use std::sync::Arc;

use crate::support::{Origin, Seen, builder, redirect, response, source};
use axum::response::Response as OriginResponse;
use client_reqwest::{
    CachedClient, CachedClientBuilder, MemoryStorage, Mode, RequestBuilder, ResponseExt, Source, Storage,
};
use http::header::{AUTHORIZATION, COOKIE, HeaderMap, SET_COOKIE};
use reqwest::cookie::Jar;

/// Answers with who it thinks the caller is. The query is the answer's `Cache-Control`, the path may ask for
/// `Vary` or lead elsewhere.
fn whoami(seen: &Seen) -> OriginResponse {
    let who = |name| seen.header(name).unwrap_or("nobody").to_owned();
    let body = format!("{} {}", who("authorization"), who("cookie"));
    let control = seen.query.as_deref().unwrap_or("max-age=60").replace("%20", " ");
    let mut fields = vec![("cache-control", control.as_str())];
    match seen.path.as_str() {
        "/vary" => fields.push(("vary", "authorization, cookie")),
        "/cookies" => fields.extend([("set-cookie", "session=theirs"), ("set-cookie", "b=2")]),
        _ => {}
    }
    response(200, &fields, body)
}

/// How a user says who they are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Bearer,
    DefaultHeaders,
    Userinfo,
    Cookie,
    Jar,
}

const WAYS: [Way; 5] = [Way::Bearer, Way::DefaultHeaders, Way::Userinfo, Way::Cookie, Way::Jar];

struct User {
    name: &'static str,
    way: Way,
    client: CachedClient,
}

impl User {
    /// Two users over one store; over one client where that can tell them apart.
    async fn two(way: Way, mode: Mode, storage: &Arc<dyn Storage>, origin: &Origin) -> [Self; 2] {
        let shared = over(storage, mode).build().await.unwrap();
        let mut users = Vec::new();
        for name in ["alice", "bob"] {
            let builder = over(storage, mode);
            let client = match way {
                Way::DefaultHeaders => {
                    let headers = HeaderMap::from_iter([(AUTHORIZATION, name.parse().unwrap())]);
                    builder.default_headers(headers).build().await.unwrap()
                }
                Way::Jar => {
                    let jar = Jar::default();
                    jar.add_cookie_str(&format!("user={name}"), &origin.url("/").parse().unwrap());
                    builder.cookie_provider(Arc::new(jar)).build().await.unwrap()
                }
                _ => shared.clone(),
            };
            users.push(Self { name, way, client });
        }
        users.try_into().unwrap_or_else(|_| panic!("two"))
    }

    fn get(&self, origin: &Origin, path: &str) -> RequestBuilder {
        let url = origin.url(path);
        match self.way {
            Way::Bearer => self.client.get(url).bearer_auth(self.name),
            Way::Cookie => self.client.get(url).header(COOKIE, format!("user={}", self.name)),
            Way::Userinfo => {
                self.client.get(url.replace("http://", &format!("http://{}:{}@", self.name, self.name)))
            }
            Way::DefaultHeaders | Way::Jar => self.client.get(url),
        }
    }

    /// How the origin names this user.
    fn is(&self) -> String {
        match self.way {
            Way::Bearer => format!("Bearer {} nobody", self.name),
            Way::DefaultHeaders => format!("{} nobody", self.name),
            Way::Userinfo if self.name == "alice" => "Basic YWxpY2U6YWxpY2U= nobody".into(),
            Way::Userinfo => "Basic Ym9iOmJvYg== nobody".into(),
            Way::Cookie | Way::Jar => format!("nobody user={}", self.name),
        }
    }
}

fn over(storage: &Arc<dyn Storage>, mode: Mode) -> CachedClientBuilder {
    builder().storage(Arc::clone(storage)).mode(mode)
}

fn memory() -> Arc<dyn Storage> {
    Arc::new(MemoryStorage::new())
}

#[tokio::test]
async fn in_a_private_cache_each_user_has_answers_of_their_own() {
    let origin = Origin::with(whoami).await;
    for way in WAYS {
        let storage = memory();
        let users = User::two(way, Mode::Private, &storage, &origin).await;
        for path in ["/a", "/b?private,%20max-age=60", "/c?public,%20max-age=60", "/vary", "/d?no-store"] {
            for round in 0..3 {
                for user in &users {
                    let response = user.get(&origin, path).send().await.unwrap();
                    let hit = source(&response) == Source::Store;
                    assert_eq!(hit, round > 0 && path != "/d?no-store", "{way:?} {path} {round}");
                    assert_eq!(response.text().await.unwrap(), user.is(), "{way:?} {path}");
                }
            }
        }
        // Somebody without credentials is a third user.
        let anonymous = over(&storage, Mode::Private).build().await.unwrap();
        let body = anonymous.get(origin.url("/a")).send().await.unwrap().text().await.unwrap();
        assert_eq!(body, "nobody nobody", "{way:?}");
    }
}

#[tokio::test]
async fn in_a_shared_cache_no_answer_to_credentials_is_another_users() {
    let origin = Origin::with(whoami).await;
    for way in WAYS {
        let storage = memory();
        let users = User::two(way, Mode::Shared, &storage, &origin).await;
        // What depends on a cookie and does not say so is the origin's own fault in a shared cache.
        let mut paths =
            vec!["/b?private,%20max-age=60", "/vary", "/vary?public,%20max-age=60", "/d?no-store"];
        if !matches!(way, Way::Cookie | Way::Jar) {
            paths.extend(["/a", "/e?max-age=60,%20immutable"]);
        }
        for path in paths {
            for _ in 0..3 {
                for user in &users {
                    let response = user.get(&origin, path).send().await.unwrap();
                    assert_eq!(response.text().await.unwrap(), user.is(), "{way:?} {path}");
                }
            }
            let anonymous = over(&storage, Mode::Shared).build().await.unwrap();
            let body = anonymous.get(origin.url(path)).send().await.unwrap().text().await.unwrap();
            assert_eq!(body, "nobody nobody", "{way:?} {path}");
        }
    }
}

#[tokio::test]
async fn in_a_shared_cache_authorized_answers_are_stored_as_the_origin_allows() {
    let origin = Origin::with(whoami).await;
    // RFC 9111 §3.5, and what it does not name.
    let rows = [
        ("max-age=60", false),
        ("max-age=60,%20immutable", false),
        ("private,%20max-age=60", false),
        ("public,%20max-age=60", true),
        ("s-maxage=60", true),
        ("max-age=60,%20must-revalidate", true),
    ];
    for (control, stored) in rows {
        let client = over(&memory(), Mode::Shared).build().await.unwrap();
        let scoped = over(&memory(), Mode::Shared).tenant("acme").build().await.unwrap();
        let path = origin.url(&format!("/?{control}"));
        for (client, expected) in [(client, stored), (scoped, !control.starts_with("private"))] {
            for round in 0..2 {
                let response = client.get(&path).bearer_auth("alice").send().await.unwrap();
                let hit = source(&response) == Source::Store;
                assert_eq!(hit, round == 1 && expected, "{control} {:?}", response.cache_info());
            }
        }
    }
}

#[tokio::test]
async fn a_tenant_shares_nothing_with_another() {
    let origin = Origin::with(whoami).await;
    for mode in [Mode::Private, Mode::Shared] {
        let storage = memory();
        let acme = over(&storage, mode).tenant("acme").build().await.unwrap();
        let nobody = over(&storage, mode).build().await.unwrap();
        let get = async |request: RequestBuilder| source(&request.send().await.unwrap());
        let url = origin.url("/");
        assert_eq!(get(acme.get(&url)).await, Source::Origin);
        assert_eq!(get(acme.get(&url)).await, Source::Store);
        assert_eq!(get(acme.get(&url).tenant("other")).await, Source::Origin);
        assert_eq!(get(nobody.get(&url)).await, Source::Origin);
        assert_eq!(get(nobody.get(&url).tenant("acme")).await, Source::Store);
        let built = nobody.get(&url).tenant("other").build().unwrap();
        assert_eq!(source(&nobody.execute(built).await.unwrap()), Source::Store);
        // One tenant's unsafe request leaves the others' answers alone.
        acme.post(&url).send().await.unwrap();
        assert_eq!(get(acme.get(&url)).await, Source::Origin);
        assert_eq!(get(nobody.get(&url)).await, Source::Store);
        for seen in origin.seen() {
            assert!(!format!("{seen:?}").contains("acme"), "the origin learned of the tenant");
        }
    }
}

#[tokio::test]
async fn credentials_that_a_redirect_dropped_do_not_return_on_hits() {
    // A → B → A, and A → B → B; all of it cacheable for everybody.
    let a_url = Arc::new(std::sync::OnceLock::<String>::new());
    let back = a_url.clone();
    let b = Origin::with(move |seen| {
        let mut answer = match seen.path.as_str() {
            "/to-a" => redirect(302, back.get().unwrap()),
            "/to-b" => redirect(302, "/end"),
            _ => whoami(seen),
        };
        answer.headers_mut().insert("cache-control", "public, max-age=60".parse().unwrap());
        answer
    })
    .await;
    let to = b.url("/");
    let a = Origin::with(move |seen| match seen.path.strip_prefix("/via/") {
        Some(path) => {
            let mut answer = redirect(301, format!("{to}{path}"));
            answer.headers_mut().insert("cache-control", "public, max-age=60".parse().unwrap());
            answer
        }
        None => whoami(seen),
    })
    .await;
    a_url.set(a.url("/end?public,%20max-age=60")).unwrap();
    for mode in [Mode::Private, Mode::Shared] {
        for way in WAYS {
            let storage = memory();
            for path in ["/via/to-a", "/via/to-b"] {
                for user in &User::two(way, mode, &storage, &a).await {
                    for round in 0..2 {
                        let response = user.get(&a, path).send().await.unwrap();
                        // The jar answers for the host, whose ports share their cookies (RFC 6265 §8.5).
                        let body = response.text().await.unwrap();
                        if way != Way::Jar {
                            assert_eq!(body, "nobody nobody", "{mode:?} {way:?} {path} {round}");
                        } else if mode == Mode::Private {
                            assert_eq!(body, user.is(), "{mode:?} {way:?} {path} {round}");
                        }
                    }
                }
            }
            if way != Way::Jar {
                for seen in b.seen() {
                    assert_eq!((seen.header("authorization"), seen.header("cookie")), (None, None));
                }
            }
            b.forget();
        }
    }
}

#[tokio::test]
async fn a_stored_hop_is_its_own_users() {
    // Where a login leads depends on who asks.
    let origin = Origin::with(|seen| match seen.path.as_str() {
        "/me" => {
            let who = seen.header("authorization").unwrap_or("nobody").replace("Bearer ", "");
            let mut answer = redirect(302, format!("/{who}"));
            answer.headers_mut().insert("cache-control", "max-age=60".parse().unwrap());
            answer
        }
        _ => response(200, &[("cache-control", "max-age=60")], "home"),
    })
    .await;
    for mode in [Mode::Private, Mode::Shared] {
        let users = User::two(Way::Bearer, mode, &memory(), &origin).await;
        for round in 0..2 {
            for user in &users {
                let response = user.get(&origin, "/me").send().await.unwrap();
                assert_eq!(response.url().path(), format!("/{}", user.name));
                let hit = round == 1 && mode == Mode::Private;
                assert_eq!(source(&response) == Source::Store, hit, "{mode:?}");
            }
        }
    }
}

#[tokio::test]
async fn stored_cookies_reach_no_jar_and_keep_their_lines() {
    let origin = Origin::with(whoami).await;
    for (mode, control) in [(Mode::Private, "max-age=60"), (Mode::Shared, "public,%20max-age=60")] {
        let storage = memory();
        let path = origin.url(&format!("/cookies?{control}"));
        let first = over(&storage, mode).build().await.unwrap();
        first.get(&path).send().await.unwrap();
        let second = over(&storage, mode).cookie_store(true).build().await.unwrap();
        let response = second.get(&path).send().await.unwrap();
        assert_eq!(source(&response), Source::Store);
        let lines: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
        assert_eq!(lines, ["session=theirs", "b=2"]);
        second.get(origin.url("/after?no-store")).send().await.unwrap();
        assert_eq!(origin.last().header("cookie"), None, "{mode:?}");
        // What comes from the origin does.
        second.get(&path).reload().send().await.unwrap();
        second.get(origin.url("/after?no-store")).send().await.unwrap();
        assert!(origin.last().header("cookie").unwrap().contains("session=theirs"));
    }
}

#[tokio::test]
async fn a_shared_cache_stores_no_unmarked_cookies() {
    let origin = Origin::with(whoami).await;
    let client = over(&memory(), Mode::Shared).build().await.unwrap();
    for _ in 0..2 {
        let response = client.get(origin.url("/cookies?max-age=60")).send().await.unwrap();
        assert_eq!(source(&response), Source::Origin);
    }
}
