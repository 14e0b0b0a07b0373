//! The other spelling of a URI: what a server that decodes and resolves it may take it for.
//!
//! A server may open `file:///public/%2e%2e/secret` as `file:///secret`, or look it up as it stands.
//! Nobody here knows which, so what is decided is decided for every reading: the ACL's rules and guardrails look at all of them.

use std::borrow::Cow;

/// How often an escape may hide an escape before the rest is left as it is.
const ROUNDS_MAX: usize = 8;

/// What else a server may take a URI for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// Other spellings of the whole: each must be permitted.
    pub whole: Vec<String>,
    /// What it may open by it, without what says only how: none may be denied.
    pub place: Option<String>,
}

impl Readings {
    /// Reads a URI. Most have no other reading, and cost one look.
    #[must_use]
    pub fn of(uri: &str) -> Self {
        // A parser of URLs drops these wherever they stand (WHATWG URL, 4.4).
        let is_dropped = |character: char| character.is_ascii_control();
        let clean = match uri.contains(is_dropped) || uri.trim() != uri {
            true => Cow::Owned(uri.trim().replace(is_dropped, "").trim().to_owned()),
            false => Cow::Borrowed(uri),
        };
        let end = clean.find(['?', '#']).unwrap_or(clean.len());
        let (path, rest) = clean.split_at_checked(end).unwrap_or((&clean, ""));
        let resolved = canonical(path).unwrap_or_else(|| path.to_owned());
        let mut whole: Vec<String> = canonical(uri).into_iter().collect();
        let parted = [&resolved, rest].concat();
        if parted != uri && !whole.contains(&parted) {
            whole.push(parted);
        }
        let place = bare(&resolved);
        let is_other = place != uri && !whole.contains(&place);
        Self {
            whole,
            place: is_other.then_some(place),
        }
    }
}

/// A URI without its user, an empty port, and a slash at the end.
fn bare(uri: &str) -> String {
    let (scheme, rest) = match uri.split_once("://") {
        Some((scheme, rest)) => ([scheme, "://"].concat(), rest),
        None => (String::new(), uri),
    };
    let (authority, path) = match rest.find('/').and_then(|at| rest.split_at_checked(at)) {
        _ if scheme.is_empty() => ("", rest),
        Some(parts) => parts,
        None => (rest, ""),
    };
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let host = host.strip_suffix(':').unwrap_or(host);
    [&scheme, host, path.strip_suffix('/').unwrap_or(path)].concat()
}

/// A URI decoded, its scheme and authority in lower case, its dots and empty segments resolved;
/// nothing where that is how it is written.
fn canonical(uri: &str) -> Option<String> {
    if is_plain(uri) {
        return None;
    }
    let decoded = decode(uri, |_| true);
    let canonical = resolve(&folded(&decoded));
    (canonical != uri).then_some(canonical)
}

/// A pattern of URIs as `canonical` spells them. A wildcard that is escaped stays none.
#[must_use]
pub fn canonical_pattern(pattern: &str) -> String {
    folded(&decode(pattern, |byte| !matches!(byte, b'*' | b'?')))
}

/// Whether a URI is certainly spelled as [`canonical`] spells it.
fn is_plain(uri: &str) -> bool {
    let (scheme, rest) = match uri.split_once(':') {
        Some((scheme, rest)) => (scheme, rest),
        None => ("", uri),
    };
    let authority = match rest.strip_prefix("//") {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None => "",
    };
    let path = rest
        .strip_prefix("//")
        .and_then(|rest| rest.get(authority.len()..))
        .unwrap_or(rest);
    let has_upper = |text: &str| text.bytes().any(|byte| byte.is_ascii_uppercase());
    !has_upper(scheme)
        && !has_upper(authority)
        && !uri.contains(['%', '\\'])
        && !path.contains("//")
        && !path.contains("/.")
        && !path.starts_with('.')
        && (scheme != "file" || (rest.starts_with("//") && authority.is_empty()))
}

/// Percent-decodes until nothing is left to decode. What is no UTF-8 then is replaced.
fn decode(text: &str, is_wanted: impl Fn(u8) -> bool) -> String {
    let mut text = Cow::Borrowed(text);
    for _ in 0..ROUNDS_MAX {
        match decode_once(&text, &is_wanted) {
            Some(decoded) => text = Cow::Owned(decoded),
            None => break,
        }
    }
    text.replace('\\', "/")
}

fn decode_once(text: &str, is_wanted: impl Fn(u8) -> bool) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let mut is_changed = false;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%')
            .then(|| escaped(bytes.get(at + 1), bytes.get(at + 2)))
            .flatten()
            .filter(|byte| is_wanted(*byte));
        match escaped {
            Some(byte) => {
                decoded.push(byte);
                is_changed = true;
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    is_changed.then(|| String::from_utf8_lossy(&decoded).into_owned())
}

fn escaped(high: Option<&u8>, low: Option<&u8>) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high?)? << 4 | digit(low?)?).ok()
}

/// The scheme and the authority in lower case, empty segments left out, and the many spellings of
/// this machine's files as one.
fn folded(uri: &str) -> String {
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.*?".contains(c);
    let parts = uri.split_once(':');
    let parts = parts.filter(|(scheme, _)| !scheme.is_empty() && scheme.chars().all(is_scheme));
    let Some((scheme, rest)) = parts else {
        return without_empty(uri);
    };
    let scheme = scheme.to_ascii_lowercase();
    let Some(after) = rest.strip_prefix("//") else {
        let slashes = if scheme == "file" { "//" } else { "" };
        return [&scheme, ":", slashes, &without_empty(rest)].concat();
    };
    let end = after.find('/').unwrap_or(after.len());
    let (authority, path) = after.split_at_checked(end).unwrap_or((after, ""));
    let mut authority = authority.to_ascii_lowercase();
    if scheme == "file" && authority == "localhost" {
        authority.clear();
    }
    [&scheme, "://", &authority, &without_empty(path)].concat()
}

/// A path without empty segments.
fn without_empty(path: &str) -> String {
    let mut kept = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !kept.ends_with('/') {
            kept.push(character);
        }
    }
    kept
}

/// Resolves `.` and `..` segments behind the authority.
fn resolve(uri: &str) -> String {
    let start = match uri.find("://") {
        Some(at) => uri
            .get(at + 3..)
            .and_then(|rest| rest.find('/'))
            .map_or(uri.len(), |slash| at + 3 + slash),
        None => uri.find(':').map_or(0, |at| at + 1),
    };
    let (head, path) = uri.split_at_checked(start).unwrap_or((uri, ""));
    let mut kept: Vec<&str> = Vec::new();
    let mut is_folder = false;
    for (index, segment) in path.split('/').enumerate() {
        is_folder = matches!(segment, "." | "..");
        match segment {
            // Nothing lies above the root.
            ".." if kept.len() > usize::from(path.starts_with('/')) => {
                kept.pop();
            }
            "." | ".." => {}
            _ if index > 0 || !segment.is_empty() || path.starts_with('/') => kept.push(segment),
            _ => {}
        }
    }
    let mut resolved = [head, &kept.join("/")].concat();
    if is_folder && !resolved.ends_with('/') {
        resolved.push('/');
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_that_is_written_plainly_has_no_other_spelling() {
        for uri in [
            "file:///a/b.txt",
            "db://host/table?q=1#x",
            "demo:thing",
            "urn:isbn:1",
            "a",
            "",
        ] {
            assert_eq!(canonical(uri), None, "{uri}");
        }
    }

    #[test]
    fn every_spelling_of_a_place_is_one() {
        for (uri, plain) in [
            ("FILE:///a", "file:///a"),
            ("file://LOCALHOST/a", "file:///a"),
            ("file:/a", "file:///a"),
            ("file:////a//b", "file:///a/b"),
            ("file:///p/../a", "file:///a"),
            ("file:///p/%2e%2e/a", "file:///a"),
            ("file:///p/%252e%252E/a", "file:///a"),
            ("file:///p/..%2fa", "file:///a"),
            ("file:///p/..\\a", "file:///a"),
            ("file:///p%5c..%5ca", "file:///a"),
            ("file:///./a/.", "file:///a/"),
            ("file:///../../a", "file:///a"),
            ("db://Host/x", "db://host/x"),
            ("db://host/%41", "db://host/A"),
            ("demo:a/../b", "demo:b"),
        ] {
            assert_eq!(canonical(uri).as_deref(), Some(plain), "{uri}");
        }
    }

    #[test]
    fn a_query_hides_no_dots_and_no_place() {
        for hidden in ["?/../../public/y", "#/../../public/y"] {
            let uri = format!("file:///public/../secret/x{hidden}");
            let read = Readings::of(&uri);
            let whole = format!("file:///secret/x{hidden}");
            assert!(read.whole.contains(&whole), "{uri} {read:?}");
            assert_eq!(read.place.as_deref(), Some("file:///secret/x"), "{uri}");
        }
        for uri in [
            "file:///etc/passwd?",
            "file:///etc/passwd#",
            "file:///etc/passwd?a=b",
            "file:///etc/passwd/",
            "file:///etc/passwd/.",
            "file:///etc/pass\twd",
            " file:///etc/passwd",
        ] {
            let Readings { whole, place } = Readings::of(uri);
            let mut all = whole.into_iter().chain(place);
            assert!(all.any(|one| one == "file:///etc/passwd"), "{uri:?}");
        }
        for uri in ["db://u@host/users", "db://host:/users"] {
            let place = Readings::of(uri).place;
            assert_eq!(place.as_deref(), Some("db://host/users"), "{uri}");
        }
        for uri in [
            "file:///etc/passwd",
            "db://host:80/users",
            "demo:thing",
            "a",
            "",
        ] {
            assert_eq!(Readings::of(uri), Readings::default(), "{uri}");
        }
    }

    #[test]
    fn a_pattern_keeps_its_wildcards_and_gains_none() {
        assert_eq!(canonical_pattern("FILE:///A/%41*"), "file:///A/A*");
        assert_eq!(canonical_pattern("db://h/%2A"), "db://h/%2A");
        assert_eq!(canonical_pattern("*"), "*");
        assert_eq!(canonical_pattern("file://*"), "file://*");
    }

    #[test]
    fn what_is_canonical_stays_so() {
        for uri in [
            "FILE:/a/%2e%2e/..\\b//c/.",
            "demo:%2e/%2e%2e/x",
            "x%ff%fe",
            "%",
        ] {
            let once = canonical(uri).unwrap_or_else(|| uri.to_owned());
            assert_eq!(canonical(&once), None, "{uri} {once}");
        }
    }
}
