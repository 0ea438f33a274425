use std::{io::Write as _, sync::Arc, time::Duration};

use cache_admin::{Admin, CopyOptions, Keys, Progress, Run};
use clap::{Args, ValueEnum};

use crate::{
    args::Global,
    encoding::Layer,
    failure::{Failure, Outcome, Result},
    open,
    output::{
        bar::{Bar, rate},
        human, json,
        json::ProgressLine,
    },
    selection::Selection,
};

#[derive(Args)]
pub(crate) struct Copy {
    /// The storage's URL
    src: String,
    /// The target's URL; created where it is not there
    dst: String,
    /// How the target's clients encode entries, with the same keys; by default as those of the source do
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME,…")]
    to_serializer: Vec<Layer>,
    #[command(flatten)]
    selection: Selection,
    /// What becomes of the keys
    #[arg(long, value_enum, default_value_t)]
    keys: KeysName,
    /// A tenant whose entries may be there, for keys that are made anew; may be given several times
    #[arg(long, value_name = "NAME")]
    tenant: Vec<String>,
    /// How many entries to copy at a time
    #[arg(long, default_value_t = 4, value_name = "COUNT")]
    at_once: usize,
    /// Tell what would be copied into a target that is there, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// JSON, one object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum KeysName {
    /// Kept within a namespace, made anew from one to another
    #[default]
    Auto,
    /// Kept
    Keep,
    /// Made anew of method and URL
    Make,
}

impl Copy {
    pub(crate) async fn run(self, global: &Global) -> Result {
        if self.src == self.dst {
            return Err(Failure::usage("source and target are the same"));
        }
        let serializer = global.encoding.serializer()?;
        let for_target = match &*self.to_serializer {
            [] => Arc::clone(&serializer),
            layers => global.encoding.serializer_of(layers)?,
        };
        let source = open::existing_at(&self.src, serializer, global).await?;
        let target = if self.dry_run {
            open::existing_at(&self.dst, for_target, global).await?
        } else {
            open::or_created(&self.dst, for_target, global).await?
        };
        let bar = Bar::new();
        let mut so_far = Progress::default();
        let copied = tokio::select! {
            copied = self.copy(&source, &target, &bar, &mut so_far) => copied,
            _ = tokio::signal::ctrl_c() => {
                drop(bar);
                let why = format!("interrupted after {}: run the same command to go on", human::entries(so_far.done));
                Failure::warn(&anyhow::Error::msg(why));
                return Ok(Outcome::Interrupted);
            }
        };
        let elapsed = bar.elapsed();
        drop(bar);
        let copied = match copied {
            Err(Failure::Storage(error)) => {
                let done = human::entries(so_far.done);
                let context = format!("the copy broke off after {done}; run the same command to go on");
                return Err(Failure::Storage(error.context(context)));
            }
            other => other?,
        };
        source.storage().close().await?;
        target.storage().close().await?;
        self.tell(&copied, elapsed)?;
        Ok(Outcome::problems_if(copied.invalid + copied.unkeyed + copied.refused > 0))
    }

    async fn copy(
        &self,
        source: &Admin,
        target: &Admin,
        bar: &Bar,
        so_far: &mut Progress,
    ) -> Result<Progress> {
        let keys = match self.keys {
            KeysName::Auto => Keys::Auto,
            KeysName::Keep => Keys::Keep,
            KeysName::Make => Keys::Make,
        };
        let options =
            CopyOptions::new().keys(keys).tenants(self.tenant.iter().cloned()).at_once(self.at_once);
        let run = Run::new().dry_run(self.dry_run).with_total(true).on_progress(|progress| {
            *so_far = *progress;
            bar.show(progress);
        });
        Ok(source.copy_to(target, &self.selection.filter(), &options, run).await?)
    }

    fn tell(&self, copied: &Progress, elapsed: Duration) -> Result<()> {
        let mut out = anstream::stdout().lock();
        if self.json {
            return Ok(json::line(&mut out, &ProgressLine::of(copied, self.dry_run))?);
        }
        let (entries, size) = (human::entries(copied.done), human::size(copied.bytes));
        let verb = if self.dry_run { "would be copied" } else { "copied" };
        write!(out, "{entries} {verb}, {size}")?;
        if !self.dry_run {
            write!(out, ", in {}", human::duration(elapsed))?;
            if let Some(rate) = rate(copied.bytes, elapsed).filter(|rate| *rate > 0) {
                write!(out, " ({}/s)", human::size(rate))?;
            }
        }
        writeln!(out)?;
        for (count, what) in [
            (copied.passed_over, "were there already, or changed meanwhile"),
            (copied.invalid, "cannot be read"),
            (copied.unkeyed, "stayed behind, since their new key cannot be told (--keys, --tenant)"),
            (copied.refused, "were refused by the target: too large, or no room"),
        ] {
            if count > 0 {
                writeln!(out, "{count} {what}")?;
            }
        }
        Ok(())
    }
}
