use std::fmt;

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{Client, config::Credentials, types::AttributeValue};
use cache_api::{BodyId, Result};
use futures_util::future::try_join3;

use crate::{
    DynamoDbStorageBuilder,
    attribute::{fixed, number},
    error::{config, failed},
    schema::{EXPIRES, SHARDS, parts},
    storage::Inner,
    url::without_credentials,
};

/// Who asks.
#[derive(Clone, Default)]
pub(crate) enum Identity {
    /// Whoever the environment says.
    #[default]
    Environment,
    Profile(String),
    Key {
        id: String,
        secret: String,
        token: Option<String>,
    },
}

impl fmt::Debug for Identity {
    /// Neither key nor token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("Environment"),
            Self::Profile(profile) => f.debug_tuple("Profile").field(profile).finish(),
            Self::Key { .. } => f.write_str("Key(hidden)"),
        }
    }
}

impl DynamoDbStorageBuilder {
    /// The client, and where it leads to.
    pub(crate) async fn connect(&self) -> Result<(Client, String)> {
        if let Some(client) = &self.client {
            let region = client.config().region().map(|region| format!("own client in {region}"));
            return Ok((client.clone(), region.unwrap_or_else(|| "own client".to_owned())));
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.connect_timeout)
            .operation_attempt_timeout(self.timeout)
            .operation_timeout(self.timeout.saturating_mul(2));
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(timeouts.build())
            .retry_config(RetryConfig::standard());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &self.endpoint {
            if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
                return Err(config("the endpoint is no URL: write it as http://127.0.0.1:8000"));
            }
            loader = loader.endpoint_url(endpoint);
        }
        loader = match &self.identity {
            Identity::Environment => loader,
            Identity::Profile(profile) => loader.profile_name(profile),
            Identity::Key { id, secret, token } => {
                loader.credentials_provider(Credentials::new(id, secret, token.clone(), None, "given"))
            }
        };
        let settings = loader.load().await;
        let Some(region) = settings.region() else {
            return Err(config("no region is set: name one in the URL, or in AWS_REGION"));
        };
        let place = match settings.endpoint_url() {
            Some(endpoint) => without_credentials(endpoint),
            None => region.to_string(),
        };
        Ok((Client::new(&settings), place))
    }
}

impl Inner {
    /// Does once what is needed, so that what is not allowed shows now.
    pub(crate) async fn probe(&self) -> Result<()> {
        let key = self.keys.probe(&BodyId::random()?);
        let mut item = key.clone();
        // Should it not come to the deletion, it goes by itself.
        item.insert(EXPIRES.to_owned(), number(1));
        self.get("connect", key.clone()).await?;
        self.put("connect", item).await?;
        let pk = parts(&key).map(|(pk, _)| pk.to_owned()).unwrap_or_default();
        // What was cleared before is known to all tickets that this storage issues.
        let cleared = (0..SHARDS).map(|shard| self.keys.cleared(shard)).collect();
        let (_, cleared, ()) = try_join3(
            self.page("connect", &pk, None, Some(1)),
            self.get_all("connect", cleared),
            self.touch_probe(&key),
        )
        .await?;
        cleared.iter().filter_map(|item| fixed(item, "m")).for_each(|mark| self.known.learn(mark));
        self.delete_if("connect", key, None).await.map(drop)
    }

    async fn touch_probe(&self, key: &std::collections::HashMap<String, AttributeValue>) -> Result<()> {
        let request = self.client.update_item().table_name(&*self.table).set_key(Some(key.clone()));
        let request = request.update_expression("SET #e = :e").expression_attribute_names("#e", EXPIRES);
        let request = request.expression_attribute_values(":e", number(2));
        request.send().await.map(drop).map_err(|cause| failed("connect", cause))
    }
}
