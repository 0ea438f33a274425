//! Writes the seeds that no editor can: `cargo run --manifest-path fuzz/Cargo.toml --example write_seeds`.

#![allow(missing_docs, reason = "an example")]

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use cache_api::{
    Body, BodyId, CacheKey, CborSerializer, Change, Codec, Entry, Envelope, Frame, Head, InlineBody,
    MessagePackSerializer, Namespace, Place, Selector, SelectorDigest, Serializer, Storage, StoredHead,
    TagDigest, VariantId,
};
use cache_backend_object_store::ObjectStoreStorage;
use cache_fuzz::object_record;
use cache_serializers::Compressed;
use http::{HeaderMap, Method, StatusCode};
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let place = place();
    let heads = [("plain", head()), ("empty", bare())];
    for (name, head) in heads {
        let sealed = CborSerializer::new().encode_head(&place, &head).await?;
        write("cbor_head", name, &Envelope::open(sealed, Codec::CBOR, &place)?.payload)?;
        let sealed = MessagePackSerializer::new().encode_head(&place, &head).await?;
        write("messagepack_head", name, &Envelope::open(sealed, Codec::MESSAGEPACK, &place)?.payload)?;
    }
    compressed().await?;
    record().await
}

async fn compressed() -> Outcome {
    let place = place().frame(0, true);
    for (name, text) in [("text", "hello, hello, hello. ".repeat(40)), ("zeros", "\0".repeat(65_000))] {
        let content = CborSerializer::new().encode_frame(&place, text.clone().into()).await?;
        let len = u32::try_from(content.len())?.to_le_bytes();
        let wrapped = Compressed::new(CborSerializer::new()).encode_frame(&place, text.into()).await?;
        let payload = Envelope::open(wrapped, Codec::ZSTD, &place)?.payload;
        write("compressed", name, &[&[1][..], &len[..3], &payload].concat())?;
    }
    write("compressed", "plain", b"\x00\x00\x00\x00plain")?;
    write("compressed", "odd", b"\xc1\x00\x00\x00header of another length")
}

async fn record() -> Outcome {
    let (key, path) = (object_record::KEY, object_record::path());
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let storage = ObjectStoreStorage::builder().store(Arc::clone(&store)).build().await?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (name, id) in [("one", [1; 16]), ("two", [2; 16]), ("removed", [3; 16])] {
        let found = storage.lookup(&key, now).await?;
        let head = StoredHead::from_bytes(Bytes::from_static(b"head"));
        let entry = Entry::new(key, VariantId::from_bytes(id), head, now, now + Duration::from_secs(3600));
        let entry = entry.with_tags([TagDigest::of("a"), TagDigest::of("b")]);
        let frame = Frame::from_bytes(Bytes::from_static(b"body"));
        let body = Body::Inline(InlineBody { id: BodyId::from_bytes(id), frame, len: 4 });
        if name == "removed" {
            storage.remove(&key, None, now).await?;
        } else {
            storage.commit(found.ticket(), entry, Change::Put(body), now).await?;
        }
        let object = store.get(&path).await?.bytes().await?;
        // Without magic word, checksum, the writing's id and the key.
        write("object_record", name, &object.slice(4 + 8 + 16 + 32..))?;
    }
    Ok(())
}

fn place() -> Place {
    let body = BodyId::from_bytes([3; 16]);
    Place::head(&Namespace::default(), CacheKey::from_bytes([1; 32]), VariantId::ONLY, body)
}

fn bare() -> Head {
    let arrived = SystemTime::UNIX_EPOCH;
    Head::new(Method::HEAD, "", StatusCode::NO_CONTENT, HeaderMap::new(), arrived, arrived)
}

fn head() -> Head {
    let arrived = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let mut headers = HeaderMap::new();
    for (name, value) in
        [("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("set-cookie", "a=1"), ("set-cookie", "b")]
    {
        headers.append(name, value.parse().expect("a field value"));
    }
    let mut head = Head::new(Method::GET, "https://a.example/", StatusCode::OK, headers, arrived, arrived);
    let selector = |name: &'static str, value| Selector { name: http::HeaderName::from_static(name), value };
    head.selectors = vec![selector("accept", None), selector("cookie", Some(SelectorDigest([7; 16])))];
    head
}

fn write(target: &str, name: &str, bytes: &[u8]) -> Outcome {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&directory)?;
    Ok(fs::write(directory.join(name), bytes)?)
}
