//! A stale answer that the origin confirms with 304.

use http::header::IF_NONE_MATCH;

use super::plan;
use crate::Result;
use crate::cli::Common;
use crate::measure::{Op, Subject, compare};
use crate::origin::Origin;
use crate::report::{Report, Setting};
use crate::request::{FIELDS, TAG};
use crate::subject::get::Again;
use crate::subject::{ours, plain, store};

pub(crate) async fn run(common: &Common, report: &mut Report) -> Result<()> {
    let origin = Origin::start().await?;
    for store in &store::chosen(&common.storage)? {
        for body in common.bodies(1024) {
            let url = origin.url("items/42", &format!("body={body}&max_age=0"));
            let client = ours::client(store).await?;
            let ours = Again::new(client.clone(), &url, body).await?;
            let before = origin.not_modified();
            ours.once().await?;
            if origin.not_modified() != before + 1 {
                return Err("ours did not ask whether what it has is still good".into());
            }
            let plain = plain::client()?;
            let subjects = [
                Subject::new("ours", ours),
                Subject::new("floor", Conditional { client: plain.clone(), url: url.clone() }),
                Subject::new("plain", Again::new(plain, &url, body).await?),
            ];
            for concurrency in common.callers(1) {
                eprintln!("revalidate, {store}, {body} bytes, {concurrency} at once");
                let measured = compare(&subjects, plan(common, concurrency)).await?;
                report.add(&Setting::new("revalidate", store, body, concurrency), &measured)?;
            }
            client.close().await;
        }
    }
    Ok(())
}

/// The conditional request alone, without a cache.
struct Conditional {
    client: reqwest::Client,
    url: String,
}

impl Op for Conditional {
    async fn once(&self) -> Result<()> {
        let [accept, language, agent] = FIELDS;
        let request = self
            .client
            .get(&self.url)
            .header(accept.0, accept.1)
            .header(language.0, language.1)
            .header(agent.0, agent.1)
            .header(IF_NONE_MATCH, TAG);
        match request.send().await?.status() {
            http::StatusCode::NOT_MODIFIED => Ok(()),
            status => Err(format!("{status} instead of 304").into()),
        }
    }
}
