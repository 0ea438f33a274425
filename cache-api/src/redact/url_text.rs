//! URLs as text, references and what is no URL at all included.

use std::borrow::Cow;

use url::Url;

use super::{REDACTED, form, names::Names};

/// What some sign-ins put into the fragment has the form of a query.
pub(super) fn redacted<'u>(text: &'u str, names: &Names) -> Cow<'u, str> {
    if !text.contains(['?', '#', '@']) {
        return Cow::Borrowed(text);
    }
    let (rest, fragment) = match text.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (text, None),
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let mut shown = without_credentials(path);
    for (mark, part) in [('?', query), ('#', fragment)] {
        if let Some(part) = part {
            shown.push(mark);
            form::redacted(part, names, &mut shown);
        }
    }
    Cow::Owned(shown)
}

/// Query and fragment of a reference.
pub(super) fn parameters(reference: &[u8]) -> impl Iterator<Item = &[u8]> {
    reference
        .splitn(2, |byte| matches!(byte, b'?' | b'#'))
        .skip(1)
        .flat_map(|rest| rest.split(|&byte| byte == b'#'))
}

/// A URL up to its path, without user and password; with them in a reference that is no URL, the authority goes whole.
fn without_credentials(text: &str) -> String {
    let Some((before, after)) = text.split_once("//") else {
        return text.to_owned();
    };
    let authority = after.split(['/', '\\']).next().unwrap_or_default();
    if !authority.contains('@') {
        return text.to_owned();
    }
    match Url::parse(text) {
        Ok(mut url) => {
            // They fail only for URLs that cannot have credentials.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.into()
        }
        Err(_) => format!("{before}//{REDACTED}{}", after.strip_prefix(authority).unwrap_or_default()),
    }
}
