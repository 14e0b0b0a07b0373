//! Where a request carries its credential.
//!
//! **Invariant:** a request has one credential or none. Two that differ, or a header that stands twice,
//! are refused: another reader could take the other one.

use crate::identity::denial::Denial;

/// Longest credential that is looked at, in bytes.
pub const CREDENTIAL_BYTES_MAX: usize = 16 * 1024;

/// What a request offers as its proof.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// `Authorization: Bearer`: a key or a token.
    Bearer(&'a str),
    /// `X-API-Key`: a key.
    Key(&'a str),
}

impl<'a> Credential<'a> {
    /// The text itself.
    #[must_use]
    pub fn text(self) -> &'a str {
        match self {
            Self::Bearer(text) | Self::Key(text) => text,
        }
    }
}

/// Reads the values of `Authorization` and of `X-API-Key`.
///
/// # Errors
/// Where they are no credential, or more than one.
pub fn read<'a>(
    authorization: impl IntoIterator<Item = &'a [u8]>,
    api_key: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<Credential<'a>>, Denial> {
    let bearer = only(authorization)?.map(bearer).transpose()?;
    let key = only(api_key)?.map(plain).transpose()?;
    match (bearer, key) {
        (Some(bearer), Some(key)) if bearer != key => Err(Denial::Conflict),
        (Some(bearer), _) => Ok(Some(Credential::Bearer(bearer))),
        (None, Some(key)) => Ok(Some(Credential::Key(key))),
        (None, None) => Ok(None),
    }
}

fn only<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<&'a [u8]>, Denial> {
    let mut values = values.into_iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Denial::Duplicate),
    }
}

fn bearer(value: &[u8]) -> Result<&str, Denial> {
    const SCHEME: &[u8] = b"bearer";
    let value = value.trim_ascii();
    let (scheme, rest) = value.split_at_checked(SCHEME.len()).unwrap_or((value, b""));
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(Denial::Scheme);
    }
    let token = match rest.first() {
        None => return Err(Denial::Malformed),
        Some(b' ' | b'\t') => rest.trim_ascii(),
        Some(_) => return Err(Denial::Scheme),
    };
    if token.contains(&b' ') || token.contains(&b'\t') {
        return Err(Denial::Malformed);
    }
    plain(token)
}

/// Visible ASCII, spaces inside included, of bounded length.
fn plain(value: &[u8]) -> Result<&str, Denial> {
    let value = value.trim_ascii();
    let is_plain = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    if value.is_empty() || value.len() > CREDENTIAL_BYTES_MAX || !value.iter().all(is_plain) {
        return Err(Denial::Malformed);
    }
    std::str::from_utf8(value).map_err(|_| Denial::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of both headers, and why they are refused.
    type Row<'a> = (&'a [&'a [u8]], &'a [&'a [u8]], Denial);

    fn check(authorization: &[&[u8]], key: &[&[u8]]) -> Result<Option<String>, Denial> {
        let read = read(authorization.iter().copied(), key.iter().copied());
        read.map(|found| {
            found.map(|found| match found {
                Credential::Bearer(text) => format!("bearer {text}"),
                Credential::Key(text) => format!("key {text}"),
            })
        })
    }

    #[test]
    fn what_is_no_single_credential_is_refused() {
        let long = [b"Bearer ".as_slice(), &b"a".repeat(100 * 1024)].concat();
        let rows: [Row<'_>; 15] = [
            (&[b"Bearer"], &[], Denial::Malformed),
            (&[b"Bearer "], &[], Denial::Malformed),
            (&[b"Bearer \t "], &[], Denial::Malformed),
            (&[b""], &[], Denial::Scheme),
            (&[b"Basic YTpi"], &[], Denial::Scheme),
            (&[b"Bearerabc"], &[], Denial::Scheme),
            (&[b"Bearer a b"], &[], Denial::Malformed),
            (&[b"Bearer \xff"], &[], Denial::Malformed),
            (&[&long], &[], Denial::Malformed),
            (&[b"Bearer a", b"Bearer a"], &[], Denial::Duplicate),
            (&[], &[b"a", b"a"], Denial::Duplicate),
            (&[], &[b""], Denial::Malformed),
            (&[b"Bearer a"], &[b"b"], Denial::Conflict),
            (&[b"Bearer a"], &[b"A"], Denial::Conflict),
            (&[b"Basic YTpi"], &[b"b"], Denial::Scheme),
        ];
        for (authorization, key, denial) in rows {
            assert_eq!(check(authorization, key), Err(denial), "{authorization:?}");
        }
    }

    #[test]
    fn a_credential_is_read_from_either_header() {
        assert_eq!(check(&[], &[]), Ok(None));
        for value in [b"Bearer a".as_slice(), b"bearer  a", b"BEARER\ta "] {
            assert_eq!(check(&[value], &[]), Ok(Some("bearer a".to_owned())));
        }
        assert_eq!(check(&[], &[b" a b "]), Ok(Some("key a b".to_owned())));
        assert_eq!(
            check(&[b"Bearer a"], &[b"a"]),
            Ok(Some("bearer a".to_owned()))
        );
    }

    #[test]
    fn the_bound_is_exact() {
        let at = |n| check(&[], &[&b"k".repeat(n)]).is_ok();
        assert!(at(CREDENTIAL_BYTES_MAX) && !at(CREDENTIAL_BYTES_MAX + 1));
    }
}
