use std::fmt;

/// An operation of a storage, of its writers or of its abilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`Storage::lookup`](cache_api::Storage::lookup).
    Lookup,
    /// [`Storage::read`](cache_api::Storage::read).
    Read,
    /// [`Storage::writer`](cache_api::Storage::writer).
    Writer,
    /// [`BodyWriter::write`](cache_api::BodyWriter::write).
    Write,
    /// [`BodyWriter::finish`](cache_api::BodyWriter::finish).
    Finish,
    /// [`Storage::commit`](cache_api::Storage::commit).
    Commit,
    /// [`Storage::remove`](cache_api::Storage::remove).
    Remove,
    /// [`Storage::close`](cache_api::Storage::close).
    Close,
    /// [`Leases::acquire`](cache_api::Leases::acquire).
    Acquire,
    /// [`Leases::extend`](cache_api::Leases::extend).
    Extend,
    /// [`Leases::release`](cache_api::Leases::release).
    Release,
    /// [`Tags::purge`](cache_api::Tags::purge).
    Purge,
    /// [`Listing::list`](cache_api::Listing::list).
    List,
    /// [`Listing::count`](cache_api::Listing::count).
    Count,
    /// [`Listing::clear`](cache_api::Listing::clear).
    Clear,
    /// [`Listing::sweep`](cache_api::Listing::sweep).
    Sweep,
    /// [`Touch::touch`](cache_api::Touch::touch).
    Touch,
    /// [`Events::subscribe`](cache_api::Events::subscribe), and the stream that it returns.
    Subscribe,
}

impl Operation {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Lookup,
        Self::Read,
        Self::Writer,
        Self::Write,
        Self::Finish,
        Self::Commit,
        Self::Remove,
        Self::Close,
        Self::Acquire,
        Self::Extend,
        Self::Release,
        Self::Purge,
        Self::List,
        Self::Count,
        Self::Clear,
        Self::Sweep,
        Self::Touch,
        Self::Subscribe,
    ];

    /// Those that add to the store: what a full disk refuses, while reads and removals go on.
    pub const STORING: &[Self] =
        &[Self::Writer, Self::Write, Self::Finish, Self::Commit, Self::Acquire, Self::Extend, Self::Touch];

    /// Its name, as errors have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Read => "read",
            Self::Writer => "writer",
            Self::Write => "write",
            Self::Finish => "finish",
            Self::Commit => "commit",
            Self::Remove => "remove",
            Self::Close => "close",
            Self::Acquire => "acquire",
            Self::Extend => "extend",
            Self::Release => "release",
            Self::Purge => "purge",
            Self::List => "list",
            Self::Count => "count",
            Self::Clear => "clear",
            Self::Sweep => "sweep",
            Self::Touch => "touch",
            Self::Subscribe => "subscribe",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
