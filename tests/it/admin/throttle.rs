//! Wrong admin keys: counted, logged, and slowed down by where they come from.

use serde_json::json;

use super::{KEY, Place, ask, keyed, start};
use crate::support::gateway::free_address;
use crate::support::wire::Request;

const FAILURES_MAX: usize = 3;

fn version() -> Request {
    Request::get("/conduit/version")
}

fn guess(n: usize) -> Request {
    // Whoever believes this header counts each of them apart.
    let from = format!("203.0.113.{n}");
    keyed(version(), "guess-me").header("x-forwarded-for", &from)
}

#[tokio::test]
async fn wrong_keys_are_counted_logged_and_throttled_and_tell_nothing() {
    let own = free_address();
    for listen in [None, Some(own.to_string())] {
        let (gateway, _upstream) = start(json!({
            "admin": { "key": KEY, "listen": listen },
            "auth": { "throttle": { "max_failures": FAILURES_MAX, "window_seconds": 3600 } },
        }))
        .await;
        let place = Place::Tcp(listen.map_or(gateway.address, |_| own));
        for n in 0..FAILURES_MAX {
            assert_eq!(ask(place, &guess(n)).await.status, 401);
            assert_eq!(ask(place, &version()).await.status, 401, "no guess");
        }
        let told = ask(place, &guess(9)).await;
        assert_eq!(told.status, 429, "{told:?}");
        assert!(told.head.contains("retry-after: "), "{told:?}");
        assert!(told.is_secured(), "{told:?}");
        let right = ask(place, &keyed(version(), KEY)).await;
        assert_eq!(right.status, 429, "it might be guessed: {right:?}");
        let metrics = ask(Place::Tcp(gateway.metrics), &Request::get("/"))
            .await
            .body;
        for (reason, count) in [
            ("admin_key_wrong", 3),
            ("admin_key_missing", 3),
            ("admin_throttled", 2),
        ] {
            let line = format!("conduit_auth_failures_total{{reason=\"{reason}\"}} {count}");
            assert!(metrics.contains(&line), "{line}: {metrics}");
        }
        gateway
            .process
            .line("the refusal", |line| {
                let is_it = line.contains("admin_key_wrong") && line.contains("127.0.0.1");
                is_it.then_some(())
            })
            .await;
        let output = gateway.process.output();
        assert!(!output.contains("guess-me"), "no key is logged");
        assert!(!output.contains(KEY), "no key is logged");
    }
}

#[tokio::test]
async fn who_has_the_key_goes_on_while_others_guess_from_the_same_place() {
    let (gateway, _upstream) = start(json!({
        "admin": { "key": KEY },
        "auth": { "throttle": { "max_failures": FAILURES_MAX, "window_seconds": 3600 } },
    }))
    .await;
    let place = Place::Tcp(gateway.address);
    let right = keyed(version(), KEY);
    assert_eq!(ask(place, &right).await.status, 200);
    for n in 0..=FAILURES_MAX {
        ask(place, &guess(n)).await;
    }
    assert_eq!(ask(place, &guess(9)).await.status, 429);
    assert_eq!(ask(place, &right).await.status, 200);
}
