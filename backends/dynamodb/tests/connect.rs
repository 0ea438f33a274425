//! Ways to the table, and what goes wrong on them.

use std::sync::atomic::Ordering;

use crate::own_server::{client, endpoint, open};
use crate::script;
use cache_api::{BodyId, ErrorKind, Namespace, Storage};
use cache_backend_dynamodb::{
    DynamoDbStorage,
    aws_sdk_dynamodb::{
        Client,
        types::{
            AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
            TimeToLiveStatus,
        },
    },
};
use cache_conformance::{
    sample::{is_stored, key, put, start},
    services::{Trials, dynamodb::Single, own},
};

pub(crate) fn trials() -> Trials {
    Trials::new("dynamodb", own(&Single).presence())
        .case("missing_table", missing_table)
        .case("table_created", table_created)
        .case("table_created_by_two", table_created_by_two)
        .case("other_keys", other_keys)
        .case("other_time_to_live", other_time_to_live)
        .case("nobody_there", nobody_there)
        .case("no_answer", no_answer)
        .case("no_region_and_no_table", no_region_and_no_table)
        .case("refusals", refusals)
        .case("throttled_for_a_while", throttled_for_a_while)
        .case("reads_left_undone", reads_left_undone)
        .case("own_client", own_client)
        .case("namespaces_over_one_client", namespaces_over_one_client)
}

fn url(endpoint: &str, table: &str, more: &str) -> String {
    format!("dynamodb://AKIDEXAMPLE:wJalr%2Fsecret@{table}?region=eu-west-1&endpoint={endpoint}{more}")
}

/// No credential is in what a user or a log sees.
fn without_secrets(shown: &str) {
    assert!(!shown.contains("wJalr") && !shown.contains("AKIDEXAMPLE"), "{shown}");
}

async fn missing_table() {
    let service = own(&Single);
    let url = url(&endpoint(&service), "nowhere", "");
    let error = DynamoDbStorage::from_url(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.to_string().starts_with("dynamodb: connect: there is no such table"), "{error}");
    assert!(error.to_string().contains("create_table"), "{error}");
    without_secrets(&format!("{error} {error:?}"));
    let lazy = DynamoDbStorage::from_url(&format!("{url}&lazy=true")).await.unwrap();
    let error = lazy.lookup(&key(1), start()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.to_string().starts_with("dynamodb: lookup: there is no such table"), "{error}");
    without_secrets(&format!("{error} {error:?} {lazy} {lazy:?}"));
    let both = DynamoDbStorage::from_url(&format!("{url}&lazy=true&create_table=true")).await.unwrap_err();
    assert_eq!(both.kind(), ErrorKind::Config, "{both:?}");
}

async fn table_created() {
    let service = own(&Single);
    let endpoint = endpoint(&service);
    for (table, more) in [("one", ""), ("two", "&billing=provisioned&read_capacity=7&write_capacity=8")] {
        // Again, where it is there.
        for _ in 0..2 {
            let url = url(&endpoint, table, &format!("&create_table=true{more}"));
            let storage = DynamoDbStorage::from_url(&url).await.unwrap();
            put(&storage, key(1), vec![1], &[], start()).await.unwrap();
            let shown = format!("{storage} {storage:?}");
            assert!(
                shown.contains(&format!("dynamodb (table {table}, {endpoint}, namespace default)")),
                "{shown}"
            );
            without_secrets(&shown);
        }
        // Without more permissions than a cache needs, too.
        DynamoDbStorage::from_url(&url(&endpoint, table, "")).await.unwrap();
        let client = client(&endpoint);
        let ttl = client.describe_time_to_live().table_name(table).send().await.unwrap();
        let ttl = ttl.time_to_live_description().unwrap();
        assert_eq!(ttl.time_to_live_status(), Some(&TimeToLiveStatus::Enabled));
        assert_eq!(ttl.attribute_name(), Some("expires_at"));
        let described = client.describe_table().table_name(table).send().await.unwrap();
        let described = described.table().unwrap();
        assert_eq!(described.global_secondary_indexes().len(), 0);
        let provisioned = described.provisioned_throughput().map(|t| t.write_capacity_units().unwrap_or(0));
        assert_eq!(provisioned.unwrap_or(0), if more.is_empty() { 0 } else { 8 });
    }
}

async fn table_created_by_two() {
    let service = own(&Single);
    let url = url(&endpoint(&service), "both", "&create_table=true");
    let (one, two) = tokio::join!(DynamoDbStorage::from_url(&url), DynamoDbStorage::from_url(&url));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(is_stored(&put(&one, key(1), vec![1], &[], start()).await.unwrap()));
    assert_eq!(two.lookup(&key(1), start()).await.unwrap().variants().len(), 1);
}

async fn create(client: &Client, table: &str, keys: &[(&str, KeyType, ScalarAttributeType)]) {
    let mut request = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    for (name, kind, scalar) in keys {
        let definition = AttributeDefinition::builder().attribute_name(*name).attribute_type(scalar.clone());
        let element = KeySchemaElement::builder().attribute_name(*name).key_type(kind.clone());
        request = request.attribute_definitions(definition.build().unwrap());
        request = request.key_schema(element.build().unwrap());
    }
    request.send().await.unwrap();
}

async fn other_keys() {
    use KeyType::{Hash, Range};
    use ScalarAttributeType::{N, S};
    let service = own(&Single);
    let endpoint = endpoint(&service);
    let client = client(&endpoint);
    let tables: [(&str, &[_]); 5] = [
        ("id-alone", &[("id", Hash, S)]),
        ("pk-alone", &[("pk", Hash, S)]),
        ("other-names", &[("id", Hash, S), ("at", Range, S)]),
        ("numbers", &[("pk", Hash, N), ("sk", Range, N)]),
        ("number-last", &[("pk", Hash, S), ("sk", Range, N)]),
    ];
    for (table, keys) in tables {
        create(&client, table, keys).await;
        for more in ["", "&create_table=true"] {
            let error = DynamoDbStorage::from_url(&url(&endpoint, table, more)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Incompatible, "{table}: {error:?}");
            assert!(error.to_string().contains("`pk`"), "{error}");
            without_secrets(&format!("{error} {error:?}"));
        }
    }
}

async fn other_time_to_live() {
    use cache_backend_dynamodb::aws_sdk_dynamodb::types::TimeToLiveSpecification;
    let service = own(&Single);
    let endpoint = endpoint(&service);
    let client = client(&endpoint);
    let keys =
        [("pk", KeyType::Hash, ScalarAttributeType::S), ("sk", KeyType::Range, ScalarAttributeType::S)];
    create(&client, "theirs", &keys).await;
    let by = TimeToLiveSpecification::builder().attribute_name("ttl").enabled(true).build().unwrap();
    client.update_time_to_live().table_name("theirs").time_to_live_specification(by).send().await.unwrap();
    DynamoDbStorage::from_url(&url(&endpoint, "theirs", "")).await.unwrap();
    let error = DynamoDbStorage::from_url(&url(&endpoint, "theirs", "&create_table=true")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error:?}");
}

async fn nobody_there() {
    let url = url("http://127.0.0.1:1", "t", "&connect_timeout=1s");
    let error = DynamoDbStorage::from_url(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    without_secrets(&format!("{error} {error:?}"));
    let lazy = DynamoDbStorage::from_url(&format!("{url}&lazy=true")).await.unwrap();
    let error = lazy.lookup(&key(1), start()).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

async fn no_answer() {
    let (endpoint, _) = script::serve(Vec::new()).await;
    let error = DynamoDbStorage::from_url(&url(&endpoint, "t", "&timeout=100ms")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    without_secrets(&format!("{error} {error:?}"));
}

async fn no_region_and_no_table() {
    let error = DynamoDbStorage::builder().region("eu-west-1").build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    let error = DynamoDbStorage::builder().table("t").region("eu-west-1").endpoint("127.0.0.1:8000");
    let error = error.build().await.unwrap_err();
    assert!(error.to_string().contains("endpoint is no URL"), "{error}");
}

/// What AWS answers, and local servers do not.
async fn refusals() {
    for (code, kind, part) in [
        ("AccessDeniedException", ErrorKind::Denied, "lack a permission"),
        ("UnrecognizedClientException", ErrorKind::Denied, "refuses the credentials"),
        ("InvalidSignatureException", ErrorKind::Denied, "refuses the credentials"),
        ("MissingAuthenticationTokenException", ErrorKind::Denied, "refuses the credentials"),
        ("ExpiredTokenException", ErrorKind::Denied, "expiry"),
        ("ProvisionedThroughputExceededException", ErrorKind::Unavailable, "throttled"),
        ("ThrottlingException", ErrorKind::Unavailable, "throttled"),
        ("RequestLimitExceeded", ErrorKind::Unavailable, "throttled"),
        ("InternalServerError", ErrorKind::Unavailable, "unavailable"),
        ("SomethingNewException", ErrorKind::Other, "connect"),
    ] {
        // A signature's error may quote what was signed.
        let signed = "the canonical string had x-amz-security-token:wJalr of AKIDEXAMPLE";
        let message =
            if kind == ErrorKind::Denied && code != "AccessDeniedException" { signed } else { "no" };
        let (endpoint, _) = script::serve(vec![script::error(code, message)]).await;
        let error = DynamoDbStorage::from_url(&url(&endpoint, "t", "")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code}: {error:?}");
        assert!(error.to_string().contains(part), "{code}: {error}");
        without_secrets(&format!("{error} {error:?}"));
        assert!(format!("{error:?}").contains(code), "{error:?}");
    }
}

async fn throttled_for_a_while() {
    let mut answers = vec![script::error("ProvisionedThroughputExceededException", "slower"); 5];
    answers.push((200, r#"{"Items":[],"Count":0,"ScannedCount":0}"#.to_owned()));
    let (endpoint, asked) = script::serve(answers).await;
    let storage = DynamoDbStorage::from_url(&url(&endpoint, "t", "&lazy=true")).await.unwrap();
    assert!(storage.lookup(&key(1), start()).await.unwrap().variants().is_empty());
    assert_eq!(asked.load(Ordering::SeqCst), 6);
}

async fn reads_left_undone() {
    let body = BodyId::random().unwrap();
    let place = format!(r#"{{"pk":{{"S":"http-cache:1:default:f:{body}:0"}},"sk":{{"S":"-"}}"#);
    let undone = format!(r#"{{"Responses":{{"t":[]}},"UnprocessedKeys":{{"t":{{"Keys":[{place}}}]}}}}}}"#);
    let done = format!(r#"{{"Responses":{{"t":[{place},"d":{{"B":"AQID"}}}}]}},"UnprocessedKeys":{{}}}}"#);
    let answers = vec![(200, undone.clone()), (200, undone.clone()), (200, done)];
    let (endpoint, asked) = script::serve(answers).await;
    let storage = DynamoDbStorage::from_url(&url(&endpoint, "t", "&lazy=true")).await.unwrap();
    let frames = storage.read(&key(1), body, 0..1).await.unwrap();
    assert_eq!(&frames[0].bytes().await.unwrap()[..], [1, 2, 3]);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    // Not for ever.
    let (endpoint, _) = script::serve(vec![(200, undone)]).await;
    let storage = DynamoDbStorage::from_url(&url(&endpoint, "t", "&lazy=true")).await.unwrap();
    assert_eq!(storage.read(&key(1), body, 0..1).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

async fn own_client() {
    let service = own(&Single);
    open(&service).await;
    let own = client(&endpoint(&service));
    let storage = DynamoDbStorage::builder().client(own.clone()).table("conformance").build().await.unwrap();
    let now = start();
    assert!(is_stored(&put(&storage, key(1), vec![1], &[], now).await.unwrap()));
    assert!(storage.to_string().contains("own client in eu-west-1"), "{storage}");
    storage.close().await.unwrap();
    assert_eq!(storage.lookup(&key(1), now).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(storage.remove(&key(1), None, now).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(put(&storage, key(1), vec![1], &[], now).await.unwrap_err().kind(), ErrorKind::Closed);
    let error = DynamoDbStorage::builder().client(own).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

async fn namespaces_over_one_client() {
    let service = own(&Single);
    let one = open(&service).await;
    let two = one.in_namespace(Namespace::new("two").unwrap());
    let now = start();
    put(&one, key(1), vec![1], &[], now).await.unwrap();
    assert!(two.lookup(&key(1), now).await.unwrap().variants().is_empty());
    one.close().await.unwrap();
    assert!(is_stored(&put(&two, key(1), vec![1], &[], now).await.unwrap()));
}
