//! A server of a test's own.
#![allow(dead_code, reason = "each test file uses a part")]

use cache_backend_dynamodb::{
    DynamoDbStorage,
    aws_sdk_dynamodb::{
        self, Client,
        config::{BehaviorVersion, Credentials, Region},
    },
};
use cache_conformance::services::{Service, dynamodb::KEY};

/// Where it is: `http://127.0.0.1:PORT`.
pub(crate) fn endpoint(service: &Service) -> String {
    let url = service.url().unwrap();
    url.split("endpoint=").nth(1).unwrap().split('&').next().unwrap().to_owned()
}

pub(crate) async fn open(service: &Service) -> DynamoDbStorage {
    DynamoDbStorage::from_url(service.url().unwrap()).await.unwrap()
}

/// A client of the server at that address.
pub(crate) fn client(endpoint: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(KEY, KEY, None, None, "test"));
    Client::from_conf(config.build())
}
