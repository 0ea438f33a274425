use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use cache_api::{BodyId, Error, ErrorKind, Result};
use object_store::{ObjectStore, memory::InMemory};
use tokio::sync::OnceCell;

use crate::{
    ObjectStoreStorageBuilder,
    error::{config, error, failed},
    files::Files,
    objects::{Found, Objects},
    schema::{Kind, Names},
};

/// What a builder is to connect to.
#[derive(Clone)]
pub(crate) enum Target {
    Unset,
    Memory,
    Given(Arc<dyn ObjectStore>),
    Directory(PathBuf),
    Bucket(Bucket),
}

/// What a URL names.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) provider: Provider,
    pub(crate) name: String,
    /// Settings of the client library: they may be secrets.
    #[cfg_attr(
        not(any(feature = "aws", feature = "azure", feature = "gcp")),
        allow(dead_code, reason = "there is no client to take them")
    )]
    pub(crate) options: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    S3,
    Azure,
    Google,
}

/// A store and where in it we are, shared by all namespaces over it.
pub(crate) struct Link {
    pub(crate) objects: Objects,
    pub(crate) prefix: String,
    probed: OnceCell<()>,
}

impl fmt::Display for Target {
    /// Without settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => f.write_str("unset"),
            Self::Memory => f.write_str("memory"),
            Self::Given(_) => f.write_str("own store"),
            Self::Directory(directory) => write!(f, "file://{}", directory.display()),
            Self::Bucket(Bucket { provider, name, .. }) => write!(f, "{}://{name}", provider.scheme()),
        }
    }
}

impl Provider {
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Azure => "az",
            Self::Google => "gs",
        }
    }
}

impl Link {
    pub(crate) fn open(builder: &ObjectStoreStorageBuilder) -> Result<Self> {
        let prefix = builder.prefix.trim_matches('/');
        let allowed = |part: &str| {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.=".contains(&b);
            !part.is_empty() && !part.starts_with('.') && part.bytes().all(allowed)
        };
        if prefix.len() > 256 || !(prefix.is_empty() || prefix.split('/').all(allowed)) {
            return Err(config(
                "the prefix cannot begin the names of objects: use letters, digits and -_.= between its slashes, \
                 and 256 of them at most",
            ));
        }
        let slash = if prefix.is_empty() { "" } else { "/" };
        let place = format!("{}{slash}{prefix}", builder.target);
        let store: Arc<dyn ObjectStore> = match &builder.target {
            Target::Unset => {
                return Err(config("no store is named: give the builder a URL, a directory or a store"));
            }
            Target::Memory => Arc::new(InMemory::new()),
            Target::Given(store) => Arc::clone(store),
            Target::Directory(directory) if !builder.create && !directory.is_dir() => {
                return Err(config(format!("the directory of {place} is not there")));
            }
            Target::Directory(directory) => Arc::new(
                Files::open(directory, builder.create).map_err(|cause| failed("connect", &place, cause))?,
            ),
            Target::Bucket(bucket) => client(bucket, builder.connect_timeout, builder.timeout)?,
        };
        let objects = Objects { store, place: place.into(), timeout: builder.timeout };
        Ok(Self { objects, prefix: prefix.to_owned(), probed: OnceCell::new() })
    }

    /// Does once what the cache relies on, in an object that is deleted afterwards.
    pub(crate) async fn probed(&self, names: &Names) -> Result<()> {
        self.probed.get_or_try_init(|| self.probe(names)).await.copied()
    }

    async fn probe(&self, names: &Names) -> Result<()> {
        let path = names.probe(&BodyId::random()?.to_string());
        let tried = self.try_out(names, &path).await;
        let deleted = self.objects.delete(vec![path], "connect").await;
        tried.and(deleted)
    }

    async fn try_out(&self, names: &Names, path: &object_store::path::Path) -> Result<()> {
        let objects = &self.objects;
        let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
        objects.create(path, bytes("one"), "connect").await?;
        if objects.create(path, bytes("two"), "connect").await?.is_some() {
            return Err(incompatible(
                "it overwrites an object that it should only create (If-None-Match: *)",
            ));
        }
        let Found::Object(version, _) = objects.get(path, 16, "connect").await? else {
            return Err(incompatible("an object that it has taken cannot be read"));
        };
        if objects.update(path, bytes("three"), &version, "connect").await?.is_none() {
            return Err(incompatible(
                "it does not replace an object of the version that was read (If-Match)",
            ));
        }
        if objects.update(path, bytes("four"), &version, "connect").await?.is_some() {
            return Err(incompatible(
                "it replaces an object of another version than was asked for (If-Match)",
            ));
        }
        if objects.names(&names.all(Kind::Probes), "connect").await?.is_empty() {
            return Err(incompatible("an object that it has taken is not listed"));
        }
        Ok(())
    }
}

fn incompatible(why: &str) -> Error {
    error(ErrorKind::Incompatible, "connect").with_message(format!(
        "the store lacks conditional puts, by which caches that share it keep from overwriting each other: {why}; use \
         a store that has them, or a later release of this one"
    ))
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("place", &self.objects.place).finish_non_exhaustive()
    }
}

/// A client of the library with the environment's settings, and over them the URL's.
#[cfg_attr(
    not(any(feature = "aws", feature = "azure", feature = "gcp")),
    expect(unused_variables, reason = "each provider is a feature")
)]
fn client(bucket: &Bucket, connect_timeout: Duration, timeout: Duration) -> Result<Arc<dyn ObjectStore>> {
    match bucket.provider {
        #[cfg(feature = "aws")]
        Provider::S3 => {
            use object_store::aws::AmazonS3Builder;
            let mut builder = AmazonS3Builder::from_env();
            for (name, value) in limits(bucket, connect_timeout, timeout) {
                builder = builder.with_config(key(&name)?, value);
            }
            let builder = builder.with_bucket_name(&bucket.name).with_retry(retries(timeout));
            Ok(Arc::new(builder.build().map_err(|cause| unsettled(bucket, cause))?))
        }
        #[cfg(feature = "azure")]
        Provider::Azure => {
            use object_store::azure::MicrosoftAzureBuilder;
            let mut builder = MicrosoftAzureBuilder::from_env();
            for (name, value) in limits(bucket, connect_timeout, timeout) {
                builder = builder.with_config(key(&name)?, value);
            }
            let builder = builder.with_container_name(&bucket.name).with_retry(retries(timeout));
            Ok(Arc::new(builder.build().map_err(|cause| unsettled(bucket, cause))?))
        }
        #[cfg(feature = "gcp")]
        Provider::Google => {
            use object_store::gcp::GoogleCloudStorageBuilder;
            let mut builder = GoogleCloudStorageBuilder::from_env();
            for (name, value) in limits(bucket, connect_timeout, timeout) {
                builder = builder.with_config(key(&name)?, value);
            }
            let builder = builder.with_bucket_name(&bucket.name).with_retry(retries(timeout));
            Ok(Arc::new(builder.build().map_err(|cause| unsettled(bucket, cause))?))
        }
        #[cfg(not(all(feature = "aws", feature = "azure", feature = "gcp")))]
        provider => Err(config(format!(
            "this build of cache-backend-object-store lacks the Cargo feature for {}:// URLs",
            provider.scheme()
        ))),
    }
}

/// The bucket's settings, after the time limits.
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
fn limits(
    bucket: &Bucket,
    connect_timeout: Duration,
    timeout: Duration,
) -> impl Iterator<Item = (String, String)> {
    let time = |name: &str, time: Duration| (name.to_owned(), format!("{}ms", time.as_millis()));
    let times = [time("connect_timeout", connect_timeout), time("timeout", timeout)];
    times.into_iter().chain(bucket.options.iter().cloned())
}

#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
fn key<K: std::str::FromStr<Err = object_store::Error>>(name: &str) -> Result<K> {
    name.parse().map_err(|cause| failed("connect", "the store", cause))
}

/// A few, within the time that an operation has.
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
fn retries(timeout: Duration) -> object_store::RetryConfig {
    object_store::RetryConfig { max_retries: 3, retry_timeout: timeout, ..Default::default() }
}

/// A value is wrong, or missing: the cause names it, and may show it.
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
fn unsettled(bucket: &Bucket, cause: object_store::Error) -> Error {
    let scheme = bucket.provider.scheme();
    config(format!(
        "the settings of the {scheme}:// URL, or those of the environment, do not make a client: one is missing or wrong"
    ))
    .with_source(cause)
}
