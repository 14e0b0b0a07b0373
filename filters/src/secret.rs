//! What speaks of a secret: names, and places in URIs.
//!
//! **Invariant:** what is found here is covered whole, from its first character to its last.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr3};

/// Words of a name that say that what it names is a secret.
const WORDS: [&str; 17] = [
    "authorization",
    "auth",
    "bearer",
    "key",
    "pwd",
    "pass",
    "passphrase",
    "cookie",
    "jwt",
    "pat",
    "sas",
    "sig",
    "signature",
    "credential",
    "cred",
    "otp",
    "pin",
];
/// Ends of such words, where several are written as one: `PGPASSWORD`, `accesstoken`.
const ENDS: [&str; 8] = [
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
];
/// What stands in the place of a part of a URL that is not shown.
const COVER: &str = "***";
/// Shortest segment of a path that may be a key.
const KEY_CHARS_MIN: usize = 24;
/// A word with a number at its end is shorter than that.
const WORD_CHARS_MAX: usize = 16;
/// Longest name before a `=` that is looked at, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Whether a name (of a variable, a header, a member of a query) says that what it names is a secret.
#[must_use]
pub fn is_named(name: &str) -> bool {
    let mut word = String::new();
    let mut before = ' ';
    for letter in name.chars() {
        if !letter.is_ascii_alphanumeric() || (before.is_lowercase() && letter.is_uppercase()) {
            if is_secret_word(&word) {
                return true;
            }
            word.clear();
        }
        if letter.is_ascii_alphanumeric() {
            word.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    is_secret_word(&word)
}

fn is_secret_word(word: &str) -> bool {
    let one = word.strip_suffix('s').unwrap_or(word);
    [word, one]
        .iter()
        .any(|word| WORDS.contains(word) || ENDS.iter().any(|end| word.ends_with(end)))
}

/// Whether a text is probably a key: at least 24 letters, digits, `-` and `_`, with letters and digits in
/// turns. What people call things (`my-long-server-name-2024`) has its digits at the ends of words.
#[must_use]
pub fn is_random(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if text.len() < KEY_CHARS_MIN || !text.bytes().all(is_plain) {
        return false;
    }
    text.split(['-', '_']).any(|part| {
        let pairs = part.bytes().zip(part.bytes().skip(1));
        let turns = pairs.filter(|(a, b)| a.is_ascii_digit() != b.is_ascii_digit());
        match turns.count() {
            0 => false,
            1 => part.len() >= WORD_CHARS_MAX,
            _ => true,
        }
    })
}

/// A URL as people may be shown it: without its user, its query and what is probably a key in its path.
#[must_use]
pub fn shown_url(text: &str) -> String {
    let (address, query) = match text.find(['?', '#']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, address),
    };
    let (user, place) = match rest.rsplit_once('@') {
        Some((_, place)) => (true, place),
        None => (false, rest),
    };
    let mut shown = String::with_capacity(text.len());
    if let Some(scheme) = scheme {
        shown.extend([scheme, "://"]);
    }
    if user {
        shown.extend([COVER, "@"]);
    }
    for (at, part) in place.split('/').enumerate() {
        if at > 0 {
            shown.push('/');
        }
        shown.push_str(if is_random(part) { COVER } else { part });
    }
    if query.len() > 1 {
        let (mark, _) = query.split_at(1);
        shown.extend([mark, COVER]);
    }
    shown
}

/// What is secret of a URL: its password, values of its query whose names say so or that are probably
/// keys, and what is probably a key in its path.
#[must_use]
pub fn of_url(text: &str) -> Vec<&str> {
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    let password = user.and_then(|user| Some(user.split_once(':')?.1));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let told = pairs.filter(|(name, value)| is_member(name) || is_random(value));
    let keys = path.split('/').filter(|part| is_random(part));
    let values = told.map(|(_, value)| value);
    password.into_iter().chain(values).chain(keys).collect()
}

/// A text with `cover` in the place of what is secret in the URIs that stand in it: their users, and
/// values of their queries and fragments whose names say so.
#[must_use]
pub fn hide_in_uris<'t>(text: &'t str, cover: &str) -> Cow<'t, str> {
    if memchr3(b'?', b'#', b'@', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut found: Vec<Range<usize>> = users(text).chain(members(text)).collect();
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    found.sort_unstable_by_key(|range| range.start);
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for range in found {
        if range.start >= done {
            shown.push_str(text.get(done..range.start).unwrap_or_default());
            shown.push_str(cover);
            done = range.end;
        }
    }
    shown.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(shown)
}

/// Where `user:password` stands before an `@`.
fn users(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(at, mark)| {
        let from = at + mark.len();
        let rest = text.get(from..)?;
        let end = rest.find(|letter| "/?#".contains(letter) || is_end(letter));
        let authority = rest.get(..end.unwrap_or(rest.len()))?;
        let user = authority.rfind('@').filter(|user| *user > 0)?;
        Some(from..from + user)
    })
}

/// Where values of members of queries and fragments stand.
fn members(text: &str) -> impl Iterator<Item = Range<usize>> {
    let marks = text.match_indices(['?', '&', '#', ';']);
    marks.filter_map(|(at, mark)| {
        let from = at + mark.len();
        let rest = text.get(from..)?;
        let head = rest.get(..rest.floor_char_boundary(NAME_BYTES_MAX))?;
        let equals = memchr(b'=', head.as_bytes())?;
        let name = head.get(..equals)?;
        if name.contains(|letter| "?&#;".contains(letter) || is_end(letter)) || !is_member(name) {
            return None;
        }
        let value = rest.get(equals + 1..)?;
        let length = value.find(|letter| "&#".contains(letter) || is_end(letter));
        let from = from + equals + 1;
        Some(from..from + length.unwrap_or(value.len())).filter(|range| !range.is_empty())
    })
}

/// Whether a URI that stands in a sentence ends here.
fn is_end(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || "\"'<>`".contains(letter)
}

/// Whether a member of a query is secret by its name, which may be percent-encoded.
fn is_member(name: &str) -> bool {
    if memchr(b'%', name.as_bytes()).is_none() {
        return is_named(name);
    }
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let code = after
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        // What is no ASCII is no letter of a word here.
        plain.push(code.map_or('%', char::from));
        rest = code.and_then(|_| after.get(2..)).unwrap_or(after);
    }
    plain.push_str(rest);
    is_named(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_a_secret_by_its_words() {
        for name in [
            "API_TOKEN",
            "api_key",
            "apiKey",
            "accessKeyId",
            "X-Tokens",
            "PGPASSWORD",
            "MYSQL_PWD",
            "AWS_SECRET_ACCESS_KEY",
            "accesstoken",
            "Authorization",
            "sig",
            "client.secret",
        ] {
            assert!(is_named(name), "{name}");
        }
        for name in [
            "page",
            "X-Author",
            "X-Region",
            "TOKENIZER",
            "keyboard",
            "passage",
            "PATH",
            "monkey",
            "",
            "signal",
            "compass",
        ] {
            assert!(!is_named(name), "{name}");
        }
    }

    #[test]
    fn a_key_in_a_path_is_told_from_a_name() {
        for key in [
            "550e8400-e29b-41d4-a716-446655440000",
            "9f86d081884c7d659a2feaa0c55ad015",
            "sk_live_51HxyzABCdefGHIjklMNO",
            "Zk3xQ9-aB2cD4eF6gH8iJ0kL",
        ] {
            assert!(is_random(key), "{key}");
        }
        for name in [
            "my-company-production-server-2024",
            "mcp-server-for-the-api-v2-of-search",
            "abcdefghijklmnopqrstuvwxyzabc",
            "20240101000000000000000000000",
            "PATHSECRET99",
            "a1b2c3.d4e5f6g7h8i9j0k1l2m3",
        ] {
            assert!(!is_random(name), "{name}");
        }
    }

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        for (url, shown) in [
            ("https://h:1/mcp", "https://h:1/mcp"),
            ("https://h/mcp?a=b&token=c", "https://h/mcp?***"),
            ("http://user:p/a@ss@h/mcp", "http://***@h/mcp"),
            ("user:p@h", "***@h"),
            (
                "https://h/s/9f86d081884c7d659a2feaa0c55ad015/mcp#x",
                "https://h/s/***/mcp#***",
            ),
            ("", ""),
        ] {
            assert_eq!(shown_url(url), shown, "{url}");
        }
    }

    #[test]
    fn the_secrets_of_a_url_are_its_password_its_named_values_and_its_keys() {
        let url = "https://u:pass-word@h/s/9f86d081884c7d659a2feaa0c55ad015/mcp?api_key=k&page=7\
                   &access%5Ftoken=t&x=550e8400-e29b-41d4-a716-446655440000#top";
        assert_eq!(
            of_url(url),
            [
                "pass-word",
                "k",
                "t",
                "550e8400-e29b-41d4-a716-446655440000",
                "9f86d081884c7d659a2feaa0c55ad015"
            ]
        );
        assert!(of_url("http://u@h:1/mcp?page=1").is_empty());
    }

    #[test]
    fn secrets_of_uris_are_hidden_wherever_they_stand() {
        for (text, shown) in [
            (
                "db://x/?password=hunter2&access_token=abc&page=1",
                "db://x/?password=…&access_token=…&page=1",
            ),
            ("no db://u:p@h/x, sorry", "no db://…@h/x, sorry"),
            (
                "see \"a:?Api-Key=x\" and ?token=",
                "see \"a:?Api-Key=…\" and ?token=",
            ),
            ("x://h#access%5Ftoken=t;y z", "x://h#access%5Ftoken=… z"),
            ("x://a;token=b@h/?c=d;secret=e", "x://…@h/?c=d;secret=…"),
            ("mailto:a@b.org?subject=x", "mailto:a@b.org?subject=x"),
            ("what? key = 1", "what? key = 1"),
            ("echo", "echo"),
        ] {
            assert_eq!(hide_in_uris(text, "…"), shown, "{text}");
        }
    }
}
