//! Where a server of the HTTP+SSE transport (2024-11-05) takes messages: what its `endpoint` event
//! names, as the target of a request to the origin that the operator configured.
//!
//! **Invariant:** a target begins with `/` and is visible ASCII, so that it can be written into a
//! request's head; a reference to any other origin gives none (a server must not choose whom the
//! gateway sends credentials and messages to).

/// The name of the event.
pub const EVENT: &str = "endpoint";

/// Longest reference, in bytes.
pub const ENDPOINT_BYTES_MAX: usize = 8 * 1024;

/// The configured URL that a reference is relative to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Whether its scheme is `https`.
    pub is_tls: bool,
    /// Its host, and its port where one is written.
    pub authority: String,
    /// Its path and query.
    pub path: String,
}

/// Why a reference names no place for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no URL, or too long.
    Malformed,
    /// It is on another origin.
    Foreign,
}

/// The path and query that `reference` names (RFC 3986, 5.2).
///
/// # Errors
/// [`Refused`] where it names none on the origin of `base`.
pub fn resolve(base: &Base, reference: &str) -> Result<String, Refused> {
    let reference = reference.trim_ascii();
    // What a browser would read as a slash, or leave out, is not guessed at.
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    if reference.len() > ENDPOINT_BYTES_MAX || !reference.bytes().all(is_plain) {
        return Err(Refused::Malformed);
    }
    let reference = before(reference, '#');
    let local = match split_scheme(reference) {
        Some((scheme, rest)) => {
            let own = if base.is_tls { "https" } else { "http" };
            if !scheme.eq_ignore_ascii_case(own) {
                return Err(Refused::Foreign);
            }
            rest.strip_prefix("//").ok_or(Refused::Malformed)?
        }
        None => match reference.strip_prefix("//") {
            Some(rest) => rest,
            None => return Ok(merge(&base.path, reference)),
        },
    };
    let end = local.find(['/', '?']).unwrap_or(local.len());
    let (authority, path) = local.split_at(end);
    if !is_same(base, authority) {
        return Err(Refused::Foreign);
    }
    Ok(match path.strip_prefix('?') {
        Some(query) => format!("/?{query}"),
        None => without_dots(path),
    })
}

/// The scheme of an absolute reference, and what follows its colon.
fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    is_scheme.then_some((scheme, rest))
}

fn is_same(base: &Base, authority: &str) -> bool {
    let default = if base.is_tls { "443" } else { "80" };
    let (host, port) = host_and_port(authority, default);
    let (own_host, own_port) = host_and_port(&base.authority, default);
    host.eq_ignore_ascii_case(own_host) && port == own_port
}

fn host_and_port<'a>(authority: &'a str, default: &'a str) -> (&'a str, &'a str) {
    match authority.rsplit_once(':') {
        // A colon inside brackets is part of an IPv6 address.
        Some((host, port)) if !port.contains(']') => {
            (host, if port.is_empty() { default } else { port })
        }
        Some(_) | None => (authority, default),
    }
}

/// A reference without authority, on the path that it is relative to.
fn merge(path: &str, reference: &str) -> String {
    let own = before(path, '?');
    if reference.starts_with('/') {
        without_dots(reference)
    } else if reference.is_empty() {
        path.to_owned()
    } else if reference.starts_with('?') {
        format!("{own}{reference}")
    } else {
        let folder = own.rsplit_once('/').map_or("", |(folder, _)| folder);
        without_dots(&format!("{folder}/{reference}"))
    }
}

/// The path with its `.` and `..` segments taken, and the query as it is.
fn without_dots(target: &str) -> String {
    let path = before(target, '?');
    let query = target.strip_prefix(path).unwrap_or_default();
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let is_folder = path.ends_with("/.") || path.ends_with("/..");
    let end = if is_folder && !kept.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{end}{query}", kept.join("/"))
}

fn before(text: &str, end: char) -> &str {
    text.split_once(end).map_or(text, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(is_tls: bool, authority: &str, path: &str) -> Base {
        Base {
            is_tls,
            authority: authority.to_owned(),
            path: path.to_owned(),
        }
    }

    #[test]
    fn a_reference_is_resolved_as_a_url_is() {
        let base = base(false, "tools.example:8080", "/a/sse?key=1");
        for (reference, target) in [
            ("/message?sessionId=1", "/message?sessionId=1"),
            ("message?sessionId=1#top", "/a/message?sessionId=1"),
            ("./message", "/a/message"),
            ("../../message", "/message"),
            ("/b/../c/./d/..", "/c/"),
            ("..", "/"),
            ("?sessionId=1", "/a/sse?sessionId=1"),
            ("", "/a/sse?key=1"),
            (" /message\r\n", "/message"),
            ("http://tools.example:8080/m?u=http://x", "/m?u=http://x"),
            ("HTTP://Tools.Example:8080", "/"),
            ("http://tools.example:8080?x", "/?x"),
            ("//tools.example:8080/m", "/m"),
            ("/m?next=../..", "/m?next=../.."),
        ] {
            assert_eq!(
                resolve(&base, reference).as_deref(),
                Ok(target),
                "{reference}"
            );
        }
    }

    #[test]
    fn the_port_of_the_scheme_need_not_be_written() {
        let http = base(false, "h", "/sse");
        assert_eq!(resolve(&http, "http://h:80/m").as_deref(), Ok("/m"));
        let https = base(true, "[::1]:443", "/sse");
        assert_eq!(resolve(&https, "https://[::1]/m").as_deref(), Ok("/m"));
        assert_eq!(resolve(&https, "https://[::1]:80/m"), Err(Refused::Foreign));
    }

    #[test]
    fn another_origin_is_refused() {
        let base = base(false, "tools.example:8080", "/sse");
        for reference in [
            "http://evil.example/m",
            "https://tools.example:8080/m",
            "http://tools.example/m",
            "http://tools.example:8081/m",
            "//evil.example/m",
            "///m",
            "http:///m",
            "http://tools.example:8080@evil.example/m",
            "http://user@tools.example:8080/m",
            "http://tools.example.:8080/m",
            "ftp://tools.example:8080/m",
            "javascript:alert(1)",
        ] {
            assert_eq!(
                resolve(&base, reference),
                Err(Refused::Foreign),
                "{reference}"
            );
        }
    }

    #[test]
    fn what_cannot_stand_in_a_request_head_is_refused() {
        let base = base(false, "h", "/sse");
        for reference in [
            "/m\r\nX: y",
            "/a b",
            "/\u{e9}",
            "/m\0",
            "\\\\evil.example\\m",
            "http:/m",
            "http:m",
        ] {
            assert_eq!(
                resolve(&base, reference),
                Err(Refused::Malformed),
                "{reference}"
            );
        }
        let longest = format!("/{}", "m".repeat(ENDPOINT_BYTES_MAX - 1));
        assert_eq!(resolve(&base, &longest).as_ref(), Ok(&longest));
        assert_eq!(
            resolve(&base, &format!("{longest}m")),
            Err(Refused::Malformed)
        );
    }

    #[test]
    fn whatever_comes_out_is_a_path() {
        let base = base(false, "h", "/a/b");
        for reference in ["..", "./..", "....//", "//h", "?", "#", "/..//x", "a:b"] {
            if let Ok(target) = resolve(&base, reference) {
                assert!(target.starts_with('/'), "{reference} gives {target}");
            }
        }
    }
}
