//! `dynamodb:` URLs.

use cache_api::{Parameters, Result};

use crate::{Billing, DynamoDbStorageBuilder, config::url_error, connect::Identity};

/// What a provisioned table has where nothing else is said.
const CAPACITY: u32 = 25;

/// Takes into the builder what a URL describes. The form is in the crate's documentation.
pub(crate) fn apply(mut builder: DynamoDbStorageBuilder, url: &str) -> Result<DynamoDbStorageBuilder> {
    let rest = url
        .strip_prefix("dynamodb://")
        .ok_or_else(|| url_error("the URL of a DynamoDB storage is dynamodb://TABLE?region=…"))?;
    if rest.contains('#') {
        return Err(url_error("a DynamoDB URL has no fragment: write a '#' in a secret as %23"));
    }
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (user, table) = match location.rsplit_once('@') {
        Some((user, table)) => (Some(user), table),
        None => (None, location),
    };
    let table = decoded(table.strip_suffix('/').unwrap_or(table))?;
    // Not shown: a secret with a '/' in it could have got here.
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b);
    if table.is_empty() || !table.bytes().all(allowed) || (table.contains('/') && !table.starts_with("arn:"))
    {
        return Err(url_error(
            "the DynamoDB URL names no table: write dynamodb://TABLE?region=…, and '/', '@' and '?' in a key as \
             %2F, %40 and %3F",
        ));
    }
    builder.table = Some(table);
    if let Some((id, secret)) = user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
        builder.identity = Identity::Key { id: decoded(id)?, secret: decoded(secret)?, token: None };
    }
    parameters(builder, query)
}

fn parameters(mut builder: DynamoDbStorageBuilder, query: &str) -> Result<DynamoDbStorageBuilder> {
    let mut parameters = Parameters::new("dynamodb", query)?;
    builder.region = parameters.text("region").or(builder.region);
    builder.endpoint = parameters.text("endpoint").or(builder.endpoint);
    if let Some(namespace) = parameters.namespace()? {
        builder.namespace = namespace;
    }
    if let Some(bytes) = parameters.bound("max_entry_size")? {
        builder.max_entry_size = bytes;
    }
    if let Some(retention) = parameters.duration("max_retention")? {
        builder.limits = builder.limits.with_max_retention(retention);
    }
    for (name, field) in [
        ("clock_skew", &mut builder.clock_skew),
        ("timeout", &mut builder.timeout),
        ("connect_timeout", &mut builder.connect_timeout),
    ] {
        if let Some(duration) = parameters.duration(name)? {
            *field = duration;
        }
    }
    for (name, field) in [("create_table", &mut builder.create_table), ("lazy", &mut builder.lazy)] {
        if let Some(flag) = parameters.flag(name)? {
            *field = flag;
        }
    }
    let billing = parameters.text("billing");
    let capacity = |parameters: &mut Parameters, name| parameters.parsed(name, "a number of units from 1");
    let read: Option<std::num::NonZeroU32> = capacity(&mut parameters, "read_capacity")?;
    let write: Option<std::num::NonZeroU32> = capacity(&mut parameters, "write_capacity")?;
    builder.billing = match (billing.as_deref(), read, write) {
        (None, None, None) => builder.billing,
        (Some("on-demand"), None, None) => Billing::OnDemand,
        (None | Some("provisioned"), read, write) => Billing::Provisioned {
            read: read.map_or(CAPACITY, Into::into),
            write: write.map_or(CAPACITY, Into::into),
        },
        (Some("on-demand"), ..) => {
            return Err(url_error(
                "a table that is billed on demand has no capacity: write billing=provisioned",
            ));
        }
        _ => return Err(url_error("the value of billing is neither on-demand nor provisioned")),
    };
    let (id, secret) = (parameters.text("access_key_id"), parameters.text("secret_access_key"));
    let (token, profile) = (parameters.text("session_token"), parameters.text("profile"));
    parameters.finish()?;
    builder.identity = match (id, secret, builder.identity) {
        (Some(id), Some(secret), _) => Identity::Key { id, secret, token: None },
        (None, None, identity) => identity,
        _ => {
            return Err(url_error(
                "access_key_id and secret_access_key go together: the URL has one of them",
            ));
        }
    };
    match (&mut builder.identity, profile, token) {
        (_, None, None) => {}
        (Identity::Key { token, .. }, None, Some(given)) => *token = Some(given),
        (Identity::Key { .. }, Some(_), _) => {
            return Err(url_error("a profile has credentials of its own: leave those of the URL away"));
        }
        (_, _, Some(_)) => {
            return Err(url_error("a session_token belongs to an access key: the URL has none"));
        }
        (identity, Some(profile), None) => *identity = Identity::Profile(profile),
    }
    if let Identity::Key { id, secret, .. } = &builder.identity
        && (id.is_empty() || secret.is_empty())
    {
        return Err(url_error(
            "the DynamoDB URL has half of an access key: write KEYID:SECRET before the '@'",
        ));
    }
    Ok(builder)
}

/// An endpoint's URL as it may be shown.
pub(crate) fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}")
}

fn decoded(text: &str) -> Result<String> {
    Parameters::decoded("dynamodb", text)
}

#[cfg(test)]
mod tests {
    use cache_api::ErrorKind;

    use super::*;

    fn read(url: &str) -> DynamoDbStorageBuilder {
        DynamoDbStorageBuilder::from_url(url).unwrap()
    }

    #[test]
    fn a_url_names_the_table_and_how_it_is_used() {
        let query = "region=eu-west-1&endpoint=http://127.0.0.1:8000&namespace=a&max_entry_size=2MiB&max_retention=30d&\
                     clock_skew=5s&timeout=500ms&connect_timeout=1s&lazy=true";
        let shown = format!("{:?}", read(&format!("dynamodb://my.table-1?{query}")));
        for part in [
            "\"my.table-1\"",
            "\"eu-west-1\"",
            "127.0.0.1:8000",
            "Namespace(a)",
            "2097152",
            "2592000s",
            "clock_skew: 5s",
            "timeout: 500ms",
            "connect_timeout: 1s",
            "lazy: true",
            "create_table: false",
            "OnDemand",
            "Environment",
        ] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        let arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/cache";
        assert_eq!(read(&format!("dynamodb://{arn}")).table.as_deref(), Some(arn));
        let provisioned = read("dynamodb://t/?create_table=true&billing=provisioned&write_capacity=7");
        assert_eq!(provisioned.billing, Billing::Provisioned { read: CAPACITY, write: 7 });
        assert!(provisioned.create_table);
    }

    #[test]
    fn credentials_are_decoded_and_not_shown() {
        for url in [
            "dynamodb://AKID:h%2Fi%40d%3Fden@t?session_token=to%2Bken",
            "dynamodb://t?access_key_id=AKID&secret_access_key=h%2Fi%40d%3Fden&session_token=to%2Bken",
        ] {
            let builder = read(url);
            let shown = format!("{builder:?}");
            assert!(!shown.contains("?den") && !shown.contains("ken") && !shown.contains("AKID"), "{shown}");
            let Identity::Key { id, secret, token } = builder.identity else { panic!("{url}") };
            assert_eq!((&*id, &*secret, token.as_deref()), ("AKID", "h/i@d?den", Some("to+ken")));
        }
        assert!(
            matches!(read("dynamodb://t?profile=work").identity, Identity::Profile(name) if name == "work")
        );
        assert_eq!(without_credentials("https://u:p@vpce.example:8/x?y=z"), "https://vpce.example:8");
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_shown() {
        for (url, part) in [
            ("dynamo://t", "dynamodb://TABLE"),
            ("dynamodb://", "names no table"),
            ("dynamodb://t#f", "no fragment"),
            ("dynamodb://t?ttl=1", "\"ttl\"; known are region, endpoint, namespace"),
            ("dynamodb://t?timeout=soon", "timeout is no duration"),
            ("dynamodb://t?billing=free", "billing is neither"),
            ("dynamodb://t?billing=on-demand&read_capacity=5", "billing=provisioned"),
            ("dynamodb://t?read_capacity=0", "read_capacity is not a number of units"),
            ("dynamodb://t?access_key_id=a", "go together"),
            ("dynamodb://t?session_token=a", "belongs to an access key"),
            ("dynamodb://a:b@t?profile=c", "credentials of its own"),
            ("dynamodb://a@t", "half of an access key"),
            ("dynamodb://t?lazy=1", "true nor false"),
            ("dynamodb://t?namespace=A", "is no namespace"),
        ] {
            let error = DynamoDbStorageBuilder::from_url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(error.to_string().contains(part), "{url}: {error}");
        }
        for url in ["dynamodb://a:quiet/hush", "dynamodb://a:quiet?hush@t", "dynamodb://t?pass_word=hush"] {
            let error = DynamoDbStorageBuilder::from_url(url).unwrap_err().to_string();
            assert!(!error.contains("hush") && !error.contains("quiet"), "{error}");
        }
    }

    #[test]
    fn no_url_panics_and_nothing_shows_a_password() {
        cache_conformance::urls_keep_secrets(
            &[
                "dynamodb://AKID:{password}@t?region=eu-west-1&session_token=a&timeout=5s",
                "dynamodb://t?access_key_id=a&secret_access_key={password}&billing=provisioned&read_capacity=5",
                "dynamodb://a:b@t?session_token={password}",
            ],
            DynamoDbStorageBuilder::from_url,
        );
    }
}
