//! Chains of redirects, as far as they are stored.

use crate::support::{Draft, Shelf, on_each};
use cache_admin::Target;
use http::{HeaderValue, StatusCode, header};
use url::Url;

fn to(url: &str, location: &str) -> Draft {
    Draft { status: StatusCode::FOUND, ..Draft::new(url) }.field("location", location)
}

async fn urls(shelf: &Shelf, from: &str) -> Vec<(String, usize)> {
    let chain = shelf.admin.chain(&Target::get(&Url::parse(from).unwrap())).await.unwrap();
    chain.into_iter().map(|hop| (hop.url.into(), hop.entries.len())).collect()
}

#[tokio::test]
async fn it_is_followed_hop_by_hop() {
    on_each(|shelf| async move {
        shelf.put(&to("https://a.test/1", "/2?x=1#here")).await;
        shelf.put(&to("https://a.test/2?x=1", "//user:secret@b.test/3")).await;
        shelf.put(&Draft::new("https://b.test/3")).await;
        let hops = urls(&shelf, "https://a.test/1").await;
        let expected = [("https://a.test/1", 1), ("https://a.test/2?x=1", 1), ("https://b.test/3", 1)];
        assert_eq!(hops, expected.map(|(url, entries)| (url.to_owned(), entries)));
        let target = Target::get(&Url::parse("https://a.test/1").unwrap());
        let first = shelf.admin.chain(&target).await.unwrap().remove(0).entries.remove(0);
        assert_eq!(
            (first.status(), first.location().unwrap().as_str()),
            (Some(StatusCode::FOUND), hops[1].0.as_str())
        );
    })
    .await;
}

#[tokio::test]
async fn it_ends_at_what_is_not_stored_and_at_what_it_has_had() {
    on_each(|shelf| async move {
        shelf.put(&to("https://a.test/1", "https://a.test/2")).await;
        assert_eq!(urls(&shelf, "https://a.test/1").await[1], ("https://a.test/2".to_owned(), 0));
        shelf.put(&to("https://a.test/2", "https://a.test/1")).await;
        assert_eq!(urls(&shelf, "https://a.test/1").await.len(), 2, "a loop");
        shelf.put(&to("https://a.test/self", "#fragment")).await;
        assert_eq!(urls(&shelf, "https://a.test/self").await.len(), 1);
        for n in 0..30 {
            shelf.put(&to(&format!("https://long.test/{n}"), &format!("/{}", n + 1))).await;
        }
        assert_eq!(urls(&shelf, "https://long.test/0").await.len(), 20);
        // 300 has a choice, and 200 no meaning for it.
        shelf.put(&Draft::new("https://a.test/ok").field("location", "/1")).await;
        assert_eq!(urls(&shelf, "https://a.test/ok").await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn credentials_stay_at_their_origin() {
    on_each(|shelf| async move {
        let target = Target::get(&Url::parse("https://a.test/1").unwrap())
            .with_header(header::AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
        let key = shelf.admin.key_of(&target).await.unwrap().unwrap();
        shelf.put_at(key, &to("https://a.test/1", "https://b.test/")).await;
        shelf.put(&Draft::new("https://b.test/")).await;
        let hops = shelf.admin.chain(&target).await.unwrap();
        assert_eq!(hops.iter().map(|hop| hop.entries.len()).collect::<Vec<_>>(), [1, 1]);
    })
    .await;
}
