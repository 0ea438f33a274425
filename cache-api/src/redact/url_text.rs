//! URLs as text, references and what is no URL at all included.

use std::borrow::Cow;

use url::Url;

use super::{REDACTED, form, names::Names};

/// What a reader of URLs passes over, wherever it stands: no name may hide behind it.
const PASSED_OVER: [char; 3] = ['\t', '\n', '\r'];

/// What some sign-ins put into the fragment has the form of a query.
pub(super) fn redacted<'u>(text: &'u str, names: &Names) -> Cow<'u, str> {
    if !text.contains(['?', '#', '@']) {
        return Cow::Borrowed(text);
    }
    let text = read(text.as_bytes());
    let text = String::from_utf8_lossy(&text);
    let (rest, fragment) = match text.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (&*text, None),
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

/// A reference as it is read.
pub(super) fn read(reference: &[u8]) -> Cow<'_, [u8]> {
    let is_passed_over = |byte: &u8| PASSED_OVER.contains(&char::from(*byte));
    if reference.iter().any(is_passed_over) {
        reference.iter().copied().filter(|byte| !is_passed_over(byte)).collect()
    } else {
        Cow::Borrowed(reference)
    }
}

/// Query and fragment of a reference that was [`read`].
pub(super) fn parameters(reference: &[u8]) -> impl Iterator<Item = &[u8]> {
    reference
        .splitn(2, |byte| matches!(byte, b'?' | b'#'))
        .skip(1)
        .flat_map(|rest| rest.split(|&byte| byte == b'#'))
}

/// A URL up to its path, without user and password; with them in a reference that is no URL, the authority goes whole.
fn without_credentials(text: &str) -> String {
    if !text.contains('@') {
        return text.to_owned();
    }
    // Also those that are read as `http://user@host` and not written so, as `http:\\user@host`.
    if let Ok(mut url) = Url::parse(text) {
        if url.username().is_empty() && url.password().is_none() {
            return text.to_owned();
        }
        // They fail only for URLs that cannot have credentials.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        return url.into();
    }
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let Some(at) = text.as_bytes().windows(2).position(|pair| pair.iter().all(is_slash)) else {
        return text.to_owned();
    };
    let (before, from_slashes) = text.split_at_checked(at).unwrap_or((text, ""));
    let after = from_slashes.trim_start_matches(['/', '\\']);
    // A backslash ends it in some schemes, and belongs to a password in others.
    let authority = after.split('/').next().unwrap_or_default();
    if !authority.contains('@') {
        return text.to_owned();
    }
    format!("{before}//{REDACTED}{}", after.strip_prefix(authority).unwrap_or_default())
}
