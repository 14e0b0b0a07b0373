//! A gateway that refuses, and what is asked of each refusal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::page::{Entry, entries};
use super::{Echo, Row, Speaker};
use crate::support::gateway::Gateway;
use crate::support::until;
use crate::support::wire::{self, Answer, Request};

/// How policy is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statuses {
    Own,
    Always200,
}

pub(super) const BOTH: [Statuses; 2] = [Statuses::Own, Statuses::Always200];

/// A gateway, and what has to stand in its access log in the end.
pub(super) struct Site {
    pub(super) gateway: Gateway,
    statuses: Statuses,
    page: Vec<Entry>,
    n_asked: AtomicUsize,
    logged: Mutex<Vec<(String, Value)>>,
    seen: Mutex<BTreeSet<&'static str>>,
}

impl Site {
    pub(super) async fn start(mut config: Value, statuses: Statuses) -> Self {
        config["compat"] = json!({ "always_200": statuses == Statuses::Always200 });
        Self {
            gateway: Gateway::with(config).await,
            statuses,
            page: entries(),
            n_asked: AtomicUsize::new(0),
            logged: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    pub(super) async fn ask(&self, request: &Request) -> Answer {
        wire::ask(self.gateway.address, request).await
    }

    /// Everything that is counted.
    async fn counts(&self) -> BTreeMap<String, u64> {
        let text = self.ask(&Request::get("/conduit/metrics")).await.text();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| line.rsplit_once(' '));
        series
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// Opens a session; its id.
    async fn open(&self, speaker: Speaker, path: &str) -> String {
        let params = json!({ "protocolVersion": speaker.version(), "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" } });
        let request = speaker.request(path, "initialize", params);
        let opened = self.ask(&request).await;
        let session = opened.headers.get("mcp-session-id");
        let session = session.unwrap_or_else(|| panic!("no session: {opened:?}"));
        session.to_owned()
    }

    /// Has a row's request refused, by each of its speakers.
    pub(super) async fn check(&self, row: &Row) {
        for speaker in row.speakers {
            self.check_one(row, *speaker).await;
        }
        self.seen.lock().insert(row.label);
    }

    async fn check_one(&self, row: &Row, speaker: Speaker) {
        let what = format!("{} ({speaker:?}, {:?})", row.name, self.statuses);
        let n = self.n_asked.fetch_add(1, Ordering::Relaxed);
        let trace = format!("refusal-{n}");
        let mut request = (row.request)(speaker).header("x-conduit-trace-id", &trace);
        if let Some(path) = row.session.filter(|_| speaker.is_legacy()) {
            let id = self.open(speaker, path).await;
            request = request.header("mcp-session-id", &id);
        }
        let before = self.counts().await;
        let answer = self.ask(&request).await;
        let status = self.assert_told(&what, row, speaker, &answer);
        assert_eq!(
            answer.headers.get("x-conduit-trace-id"),
            Some(&*trace),
            "{what}"
        );
        self.assert_counted(&what, row, before).await;
        let mut line = json!({ "reason": row.label, "status": "error", "http_status": status });
        for (member, value) in row.log.as_object().unwrap() {
            // `null`: whatever era it is, it is known by then.
            line[member] = match value.is_null() {
                true => json!(speaker.era()),
                false => value.clone(),
            };
        }
        self.logged.lock().push((trace, line));
    }

    /// What the client reads; the status.
    fn assert_told(&self, what: &str, row: &Row, speaker: Speaker, answer: &Answer) -> u16 {
        let status = match (self.statuses, row.legacy_status) {
            (_, Some(status)) if speaker.is_legacy() => status,
            (Statuses::Own, _) => row.status,
            (Statuses::Always200, _) => row.always_200,
        };
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        let body = answer.json();
        let code = row.legacy_code.filter(|_| speaker.is_legacy());
        let error = &body["error"];
        assert_eq!(error["code"], code.unwrap_or(row.code), "{what}: {body}");
        let message = error["message"].as_str().unwrap();
        assert!(!row.says.is_empty(), "{what}: what does it say?");
        for part in &row.says {
            assert!(
                message.contains(part),
                "{what}: {part:?} is not in {message:?}"
            );
        }
        let is_echoed = match row.echo {
            Echo::Id => true,
            Echo::IdIfCompatible => self.statuses == Statuses::Always200,
            Echo::Nothing => false,
        };
        let id = is_echoed.then(|| json!(7));
        assert_eq!(body.get("id"), id.as_ref(), "{what}: {body}");
        let entry = self.page.iter().find(|entry| entry.told == row.told());
        let entry = entry.unwrap_or_else(|| panic!("{what}: {:?} is not on the page", row.told()));
        let retries = answer.headers.get("retry-after").is_some();
        assert_eq!(retries, entry.retries, "{what}: {answer:?}");
        let metric = row.also.and_then(|series| series.split('{').next());
        let is_named = metric.is_some_and(|metric| entry.also.contains(metric));
        let is_always = entry.also.starts_with('`');
        assert!(
            is_named || (metric.is_none() && !is_always),
            "{what}: {}",
            entry.also
        );
        for (name, value) in &row.headers {
            let told = answer.headers.get(name);
            if *name == "www-authenticate" && status == 200 {
                assert_eq!(told, None, "{what}");
                continue;
            }
            let told = told.unwrap_or_else(|| panic!("{what}: no {name} in {answer:?}"));
            assert!(value.is_empty() || told == *value, "{what}: {name}: {told}");
        }
        status
    }

    /// It is counted once, under its label, and where the row says besides.
    async fn assert_counted(&self, what: &str, row: &Row, before: BTreeMap<String, u64>) {
        let errors = |counts: &BTreeMap<String, u64>| -> BTreeMap<String, u64> {
            let mut counts = counts.clone();
            counts.retain(|name, _| name.starts_with("conduit_errors_total"));
            counts
        };
        let mut expected = errors(&before);
        let (server, label) = (row.server, row.label);
        let series = format!(r#"conduit_errors_total{{server="{server}",type="{label}"}}"#);
        *expected.entry(series).or_default() += 1;
        let after = until(&format!("{what}: to be counted"), || async {
            let after = self.counts().await;
            let n_errors = |counts: &BTreeMap<String, u64>| -> u64 { counts.values().sum() };
            let is_more = n_errors(&errors(&after)) > n_errors(&errors(&before));
            is_more.then_some(after)
        })
        .await;
        assert_eq!(errors(&after), expected, "{what}");
        if let Some(series) = row.also {
            let n = |counts: &BTreeMap<String, u64>| counts.get(series).copied().unwrap_or(0);
            assert_eq!(n(&after), n(&before) + 1, "{what}: {series}");
        }
    }

    /// The access log has a line of each, and every label was caused that was to be.
    pub(super) async fn finish(self, seen: &mut BTreeSet<&'static str>) {
        for (trace, expected) in self.logged.into_inner() {
            let named = format!("\"trace_id\":\"{trace}\"");
            let line = self.gateway.process.line(&trace, |line| {
                line.contains(&named).then(|| line.to_owned())
            });
            let line: Value = serde_json::from_str(&line.await).unwrap();
            for (member, value) in expected.as_object().unwrap() {
                match value.as_str().and_then(|text| text.strip_prefix('~')) {
                    Some(part) => {
                        let told = line[member].as_str().unwrap_or_default();
                        assert!(told.contains(part), "{member}: {line}");
                    }
                    None => assert_eq!(line[member], *value, "{member}: {line}"),
                }
            }
        }
        seen.extend(self.seen.into_inner());
    }
}

/// Runs rows at a gateway with this config, told in both ways.
pub(super) async fn run(config: &Value, rows: &[Row], seen: &mut BTreeSet<&'static str>) {
    for statuses in BOTH {
        let site = Site::start(config.clone(), statuses).await;
        for row in rows {
            site.check(row).await;
        }
        site.finish(seen).await;
    }
}

/// Fails where a module does not cause what it says it does.
pub(super) fn assert_all(seen: &BTreeSet<&'static str>, caused: &[&'static str]) {
    let caused: BTreeSet<&str> = caused.iter().copied().collect();
    assert_eq!(*seen, caused);
}
