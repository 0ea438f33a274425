//! A hit: the whole client, against the least that it takes.

use super::plan;
use crate::Result;
use crate::cli::Common;
use crate::measure::{Subject, compare};
use crate::origin::Origin;
use crate::report::{Report, Setting};
use crate::subject::{minimal, ours, store};

pub(crate) async fn run(common: &Common, report: &mut Report) -> Result<()> {
    let origin = Origin::start().await?;
    let stores = store::chosen(&common.storage)?;
    for store in &stores {
        for &body in &common.body {
            let url = origin.url("items/42", &format!("body={body}"));
            let hit = ours::Hit::new(store, &url, body).await?;
            let mut subjects = vec![Subject::new("ours", hit)];
            if store.is_memory() {
                subjects.push(Subject::new("minimal", minimal::Hit::new(&url, body).await?));
            }
            let before = origin.asked();
            for &concurrency in &common.concurrency {
                eprintln!("hit, {store}, {body} bytes, {concurrency} at once");
                let measured = compare(&subjects, plan(common, concurrency)).await?;
                let setting = Setting { case: "hit", storage: store.to_string(), body, concurrency };
                report.add(&setting, &measured)?;
            }
            origin.unasked_since(before)?;
        }
    }
    Ok(())
}
