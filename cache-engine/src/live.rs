//! Settings that change while the cache runs. A request takes what is in force when it begins, without a lock, and keeps it.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::{ArcSwap, Guard};
use url::Url;

use crate::{
    engine::{Answered, Engine, unsatisfiable},
    filter::Filter,
    info::{CacheInfo, Source},
    network::Network,
    policy::{InvalidSetting, Options, Reason, Rules},
    sets::Sets,
};

/// The settings of an engine that [can be changed](Engine::reconfigure) while it runs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LiveSettings {
    /// The settings of the policy.
    pub options: Options,
    /// Settings for some URLs in place of these.
    pub rules: Rules,
    /// What keeps responses out of the cache beside the policy.
    pub filter: Option<Arc<dyn Filter>>,
}

/// The options that were in force when they were asked for.
#[derive(Debug)]
pub struct OptionsInForce {
    sets: Guard<Arc<Sets>>,
    rule: Option<usize>,
}

/// What is in force, and who changes it.
#[derive(Debug)]
pub(crate) struct Live {
    sets: ArcSwap<Sets>,
    /// One after another; who reads does not wait for it.
    changing: Mutex<()>,
}

impl<N: Network> Engine<N> {
    /// Changes settings while the cache runs, for all clones of this engine. Requests that begin later go by them; none waits
    /// for the change, and those under way end as they began.
    ///
    /// Changes come one after another; `change` must not make another one itself.
    ///
    /// It is not retroactive: how long what is stored already is fresh was settled when it was stored
    /// ([`policy`](crate::policy)), and nothing is removed. What concerns its use, such as the windows of stale-if-error, the
    /// filter, [`Options::read_only`] and [`Options::offline`], concerns what is stored already, too.
    ///
    /// ```
    /// # fn example<N: cache_engine::Network>(engine: cache_engine::Engine<N>) -> Result<(), cache_engine::policy::InvalidSetting> {
    /// engine.reconfigure(|settings| settings.options.offline = true)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What [`Options::check`] reports, and another [`Options::mode`], with which the keys would not agree any more. What was
    /// in force then stays in force.
    pub fn reconfigure(&self, change: impl FnOnce(&mut LiveSettings)) -> Result<(), InvalidSetting> {
        let live = &self.inner().live;
        // What a change that panicked leaves behind is what was in force.
        let _turn = live.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = live.load();
        let mut new = LiveSettings::of(&old);
        change(&mut new);
        new.options.check()?;
        if new.options.mode != old.client().mode {
            return Err(InvalidSetting::new(
                "mode",
                "cannot change while the cache runs: keys are made for it",
            ));
        }
        new.options.background_refresh &= N::SENDS_ALONE;
        let LiveSettings { options, rules, filter } = new;
        live.sets.store(Arc::new(Sets::new(options, rules, filter).after(&old)));
        Ok(())
    }

    /// The answer to what has no URL, and so cannot be looked up: 504 where the cache is [offline](Options::offline), `None`
    /// where it may be sent.
    #[must_use]
    pub fn refused_offline(&self) -> Option<Answered<N::Response>> {
        let is_offline = self.options().offline;
        is_offline.then(|| unsatisfiable(CacheInfo::new(Source::Nowhere, Reason::Offline.into()), None))
    }

    /// A copy of the settings in force that can be changed.
    #[must_use]
    pub fn live_settings(&self) -> LiveSettings {
        LiveSettings::of(&self.inner().live.load())
    }

    /// The settings of the policy in force, for requests that match no rule.
    #[must_use]
    pub fn options(&self) -> OptionsInForce {
        OptionsInForce { sets: self.inner().live.load(), rule: None }
    }

    /// The settings of the policy in force for requests to that URL: those of the first rule that matches it.
    #[must_use]
    pub fn options_for(&self, url: &Url) -> OptionsInForce {
        let sets = self.inner().live.load();
        OptionsInForce { rule: sets.find(url), sets }
    }
}

impl Live {
    pub(crate) fn new(sets: Sets) -> Self {
        Self { sets: ArcSwap::from_pointee(sets), changing: Mutex::default() }
    }

    /// What is in force now.
    pub(crate) fn load(&self) -> Guard<Arc<Sets>> {
        self.sets.load()
    }
}

impl LiveSettings {
    fn of(sets: &Sets) -> Self {
        Self { options: sets.client().clone(), rules: sets.rules().clone(), filter: sets.filter.clone() }
    }
}

impl Deref for OptionsInForce {
    type Target = Options;

    fn deref(&self) -> &Options {
        self.sets.under(self.rule)
    }
}
