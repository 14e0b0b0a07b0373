//! An issuer's metadata: where it is, and the token endpoint that it names (RFC 8414).
//!
//! **Invariant:** what is of another issuer names nothing: the endpoint is sent a secret.

use crate::grant::Failure;
use crate::json::object::Object;

/// Where an issuer's metadata may be, in the order in which to look (RFC 8414 §3, §5). `issuer` is a URL
/// without query and fragment.
#[must_use]
pub fn urls(issuer: &str) -> Vec<String> {
    let issuer = issuer.trim_end_matches('/');
    let after_scheme = issuer.find("://").map_or(0, |at| at + 3);
    let (origin, path) = match issuer.split_at_checked(after_scheme) {
        Some((scheme, rest)) => match rest.split_once('/') {
            Some((authority, path)) => (format!("{scheme}{authority}"), format!("/{path}")),
            None => (issuer.to_owned(), String::new()),
        },
        None => (issuer.to_owned(), String::new()),
    };
    let mut urls = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        urls.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    urls
}

/// The token endpoint that an issuer's metadata names.
///
/// # Errors
/// [`Failure::Metadata`], where it is another issuer's, too: its endpoint would be sent the secret.
pub fn endpoint(issuer: &str, document: &[u8]) -> Result<String, Failure> {
    let text = std::str::from_utf8(document).map_err(|_| Failure::Metadata)?;
    let metadata = Object::read(text).ok_or(Failure::Metadata)?;
    let is_its = metadata.text("issuer").is_some_and(|named| named == issuer);
    let endpoint = metadata.text("token_endpoint").filter(|_| is_its);
    let endpoint = endpoint.ok_or(Failure::Metadata)?;
    Ok(endpoint.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_where_both_standards_put_it() {
        assert_eq!(
            urls("https://idp:8443/"),
            [
                "https://idp:8443/.well-known/oauth-authorization-server",
                "https://idp:8443/.well-known/openid-configuration",
            ]
        );
        assert_eq!(
            urls("https://idp/realms/a"),
            [
                "https://idp/.well-known/oauth-authorization-server/realms/a",
                "https://idp/.well-known/openid-configuration/realms/a",
                "https://idp/realms/a/.well-known/openid-configuration",
            ]
        );
    }

    #[test]
    fn the_metadata_of_another_issuer_names_no_endpoint() {
        let document = br#"{"issuer":"https://idp","token_endpoint":"https://idp/token"}"#;
        assert_eq!(
            endpoint("https://idp", document).unwrap(),
            "https://idp/token"
        );
        for issuer in ["https://idp/", "https://IDP", "https://other"] {
            assert_eq!(
                endpoint(issuer, document),
                Err(Failure::Metadata),
                "{issuer}"
            );
        }
        for document in ["", "{}", r#"{"issuer":"https://idp"}"#] {
            let read = endpoint("https://idp", document.as_bytes());
            assert_eq!(read, Err(Failure::Metadata), "{document}");
        }
    }
}
