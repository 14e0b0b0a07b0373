use std::fs;
use std::sync::Weak;

use arc_swap::ArcSwap;
use tempfile::TempDir;

use super::*;
use crate::app::build;
use crate::app::build::parts::servers;
use crate::state::live::Live;
use crate::state::snapshot::Server;
use crate::telemetry::access::AccessLog;
use crate::telemetry::metrics::Metrics;

/// A gateway without listeners, started with a file of its own.
struct Bench {
    folder: TempDir,
    reloader: Reloader,
}

impl Bench {
    async fn start(text: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("c.yml");
        fs::write(&file, text).unwrap();
        let config = read(Some(&file)).unwrap().config;
        let (access, _writer) = AccessLog::start(std::io::sink()).unwrap();
        let (found, _) = tokio::sync::mpsc::channel(1);
        let spec = build::live(&config).unwrap();
        let live = Arc::new(Live::new(Metrics::new().unwrap(), access, spec));
        let workshop = Arc::new(Workshop::new(Arc::clone(&live), found));
        let build = |server| {
            Arc::new(
                Parts::build(&workshop, Basis::of(&config, server), Dialect::default()).unwrap(),
            )
        };
        let parts: Vec<_> = config.servers.iter().map(build).collect();
        let gatehouse = Gatehouse::build(&workshop, &config, None).unwrap();
        let snapshot = snapshot::build(&config, &servers(&parts), &gatehouse.auth, None);
        let snapshot = ArcSwap::from_pointee(snapshot);
        let spec = Spec {
            shared: Arc::new(Shared { snapshot, live }),
            workshop,
            file: Some(file),
            config,
            parts,
            gatehouse,
            secure: None,
        };
        let reloader = Reloader::new(spec, Handle::current());
        reloader.start().await;
        Self { folder, reloader }
    }

    async fn reload(&mut self, text: &str) -> Report {
        fs::write(self.folder.path().join("c.yml"), text).unwrap();
        self.reloader.reload().await
    }

    fn server(&self, id: &str) -> Weak<Server> {
        let snapshot = self.reloader.shared.snapshot.load();
        Arc::downgrade(&snapshot.servers[id])
    }

    /// Until all that was taken out has ended.
    async fn settle(&self) {
        self.reloader.retiring.close();
        self.reloader.retiring.wait().await;
        self.reloader.retiring.reopen();
    }
}

/// Three servers, of which `kept` is always the same.
fn text(n: usize) -> String {
    format!(
        "router: {{health_check: {{enabled: true}}}}\n\
         servers: [{{id: kept, url: 'http://127.0.0.1:1/mcp'}}, \
         {{id: plain, url: 'http://127.0.0.1:1/{n}'}}, \
         {{id: old, transport: sse, url: 'http://127.0.0.1:1/{n}'}}]"
    )
}

#[tokio::test]
async fn nothing_of_a_server_that_was_taken_out_is_left() {
    let mut bench = Bench::start(&text(0)).await;
    let kept = bench.server("kept");
    for n in 1..20 {
        let old = ["plain", "old"].map(|id| bench.server(id));
        let (background, tasks): (Vec<_>, Vec<_>) = bench.reloader.parts[1..]
            .iter()
            .map(|parts| parts.trackers())
            .unzip();
        let report = bench.reload(&text(n)).await;
        assert_eq!(report.reloaded, ["server.plain", "server.old"]);
        bench.settle().await;
        assert!(old.iter().all(|server| server.strong_count() == 0));
        assert!(background.iter().chain(&tasks).all(TaskTracker::is_empty));
    }
    assert!(Weak::ptr_eq(&kept, &bench.server("kept")));
    let sockets = fs::read_dir(bench.reloader.workshop.directory().unwrap()).unwrap();
    let sockets = sockets
        .flatten()
        .filter(|file| file.path().extension().is_some());
    assert_eq!(sockets.count(), 1);
    bench.reloader.workshop.stop.cancel();
    bench.reloader.end().await;
}

#[tokio::test]
async fn what_a_request_pinned_lasts_as_long_as_the_request() {
    let mut bench = Bench::start(&text(0)).await;
    let (snapshot, user) = bench.reloader.shared.pin();
    let stop = bench.reloader.parts[2].trackers().1;
    bench.reload(&text(1)).await;
    assert!(snapshot.servers["old"].retired.is_cancelled());
    assert!(!stop.is_empty(), "its supervisor runs on");
    drop(user);
    bench.settle().await;
    assert!(stop.is_empty());
}

#[tokio::test]
async fn a_file_that_is_not_there_takes_nothing_away() {
    let mut bench = Bench::start(&text(0)).await;
    fs::remove_file(bench.folder.path().join("c.yml")).unwrap();
    let report = bench.reloader.reload().await;
    assert_eq!(report.errors.len(), 1, "{report:?}");
    assert!(bench.server("kept").strong_count() > 0);
}

#[tokio::test]
async fn what_did_not_change_stays_the_same_profile() {
    let mut bench = Bench::start(&text(0)).await;
    let before = bench.reloader.shared.pin().0;
    let other = format!("gateway: {{max_body_bytes: 4096}}\n{}", text(0));
    let report = bench.reload(&other).await;
    assert_eq!(report.reloaded, ["gateway.max_body_bytes"]);
    let after = bench.reloader.shared.pin().0;
    assert!(Arc::ptr_eq(
        &before.profiles["default"],
        &after.profiles["default"]
    ));
    assert_eq!(after.body_bytes_max, 4096);
}
