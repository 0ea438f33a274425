//! Creating the table. Nothing else needs the permissions for it.

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::{BuildError, ProvideErrorMetadata as _},
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ProvisionedThroughput,
        ScalarAttributeType, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
    },
};
use cache_api::{ErrorKind, Result};

use crate::{
    Billing,
    error::{error, failed},
    schema::{EXPIRES, PK, SK},
    storage::Inner,
};

/// How long creating a table may take.
const PATIENCE: Duration = Duration::from_secs(120);

impl Inner {
    /// Creates the table and waits until it works. Another process may be doing the same.
    pub(crate) async fn create(&self, billing: Billing) -> Result<()> {
        let form = |cause: BuildError| error(ErrorKind::Other, "create_table").with_source(cause);
        let mut request = self.client.create_table().table_name(&*self.table);
        for (name, kind) in [(PK, KeyType::Hash), (SK, KeyType::Range)] {
            let definition =
                AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
            let element = KeySchemaElement::builder().attribute_name(name).key_type(kind);
            request = request
                .attribute_definitions(definition.build().map_err(form)?)
                .key_schema(element.build().map_err(form)?);
        }
        request = match billing {
            Billing::OnDemand => request.billing_mode(BillingMode::PayPerRequest),
            Billing::Provisioned { read, write } => {
                let capacity = ProvisionedThroughput::builder()
                    .read_capacity_units(i64::from(read.max(1)))
                    .write_capacity_units(i64::from(write.max(1)));
                request
                    .billing_mode(BillingMode::Provisioned)
                    .provisioned_throughput(capacity.build().map_err(form)?)
            }
        };
        match request.send().await {
            Ok(_) => {}
            Err(cause) if cause.code() == Some("ResourceInUseException") => {}
            Err(cause) => return Err(failed("create_table", cause)),
        }
        let waited = tokio::time::timeout(PATIENCE, self.until_active()).await;
        waited.unwrap_or_else(|_| {
            Err(error(ErrorKind::Timeout, "create_table")
                .with_message("the table is still being created: try again"))
        })
    }

    async fn until_active(&self) -> Result<()> {
        let mut pause = Duration::from_millis(20);
        loop {
            match self.client.describe_table().table_name(&*self.table).send().await {
                Ok(answer) if answer.table().and_then(|t| t.table_status()) == Some(&TableStatus::Active) => {
                    return Ok(());
                }
                Ok(_) => {}
                // It is not seen everywhere at once.
                Err(cause) if cause.code() == Some("ResourceNotFoundException") => {}
                Err(cause) => return Err(failed("create_table", cause)),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Has DynamoDB delete what expires, unless it does.
    pub(crate) async fn enable_expiry(&self) -> Result<()> {
        let described = self.client.describe_time_to_live().table_name(&*self.table).send().await;
        let described = described.map_err(|cause| failed("create_table", cause))?;
        let described = described.time_to_live_description();
        let attribute = described.and_then(|d| d.attribute_name());
        match described.and_then(|d| d.time_to_live_status()) {
            Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) if attribute == Some(EXPIRES) => {
                return Ok(());
            }
            Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) => {
                return Err(error(ErrorKind::Incompatible, "create_table")
                    .with_message("the table's time to live is by another attribute than `expires_at`"));
            }
            _ => {}
        }
        let form = |cause: BuildError| error(ErrorKind::Other, "create_table").with_source(cause);
        let wanted =
            TimeToLiveSpecification::builder().attribute_name(EXPIRES).enabled(true).build().map_err(form)?;
        let request =
            self.client.update_time_to_live().table_name(&*self.table).time_to_live_specification(wanted);
        match request.send().await {
            Ok(_) => Ok(()),
            // Another process was faster.
            Err(cause) if cause.message().is_some_and(|message| message.contains("already enabled")) => {
                Ok(())
            }
            Err(cause) => Err(failed("create_table", cause)),
        }
    }
}
