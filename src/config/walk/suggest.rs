//! Guesses which known name a misspelled one was meant to be.

/// The known name nearest to `name`, if it is near enough to be worth a question.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let written = plain(name);
    known
        .filter_map(|candidate| Some((distance(&written, &plain(candidate))?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Spelling without case and separators: `maxBodyBytes` and `max-body-bytes` are `maxbodybytes`.
fn plain(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

fn distance(written: &str, candidate: &str) -> Option<usize> {
    let edits = strsim::damerau_levenshtein(written, candidate);
    let allowed = (written.len().max(candidate.len()) / 3).clamp(1, 3);
    if edits <= allowed && edits < written.len() {
        return Some(edits);
    }
    // `timeout` for `timeout_ms`: a beginning of at least four letters.
    let is_beginning = written.len() >= 4 && candidate.starts_with(written)
        || candidate.len() >= 4 && written.starts_with(candidate);
    is_beginning.then_some(edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_guessed_and_far_ones_are_not() {
        let known = [
            "port",
            "host",
            "timeout_ms",
            "max_body_bytes",
            "allowed_origins",
        ];
        let guess = |name: &str| nearest(name, known.into_iter());
        assert_eq!(guess("prot"), Some("port"));
        assert_eq!(guess("timeout"), Some("timeout_ms"));
        assert_eq!(guess("maxBodyBytes"), Some("max_body_bytes"));
        assert_eq!(guess("allowed-origin"), Some("allowed_origins"));
        assert_eq!(guess("colour"), None);
        assert_eq!(guess("x"), None);
        assert_eq!(guess(""), None);
    }
}
