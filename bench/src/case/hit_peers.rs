//! A hit, against other caches for reqwest and against reqwest alone.

use super::plan;
use crate::Result;
use crate::cli::Common;
use crate::measure::{Subject, compare};
use crate::origin::Origin;
use crate::report::{Report, Setting};
use crate::subject::get::Again;
use crate::subject::{ours, plain, store};

pub(crate) async fn run(common: &Common, report: &mut Report) -> Result<()> {
    let origin = Origin::start().await?;
    for store in &store::chosen(&common.storage)? {
        for body in common.bodies(1024) {
            let url = origin.url("items/42", &format!("body={body}"));
            let client = ours::client(store).await?;
            let mut subjects = vec![Subject::new("ours", Again::new(client.clone(), &url, body).await?)];
            #[cfg(feature = "peers")]
            let directory = tempfile::TempDir::new()?;
            #[cfg(feature = "peers")]
            {
                let mut visitor = Hits {
                    in_memory: store.is_memory(),
                    origin: &origin,
                    url: &url,
                    body,
                    subjects: &mut subjects,
                };
                crate::subject::peers::each(directory.path(), &mut visitor).await?;
            }
            subjects.push(Subject::new("plain", Again::new(plain::client()?, &url, body).await?));
            for concurrency in common.callers(1) {
                eprintln!("hit-peers, {store}, {body} bytes, {concurrency} at once");
                let measured = compare(&subjects, plan(common, concurrency)).await?;
                report.add(&Setting::new("hit-peers", store, body, concurrency), &measured)?;
            }
            client.close().await;
        }
    }
    Ok(())
}

/// Collects the peers: beside memory those in memory, beside a store those that keep files.
#[cfg(feature = "peers")]
struct Hits<'a> {
    in_memory: bool,
    origin: &'a Origin,
    url: &'a str,
    body: usize,
    subjects: &'a mut Vec<Subject>,
}

#[cfg(feature = "peers")]
impl crate::subject::peers::Visitor for Hits<'_> {
    async fn visit<C: crate::subject::get::Get>(
        &mut self,
        name: &str,
        in_memory: bool,
        client: C,
    ) -> Result<()> {
        if in_memory != self.in_memory {
            return Ok(());
        }
        let hit = Again::new(client, self.url, self.body).await?;
        let before = self.origin.asked();
        hit.client.get(self.url).await?;
        match self.origin.asked() - before {
            0 => self.subjects.push(Subject::new(name, hit)),
            _ => eprintln!("{name} did not store the answer: left out"),
        }
        Ok(())
    }
}
