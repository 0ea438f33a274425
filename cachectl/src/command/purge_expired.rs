use cache_admin::{Admin, Progress, Run};
use clap::Args;

use super::rm::told;
use crate::{
    args::Global,
    failure::Result,
    open,
    output::{bar::Bar, confirm, human},
};

#[derive(Args)]
pub(crate) struct PurgeExpired {
    /// Tell what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// JSON, one object
    #[arg(long)]
    json: bool,
}

impl PurgeExpired {
    pub(crate) async fn run(self, global: &Global) -> Result {
        let admin = open::existing(global).await?;
        if self.dry_run || !self.yes {
            let would = purge(&admin, true).await?;
            if self.dry_run {
                return told(&would, true, self.json);
            }
            // What is dead already is nobody's loss.
            if would.done > 0 {
                let (entries, size) = (human::entries(would.done), human::size(would.bytes));
                confirm::ask(&format!("Remove {entries} ({size}) from {}?", admin.storage()))?;
            }
        }
        let removed = purge(&admin, false).await?;
        admin.storage().close().await?;
        told(&removed, false, self.json)
    }
}

async fn purge(admin: &Admin, dry_run: bool) -> Result<Progress> {
    let bar = Bar::new();
    Ok(admin.purge_expired(Run::new().dry_run(dry_run).on_progress(|so_far| bar.show(so_far))).await?)
}
