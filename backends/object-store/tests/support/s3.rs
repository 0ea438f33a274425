//! A bucket of a server, and servers of a case's own.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cache_backend_object_store::{
    ObjectStoreStorage,
    object_store::{ObjectStore, aws::AmazonS3Builder},
};
use cache_conformance::{
    OwnServer, Remote, ServerError, Subject,
    services::{self, Service, s3::Kind},
};

use crate::server;

pub(crate) fn server(s3: &Service) -> server::Server {
    let url = s3.url().unwrap_or("s3://absent").to_owned();
    let builder = ObjectStoreStorage::builder().url(&url).unwrap();
    let raw = Box::new({
        let url = url.clone();
        move || client(&url)
    });
    let own = s3.is_process().then_some(own_server as server::OwnServers);
    server::Server { builder, raw, url: Some((url, own)), prefix: String::new() }
}

/// A server that a case may kill. What is started again has no bucket: it gets a new one.
struct Killable(Arc<dyn OwnServer>, Mutex<String>);

fn own_server() -> Arc<dyn OwnServer> {
    Arc::new(Killable(services::own_server(Kind::Plain, server), Mutex::default()))
}

#[async_trait]
impl OwnServer for Killable {
    async fn start(&self) -> Result<Arc<dyn Subject>, ServerError> {
        let subject = self.0.start().await?;
        *self.1.lock().unwrap() = subject.remote().map(Remote::address).unwrap_or_default();
        Ok(subject)
    }

    async fn kill(&self) -> Result<(), ServerError> {
        self.0.kill().await
    }

    async fn restart(&self) -> Result<(), ServerError> {
        self.0.restart().await?;
        let address = self.1.lock().unwrap().clone();
        let created = tokio::task::spawn_blocking(move || services::s3::create_bucket(&address)).await?;
        created.map_err(|e| e.to_string().into())
    }
}

fn client(url: &str) -> Arc<dyn ObjectStore> {
    let (bucket, query) = url.trim_start_matches("s3://").split_once('?').unwrap();
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap();
        builder = builder.with_config(name.parse().unwrap(), value);
    }
    Arc::new(builder.build().unwrap())
}
