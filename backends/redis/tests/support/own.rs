//! A server of a test's own, and what is in it.
#![allow(dead_code, reason = "each test file uses a part")]

use cache_backend_redis::{
    RedisStorage,
    redis::{self, FromRedisValue, aio::MultiplexedConnection},
};
use cache_conformance::services::Service;

pub(crate) fn port(service: &Service) -> u16 {
    let url = service.url().unwrap();
    url.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap()
}

pub(crate) async fn raw(service: &Service) -> MultiplexedConnection {
    let client = redis::Client::open(service.url().unwrap()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

pub(crate) async fn ask<T: FromRedisValue>(connection: &mut MultiplexedConnection, words: &[&str]) -> T {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(connection).await.unwrap()
}

pub(crate) async fn open(service: &Service) -> RedisStorage {
    RedisStorage::from_url(service.url().unwrap()).await.unwrap()
}
