//! A cache as an HTTP Archive.

mod entry;

use std::{borrow::Cow, future::ready, pin::Pin};

use bytes::Bytes;
use cache_api::{Error, ErrorKind, Redactor, RequestPart, Result};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use http::HeaderName;

use crate::{
    Admin, EntryFilter, EntryInfo, Run,
    body::is_unreadable,
    progress::{Fate, Tally},
};
use entry::archived;

/// The stream that [`Admin::har`] returns: a JSON document, piece by piece.
pub type HarStream<'a> = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send + 'a>>;

/// What goes into an archive.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use]
pub struct HarOptions {
    /// The largest body that is exported, in bytes; of a larger one the entry says how long it is. A body is held in memory
    /// as a whole, some times over. Default: 16 MiB.
    pub max_body: u64,
    /// Whether secrets are exported as they are. Default: no; the values that [`redactor`](HarOptions::redactor) names are
    /// replaced by a word then. Bodies are exported as they are in any case.
    pub show_secrets: bool,
    /// Which values are secrets: header fields, and parameters in query and fragment of URLs. Default:
    /// [`Redactor::default`].
    pub redactor: Redactor,
}

impl HarOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self { max_body: 16 * 1024 * 1024, show_secrets: false, redactor: Redactor::default() }
    }

    /// Sets [`HarOptions::max_body`].
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets [`HarOptions::show_secrets`].
    pub fn show_secrets(mut self, show: bool) -> Self {
        self.show_secrets = show;
        self
    }

    /// Sets [`HarOptions::redactor`], which may be that of the clients of the cache.
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// Adds header fields to [`HarOptions::redactor`].
    pub fn secret_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.redactor = self.redactor.hide(RequestPart::Headers, names);
        self
    }

    /// Adds parameters of URLs to [`HarOptions::redactor`].
    pub fn secret_parameters<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.redactor = self.redactor.hide(RequestPart::Query, names);
        self
    }

    fn hides(&self, field: &HeaderName) -> bool {
        !self.show_secrets && self.redactor.hides_header(field)
    }

    /// A URL or a reference to one, with its secrets replaced.
    fn url<'u>(&self, text: &'u str) -> Cow<'u, str> {
        if self.show_secrets { Cow::Borrowed(text) } else { self.redactor.url(text) }
    }
}

impl Default for HarOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl Admin {
    /// The entries that the filter wants as an HTTP Archive (HAR 1.2), in the order in which the store lists them.
    ///
    /// A request is what is stored of it: method and URL, no header fields and no body. A response body is text where its
    /// type says so and its bytes agree, else Base64. It is as it was received: under a `Content-Encoding` it is still
    /// encoded. Secrets are [replaced](HarOptions::show_secrets). Entries that cannot be read are left out and counted.
    ///
    /// The document comes in one piece for each entry, which is read when it is asked for; a
    /// [dry run](Run::dry_run) reads no body and leaves all out.
    ///
    /// ```
    /// # async fn example(admin: cache_admin::Admin) -> Result<(), Box<dyn std::error::Error>> {
    /// use cache_admin::{EntryFilter, HarOptions, Run};
    /// use futures_util::TryStreamExt;
    ///
    /// let (all, options) = (EntryFilter::all(), HarOptions::new());
    /// let mut archive = admin.har(&all, &options, Run::new()).await?;
    /// while let Some(piece) = archive.try_next().await? {
    ///     std::io::Write::write_all(&mut std::io::stdout(), &piece)?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`entries`](Admin::entries). When the stream itself ends with an error, what came before it is no whole document.
    pub async fn har<'a>(
        &'a self,
        filter: &EntryFilter,
        options: &'a HarOptions,
        run: Run<'a>,
    ) -> Result<HarStream<'a>> {
        let tally = Tally::begin(self, filter, run).await?;
        let (entries, wanted) = (self.looked_at(filter)?, filter.clone());
        let state = Export { admin: self, options, entries, wanted, tally, first: true };
        let entries = stream::try_unfold(state, Export::next);
        let piece = |text: &'static str| stream::once(ready(Ok(Bytes::from_static(text.as_bytes()))));
        Ok(Box::pin(piece(BEGIN).chain(entries).chain(piece(END))))
    }
}

const BEGIN: &str = concat!(
    r#"{"log":{"version":"1.2","creator":{"name":"cache-admin","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""},"entries":["#
);
const END: &str = "\n]}}\n";

/// An export under way.
struct Export<'a> {
    admin: &'a Admin,
    options: &'a HarOptions,
    entries: crate::EntryStream<'a>,
    wanted: EntryFilter,
    tally: Tally<'a>,
    first: bool,
}

impl Export<'_> {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        while let Some(entry) = self.entries.try_next().await? {
            self.tally.saw();
            if !self.wanted.wants(&entry) {
                continue;
            }
            let (fate, archived) = if self.tally.is_dry() {
                (if entry.head().is_some() { Fate::Done } else { Fate::Invalid }, None)
            } else {
                match archive(self.admin, self.options, &entry).await? {
                    Ok(archived) => (Fate::Done, Some(archived)),
                    Err(fate) => (fate, None),
                }
            };
            if fate == Fate::Done {
                self.tally.bytes(entry.len);
            }
            self.tally.ended(fate);
            if let Some(archived) = archived {
                let between = if std::mem::take(&mut self.first) { "\n" } else { ",\n" };
                let mut piece = between.as_bytes().to_vec();
                serde_json::to_writer(&mut piece, &archived)
                    .map_err(|error| Error::new(ErrorKind::Other, "har").with_source(error))?;
                return Ok(Some((piece.into(), self)));
            }
        }
        Ok(None)
    }
}

/// An entry with its body; or what became of it instead.
async fn archive(
    admin: &Admin,
    options: &HarOptions,
    entry: &EntryInfo,
) -> Result<Result<har::v1_2::Entries, Fate>> {
    let Some(head) = entry.head() else {
        return Ok(Err(Fate::Invalid));
    };
    if entry.len > options.max_body {
        return Ok(Ok(archived(head, entry.len, None, options)));
    }
    let Some(mut pieces) = admin.body(entry).await? else {
        return Ok(Err(Fate::PassedOver));
    };
    let mut body = Vec::new();
    loop {
        match pieces.try_next().await {
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => break,
            Err(error) if is_unreadable(&error) => return Ok(Err(Fate::Invalid)),
            Err(error) => return Err(error),
        }
    }
    Ok(Ok(archived(head, entry.len, Some(&body), options)))
}
