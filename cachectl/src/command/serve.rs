use std::{io::Write as _, net::SocketAddr};

use cache_proxy::Proxy;
use clap::Args;
use client_reqwest::SetCookie;
use http::HeaderName;
use tokio::net::TcpListener;
use url::Url;

use crate::{
    args::{Global, Users},
    failure::{Failure, Outcome, Result},
    selection::url,
};

#[derive(Args)]
pub(crate) struct Serve {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The origin, `http://…` or `https://…`; a path is put before the request's
    #[arg(long, value_parser = url, value_name = "URL")]
    upstream: Url,
    /// Obey CDN-Cache-Control in place of Cache-Control (RFC 9213)
    #[arg(long)]
    targeted: bool,
}

impl Serve {
    /// Until it is interrupted; requests under way end first.
    pub(crate) async fn run(self, global: &Global) -> Result {
        // RFC 9111 §7.3 leaves cookies to the origin, and this one knows that it stands behind a cache.
        let mut options = global.options(Users::Shared).set_cookie(SetCookie::Explicit);
        if self.targeted {
            options = options.targeted([HeaderName::from_static("cdn-cache-control")]);
        }
        let client = Proxy::client(options)
            .serializer(global.encoding.serializer()?)
            .storage_url(global.storage()?)
            .build()
            .await?;
        let listener =
            TcpListener::bind(self.listen).await.map_err(|error| Failure::other("cannot listen", error))?;
        let address = listener.local_addr().map_err(|error| Failure::other("cannot listen", error))?;
        let storage = client.storage().map(ToString::to_string).unwrap_or_default();
        let origin = self.upstream.host_str().unwrap_or_default();
        writeln!(anstream::stdout(), "http://{address} caches {origin} in {storage}")?;
        let served = axum::serve(listener, Proxy::new(client.clone(), &self.upstream).router());
        let served = served.with_graceful_shutdown(asked_to_stop()).await;
        client.close().await;
        served.map_err(|error| Failure::other("cannot serve", error))?;
        Ok(Outcome::Done)
    }
}

/// By Ctrl-C, or as a supervisor asks.
async fn asked_to_stop() {
    #[cfg(unix)]
    if let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}
