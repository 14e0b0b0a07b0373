//! Secrets of servers' URLs: covered where people are shown them, and in what servers repeat.

use serde_json::{Value, json};

use super::{assert_untold, parrot};
use crate::support::gateway::Gateway;
use crate::support::message::modern_call;
use crate::support::upstream::Upstream;
use crate::support::wire::{self, Request};

const IN_PATH: &str = "9f86d081884c7d659a2feaa0c55ad015";
const SHORT: &str = "path-s3cret";
const NAMED: &str = "query-s3cret-0201";
const UNNAMED: &str = "550e8400-e29b-41d4-a716-446655440000";
const PASSWORD: &str = "user-s3cret-0203";

/// A server whose URL has a secret in each place.
fn server(base: &str) -> Value {
    let place = format!("{IN_PATH}/${{PATH_KEY}}/mcp?api_key={NAMED}&x={UNNAMED}");
    json!({ "id": "s", "url": format!("{base}/{place}") })
}

#[tokio::test]
async fn no_secret_of_a_url_is_shown_logged_or_answered() {
    let secrets = [IN_PATH, SHORT, NAMED, UNNAMED, PASSWORD].map(str::to_owned);
    let upstream = Upstream::start(parrot).await;
    let base = upstream.url();
    let base = base.strip_suffix("/mcp").unwrap();
    let config = json!({ "servers": [server(base)] });
    let variables = [("PATH_KEY", SHORT), ("RUST_LOG", "debug,conduit=trace")];
    let gateway = Gateway::among(config, &variables).await;
    for tool in ["result", "error", "stream", "header"] {
        let call = modern_call("/mcp/s", &json!(1), tool, json!({}));
        let answer = wire::ask(gateway.address, &call).await;
        assert!(answer.told().contains("********"), "{answer:?}");
        assert_untold("an answer", &answer.told(), &secrets);
    }
    let shown = wire::ask(gateway.address, &Request::get("/conduit/servers")).await;
    let url = shown.json()["servers"][0]["url"].to_string();
    assert!(url.ends_with(r#"/***/***/mcp?***""#), "{url}");
    assert_untold("the list of servers", &shown.told(), &secrets);

    let with_user = base.replace("http://", &format!("http://user:{PASSWORD}@"));
    gateway.rewrite(json!({ "servers": [server(&with_user)] }));
    let reload = Request::post("/conduit/config/reload").header("x-conduit-admin", "1");
    let refused = wire::ask(gateway.address, &reload).await;
    assert!(
        refused.text().contains("must not contain credentials"),
        "{refused:?}"
    );
    assert_untold("a reload", &refused.told(), &secrets);
    assert_untold("the log", &gateway.process.output(), &secrets);
}
