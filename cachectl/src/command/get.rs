use std::io::{self, Write};

use cache_admin::EntryInfo;
use clap::Args;
use futures_util::TryStreamExt as _;
use url::Url;

use super::show::{chosen, stored_of};
use crate::{
    args::Global,
    failure::{Failure, Outcome, Result},
    open,
    selection::url,
};

#[derive(Args)]
pub(crate) struct Get {
    /// The URL; its fragment and credentials do not count
    #[arg(value_parser = url)]
    url: Url,
    /// Which of several variants, as `cachectl show` numbers them
    #[arg(long, value_name = "NUMBER")]
    variant: Option<usize>,
    /// Write status and header fields first
    #[arg(long, short)]
    include: bool,
}

impl Get {
    /// The bytes as they were received: no content coding is undone.
    pub(crate) async fn run(self, global: &Global) -> Result {
        let admin = open::existing(global).await?;
        let entry = chosen(stored_of(&admin, &self.url).await?, self.variant)?;
        let gone = || anyhow::anyhow!("nothing is stored of this URL");
        let body = match &entry {
            Some(entry) => admin.body(entry).await?,
            None => None,
        };
        let (Some(entry), Some(mut body)) = (&entry, body) else {
            return not_whole(&gone());
        };
        let mut out = io::stdout().lock();
        if self.include {
            head(entry, &mut out)?;
        }
        loop {
            match body.try_next().await {
                Ok(Some(piece)) => out.write_all(&piece)?,
                Ok(None) => break,
                Err(error) if error.is_corrupt() || error.is_gone() => {
                    return not_whole(
                        &anyhow::Error::new(error).context("what was written is not the whole body"),
                    );
                }
                Err(error) => return Err(error.into()),
            }
        }
        out.flush()?;
        drop(body);
        admin.storage().close().await?;
        Ok(Outcome::Done)
    }
}

fn head(entry: &EntryInfo, out: &mut impl Write) -> io::Result<()> {
    let Some(head) = entry.head() else { return Ok(()) };
    write!(out, "{:?} {}\r\n", head.version, head.status)?;
    for (name, value) in &head.headers {
        write!(out, "{name}: ")?;
        out.write_all(value.as_bytes())?;
        write!(out, "\r\n")?;
    }
    write!(out, "\r\n")
}

fn not_whole(why: &anyhow::Error) -> Result {
    Failure::warn(why);
    Ok(Outcome::Problems)
}
