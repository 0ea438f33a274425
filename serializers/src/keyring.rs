use std::{fmt, sync::Arc};

use cache_api::{Error, ErrorKind, Result};

use crate::{Key, corrupt};

/// Keys by their ids: the first one writes, all of them read. Clones share the keys.
///
/// An id is a number of one's own choice. It stands beside each entry, readable by all, and in messages.
///
/// To change keys without losing what is stored: first give all replicas the new key beside the old one
/// (`Keyring::new(1, old).with_key(2, new)`), then let the new one write (`Keyring::new(2, new).with_key(1, old)`), and
/// leave the old one out when what it wrote has expired. An entry whose key is gone is a miss.
///
/// ```
/// use cache_serializers::{Key, Keyring};
///
/// let keyring = Keyring::new(2, Key::random()?).with_key(1, Key::random()?)?;
/// assert_eq!(keyring.ids().collect::<Vec<_>>(), [2, 1]);
/// assert_eq!(format!("{keyring:?}"), "Keyring([2, 1])");
/// # Ok::<(), cache_api::Error>(())
/// ```
#[derive(Clone)]
pub struct Keyring(Vec<(u32, Arc<Key>)>);

impl Keyring {
    /// A keyring whose key `id` writes, and reads.
    #[must_use]
    pub fn new(id: u32, key: Key) -> Self {
        Self(vec![(id, Arc::new(key))])
    }

    /// The same with a key more, which only reads.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there is a key of that id already.
    pub fn with_key(mut self, id: u32, key: Key) -> Result<Self> {
        if self.ids().any(|known| known == id) {
            return Err(Error::new(ErrorKind::Config, "keyring")
                .with_message(format!("two keys have the id {id}: give each its own, and never reuse one")));
        }
        self.0.push((id, Arc::new(key)));
        Ok(self)
    }

    /// The ids, that of the key which writes first.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|(id, _)| *id)
    }

    /// What a wrapper makes of each key, by the same ids.
    pub(crate) fn derive<K>(&self, make: impl Fn(&Key) -> K) -> Derived<K> {
        Derived(self.0.iter().map(|(id, key)| (*id, make(key))).collect())
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keyring").field(&self.ids().collect::<Vec<_>>()).finish()
    }
}

/// The keys of one wrapper.
pub(crate) struct Derived<K>(Vec<(u32, K)>);

impl<K> Derived<K> {
    /// The key that writes.
    pub(crate) fn writing(&self) -> Result<(u32, &K)> {
        // There is one, as no keyring is empty.
        let (id, key) = self.0.first().ok_or_else(|| Error::new(ErrorKind::Config, "keyring"))?;
        Ok((*id, key))
    }

    /// The key that wrote an entry.
    pub(crate) fn reading(&self, id: u32) -> Result<&K> {
        let found = self.0.iter().find(|(known, _)| *known == id);
        Ok(&found.ok_or_else(|| corrupt(format!("its key {id} is not in the keyring")))?.1)
    }
}

impl<K> fmt::Debug for Derived<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}
