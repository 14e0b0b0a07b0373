//! Whether a server speaks this transport at all, where it did not say so.

use std::sync::Arc;
use std::time::Duration;

use conduit::upstream::address::Address;
use conduit::upstream::cluster::{Balancing, Cluster, Limits, Spec};
use conduit::upstream::credential::Credentials;
use conduit::upstream::http_sse::is_http_sse;
use pingora::connectors::TransportConnector;

use super::server::OldServer;
use crate::support::gateway::free_address;
use crate::support::upstream::{Step, Upstream, answer, chunk, friendly, sse_head};
use crate::support::within;

fn cluster(url: &str) -> Arc<Cluster> {
    let second = Duration::from_secs(1);
    let limits = Limits {
        connect: second,
        header: second,
        idle: second,
        total: second,
    };
    let spec = Spec {
        server: "old".into(),
        addresses: vec![Address::parse(url).unwrap()],
        balancing: Balancing::RoundRobin,
        limits,
        sessions_max: 1,
        session_idle: second,
        credentials: Credentials::Callers,
    };
    let transport = Arc::new(TransportConnector::new(None));
    Arc::new(Cluster::new(spec, transport, None))
}

async fn speaks(url: &str) -> bool {
    let cluster = cluster(url);
    within("the probe", is_http_sse(&cluster, b"x-key: 1\r\n")).await
}

async fn speaks_with(steps: Vec<Step>) -> bool {
    let server = Upstream::start(move |_| steps.clone()).await;
    let speaks = speaks(&server.url()).await;
    assert_eq!(
        server.recorded_http("GET")[0].headers.get("x-key"),
        Some("1")
    );
    speaks
}

#[tokio::test]
async fn a_server_that_names_an_endpoint_first_speaks_it() {
    let server = OldServer::start().await;
    assert!(speaks(&server.url()).await);
    server.upstream.departures(1).await;
}

#[tokio::test]
async fn any_other_server_does_not() {
    let streamable = Upstream::start(friendly).await;
    assert!(!speaks(&streamable.url()).await);
    assert!(!speaks(&format!("http://{}/sse", free_address())).await);
    assert!(!speaks_with(answer("401 Unauthorized", &[], b"")).await);
    let page = answer(
        "200 OK",
        &[("content-type", "text/html")],
        b"event: endpoint\ndata: /m\n\n",
    );
    assert!(!speaks_with(page).await);
    let message = b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/test\"}\n\n";
    let other = vec![
        sse_head(),
        Step::Write(chunk(message)),
        Step::AwaitDeparture,
    ];
    assert!(!speaks_with(other).await);
}

#[tokio::test]
async fn neither_silence_nor_noise_is_listened_to_for_long() {
    assert!(!speaks_with(vec![sse_head(), Step::AwaitDeparture]).await);
    let noise = Step::Write(chunk(&b": noise\n".repeat(1024)));
    let mut steps = vec![sse_head()];
    steps.extend(std::iter::repeat_n(noise, 64));
    steps.push(Step::AwaitDeparture);
    assert!(!speaks_with(steps).await);
}
