//! Where the gateway's secret goes, and where it does not.

use serde_json::json;

use super::oauth::{Issuer, token};
use super::{Bed, call};
use crate::support::upstream::{Upstream, answer, friendly};

/// An issuer whose metadata names this token endpoint; nothing for its own.
async fn issuer(path: &'static str, endpoint: Option<String>) -> Upstream {
    Upstream::start(move |request| {
        let host = request.headers.get("host").unwrap();
        let issuer = format!("http://{host}{path}");
        if request.target == "/token" {
            return token("learned-token", 3600);
        }
        if request.target != format!("/.well-known/openid-configuration{path}") {
            return answer("404 Not Found", &[], b"");
        }
        let endpoint = endpoint
            .clone()
            .unwrap_or_else(|| format!("http://{host}/token"));
        let document = json!({ "issuer": issuer, "token_endpoint": endpoint });
        let headers = [("content-type", "application/json")];
        answer("200 OK", &headers, document.to_string().as_bytes())
    })
    .await
}

fn auth(issuer: &str) -> serde_json::Value {
    json!({ "upstream_auth": { "oauth": { "issuer": issuer, "client_id": "conduit",
        "client_secret": "client-s3cret" } } })
}

#[tokio::test]
async fn a_token_endpoint_is_found_by_the_issuers_metadata() {
    for path in ["", "/realms/a"] {
        let issuer = issuer(path, None).await;
        let url = format!("http://{}{path}", issuer.address);
        let bed = Bed::start(auth(&url), friendly).await;
        assert_eq!(bed.call().await.status, 200);
        assert_eq!(bed.proofs(), ["Bearer learned-token"]);
    }
}

#[tokio::test]
async fn no_secret_goes_where_metadata_leads_into_a_network_of_ours() {
    let elsewhere = Issuer::start(3600).await;
    let port = elsewhere.server.address.port();
    for endpoint in [
        elsewhere.url(),
        format!("http://localhost:{port}/token"),
        format!("http://[::ffff:127.0.0.1]:{port}/token"),
        "http://169.254.169.254/token".to_owned(),
    ] {
        let issuer = issuer("", Some(endpoint.clone())).await;
        let bed = Bed::start(auth(&format!("http://{}", issuer.address)), friendly).await;
        assert_eq!(bed.call().await.status, 502, "{endpoint}");
        let why = "token endpoint of the issuer's metadata leads to an address that is not public";
        let told = |line: &str| line.contains(why).then_some(());
        bed.gateway.process.line(why, told).await;
    }
    assert!(elsewhere.server.recorded_http("POST").is_empty());
}

#[tokio::test]
async fn metadata_of_another_issuer_is_not_believed() {
    let issuer = issuer("", None).await;
    // It names itself without the slash.
    let url = format!("http://localhost:{}/", issuer.address.port());
    let bed = Bed::start(auth(&url), friendly).await;
    assert_eq!(bed.call().await.status, 502);
    assert!(issuer.recorded_http("POST").is_empty());
}

#[tokio::test]
async fn a_redirect_is_followed_by_no_secret_and_no_token() {
    let elsewhere = Issuer::start(3600).await;
    let location = elsewhere.url();
    let to = location.clone();
    let redirecting =
        Upstream::start(move |_| answer("307 Temporary Redirect", &[("location", &to)], b"")).await;
    let oauth = json!({ "token_url": redirecting.url(), "client_id": "conduit",
        "client_secret": "client-s3cret" });
    let bed = Bed::start(json!({ "upstream_auth": { "oauth": oauth } }), friendly).await;
    assert_eq!(bed.call().await.status, 502);
    let bearer = json!({ "upstream_auth": { "bearer": { "token": "written-token" } } });
    let bed = Bed::start(bearer, move |request| match request.rpc_method().as_str() {
        "tools/call" => answer("307 Temporary Redirect", &[("location", &location)], b""),
        _ => friendly(request),
    })
    .await;
    assert_eq!(bed.ask(&call()).await.status, 307);
    assert!(elsewhere.server.recorded_http("POST").is_empty());
}
