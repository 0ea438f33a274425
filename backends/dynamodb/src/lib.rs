#![doc = include_str!("../README.md")]

mod alter;
mod attribute;
mod bodies;
mod commit;
mod config;
mod connect;
mod error;
mod fast;
mod leases;
mod listing;
mod purges;
mod request;
mod row;
mod schema;
mod storage;
mod sweep;
mod table;
mod tags;
mod url;
mod write;

/// The client library, for [`DynamoDbStorageBuilder::client`].
pub use aws_sdk_dynamodb;
pub use config::{Billing, DynamoDbStorageBuilder};
pub use storage::DynamoDbStorage;
