use std::{sync::Arc, time::Duration};

use cache_api::{CborSerializer, DefaultKey, KeyFn, Redactor, Serializer, Storage};
use http::{HeaderName, header};

use crate::{
    breaker::{Breaker, Patience},
    clock::{Clock, SystemClock},
    engine::Engine,
    filter::Filter,
    network::Network,
    observer::Observer,
    policy::{InvalidSetting, Mode, Options, Rules},
    sets::Sets,
    store::{Deadlines, Store},
    tags::Tagging,
};

/// Builds an [`Engine`].
#[derive(Clone, Debug)]
#[must_use]
pub struct EngineBuilder {
    storage: Option<Arc<dyn Storage>>,
    serializer: Arc<dyn Serializer>,
    key: Option<Arc<dyn KeyFn>>,
    match_headers: Option<MatchHeaders>,
    clock: Arc<dyn Clock>,
    deadlines: Deadlines,
    patience: Patience,
    options: Options,
    rules: Rules,
    filter: Option<Arc<dyn Filter>>,
    pub(crate) settings: Settings,
}

/// Which request fields tell resources apart, beside those of [`default_key`].
#[derive(Clone, Debug)]
enum MatchHeaders {
    All,
    These(Vec<HeaderName>),
}

/// What the engine itself goes by.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) fail_closed: bool,
    pub(crate) max_body: u64,
    pub(crate) finish_dropped: u64,
    pub(crate) wait_for_leader: Duration,
    pub(crate) lease: Duration,
    pub(crate) hit_for_miss: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) tagging: Tagging,
}

impl Default for EngineBuilder {
    fn default() -> Self {
        Self {
            storage: None,
            serializer: Arc::new(CborSerializer::new()),
            key: None,
            match_headers: None,
            clock: Arc::new(SystemClock),
            deadlines: Deadlines { read: Duration::from_secs(1), write: Duration::from_secs(5) },
            patience: Patience { failures: 10, probe_interval: Duration::from_secs(1) },
            options: Options::new(),
            rules: Rules::default(),
            filter: None,
            settings: Settings {
                fail_closed: false,
                max_body: u64::MAX,
                finish_dropped: 64 * 1024,
                wait_for_leader: Duration::from_secs(30),
                lease: Duration::from_secs(5),
                hit_for_miss: Duration::from_secs(5),
                close_timeout: Duration::from_secs(10),
                tagging: Tagging::default(),
            },
        }
    }
}

impl EngineBuilder {
    /// An engine without storage: it passes every request on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where entries are kept.
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = Some(storage);
        self
    }

    /// How entries are encoded; CBOR by default.
    pub fn serializer(mut self, serializer: Arc<dyn Serializer>) -> Self {
        self.serializer = serializer;
        self
    }

    /// How keys are made.
    ///
    /// By default [`DefaultKey`]. In [`Mode::Private`] it tells requests apart by `Authorization` and `Cookie`
    /// too: one client that speaks for several users never serves one's answer to another. A shared cache goes by
    /// what the origin says (RFC 9111 §3.5, `private`, `Vary`) and by the tenant.
    pub fn key(mut self, key: Arc<dyn KeyFn>) -> Self {
        self.key = Some(key);
        self
    }

    /// Requests that differ in these fields are different resources, whatever `Vary` says; none by default, beside
    /// `Authorization` and `Cookie` in private mode. Not together with [`key`](Self::key), which decides alone.
    pub fn match_headers(mut self, fields: impl IntoIterator<Item = HeaderName>) -> Self {
        self.match_headers = Some(MatchHeaders::These(fields.into_iter().collect()));
        self
    }

    /// Requests that differ in any field are different resources, but for the fields of a connection and those that are
    /// others for each request: [`DefaultKey::with_all_headers`] lists them. Not together with [`key`](Self::key).
    pub fn match_all_headers(mut self) -> Self {
        self.match_headers = Some(MatchHeaders::All);
        self
    }

    /// What of requests leaves no trace in the store, and what of that does not count in the key; nothing by default.
    /// It is [`Options::redactor`], and goes when other [`options`](Self::options) are set afterwards. The key function, of
    /// whatever kind, sees requests without what is ignored.
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.options.redactor = redactor;
        self
    }

    /// Where the time comes from; the system's clock by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The settings of the policy. They are taken as they are: [`check`](Self::check) tells whether they make
    /// sense. [`Engine::reconfigure`] changes them later.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Settings for some URLs, in place of those of [`options`](Self::options); none by default. Each hop of a chain of
    /// redirects is matched for itself.
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// What keeps responses out of the cache beside the policy; none by default.
    pub fn filter(mut self, filter: Arc<dyn Filter>) -> Self {
        self.filter = Some(filter);
        self
    }

    /// How long a lookup, or reading a few frames, may take before the store counts as failing; 1 second by
    /// default.
    pub fn read_deadline(mut self, deadline: Duration) -> Self {
        self.deadlines.read = deadline;
        self
    }

    /// How long writing a frame, a commit or a removal may take before the store counts as failing; 5 seconds by
    /// default.
    pub fn write_deadline(mut self, deadline: Duration) -> Self {
        self.deadlines.write = deadline;
        self
    }

    /// After how many failures in a row, operations that got no answer in time or no connection, the storage is left
    /// alone: requests then go to the origin without a wait, and with [`fail_closed`](Self::fail_closed) fail at once. 10
    /// by default; with 0 it is asked whatever happens.
    ///
    /// What is to be removed is removed from it all the same, or tried to be.
    pub fn breaker_failures(mut self, failures: u32) -> Self {
        self.patience.failures = failures;
        self
    }

    /// How often a storage that is left alone is tried beside the requests; one that answers is used again. 1 second by
    /// default.
    pub fn probe_interval(mut self, interval: Duration) -> Self {
        self.patience.probe_interval = interval;
        self
    }

    /// Whether a failing storage fails the request; by default the request goes to the origin.
    pub fn fail_closed(mut self, fail_closed: bool) -> Self {
        self.settings.fail_closed = fail_closed;
        self
    }

    /// The largest body that is stored, in bytes; no limit by default.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// How many bytes of a body may be outstanding for it to be fetched to its end and stored although the caller
    /// dropped it; 64 KiB by default.
    pub fn finish_dropped(mut self, bytes: u64) -> Self {
        self.settings.finish_dropped = bytes;
        self
    }

    /// How long a request waits for another's fetch of the same resource, in this process or in another that shares the
    /// storage, before it fetches for itself; 30 seconds by default.
    pub fn wait_for_leader(mut self, wait: Duration) -> Self {
        self.settings.wait_for_leader = wait;
        self
    }

    /// How long other processes wait for one that fetches and gives no more sign of life; 5 seconds by default.
    ///
    /// It is the time of the [lease](cache_api::Leases) that is taken before a fetch, and prolonged while it lasts. Zero
    /// takes none: each process then fetches for itself.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease;
        self
    }

    /// How long it is remembered that an answer must not be stored, so that requests for its resource do not wait for
    /// each other in vain; 5 seconds by default.
    ///
    /// It is known to this process and, where the storage has leases, to all that share it.
    pub fn hit_for_miss(mut self, time: Duration) -> Self {
        self.settings.hit_for_miss = time;
        self
    }

    /// The response fields that name an answer's tags, as words between commas or white space; `Cache-Tag` and
    /// `Surrogate-Key` by default. Tags are case-sensitive. [`Engine::purge_tags`] removes by them.
    pub fn tag_fields(mut self, fields: impl IntoIterator<Item = HeaderName>) -> Self {
        self.settings.tagging.fields = fields.into_iter().collect();
        self
    }

    /// The most tags that an entry may have; 128 by default. An answer with more is not stored, since a purge could not
    /// reach it by each of them.
    pub fn max_tags(mut self, tags: usize) -> Self {
        self.settings.tagging.max = tags;
        self
    }

    /// How long [`Engine::close`] waits for work in the background; 10 seconds by default.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.settings.close_timeout = timeout;
        self
    }

    /// Whether the settings can be used together. [`build`](Self::build) does not ask.
    ///
    /// # Errors
    /// The first that cannot, by name: what [`Options::check`] finds, and fields to match beside a key function.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        self.options.check()?;
        match (&self.match_headers, &self.key) {
            (Some(_), Some(_)) => Err(InvalidSetting::new(
                "match_headers",
                "a key function of one's own decides which fields count",
            )),
            _ => Ok(()),
        }
    }

    /// The engine over that network. Settings that contradict each other are taken all the same: [`check`](Self::check) tells.
    #[must_use]
    pub fn build<N: Network>(self, network: N) -> Engine<N> {
        let Self {
            storage,
            serializer,
            key,
            match_headers,
            clock,
            deadlines,
            patience,
            mut options,
            rules,
            filter,
            settings,
        } = self;
        options.background_refresh &= N::SENDS_ALONE;
        let default = match match_headers {
            None => default_key(options.mode),
            Some(MatchHeaders::All) => default_key(options.mode).with_all_headers(),
            Some(MatchHeaders::These(fields)) => default_key(options.mode).with_more_headers(fields),
        };
        let observer = Arc::new(Observer::new(storage.as_ref().map(ToString::to_string).as_deref()));
        let store = storage.map(|storage| Store {
            storage,
            serializer,
            clock: Arc::clone(&clock),
            deadlines,
            breaker: Arc::new(Breaker::new(patience)),
            observer: Arc::clone(&observer),
        });
        let sets = Sets::new(options, rules, filter);
        Engine::new(network, observer, store, (key, default), clock, sets, settings)
    }
}

/// How keys are made where [`EngineBuilder::key`] was not told: in private mode requests are told apart by
/// `Authorization` and `Cookie` too.
#[must_use]
pub fn default_key(mode: Mode) -> DefaultKey {
    match mode {
        Mode::Private => DefaultKey::new().with_headers([header::AUTHORIZATION, header::COOKIE]),
        Mode::Shared => DefaultKey::new(),
    }
}
