//! The house rules that Cargo cannot hold: a module uses only layers below its own, and each
//! third-party engine has one home.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests fail loudly"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layers of `src/`, top first. Modules of one layer do not use each other.
const LAYERS: [&[&str]; 8] = [
    &["cli", "main"],
    &["app", "demo"],
    &["gateway", "admin"],
    &["config"],
    &["state"],
    &["discovery"],
    &[
        "auth", "cache", "limit", "lock", "policy", "upstream", "stdio", "plugins", "reqlog",
    ],
    &["telemetry", "kv"],
];

/// Crates (and all crates named `<crate>_…`) that belong to some modules only.
const HOMES: [(&str, &[&str]); 20] = [
    ("pingora", &["app", "gateway", "upstream", "cache"]),
    ("duckdb", &["reqlog"]),
    ("redis", &["cache", "kv", "limit", "state"]),
    ("jsonwebtoken", &["auth"]),
    ("ring", &["auth"]),
    ("rquickjs", &["plugins"]),
    ("axum", &["admin"]),
    ("tower", &["admin"]),
    ("hyper", &["stdio", "demo"]),
    ("rmcp", &["demo"]),
    ("clap", &["cli"]),
    ("anyhow", &["cli", "app"]),
    ("prometheus", &["telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
    ("opentelemetry", &["telemetry"]),
    ("serde_yaml", &["config"]),
    ("rustix", &["stdio"]),
    ("sd_notify", &["app"]),
    ("rustls", &["app"]),
    ("x509_parser", &["auth"]),
];

/// What `filters` may depend on: nothing that does I/O, reads a clock, waits or logs.
const PURE: [&str; 11] = [
    "base64",
    "chacha20poly1305",
    "foldhash",
    "hmac",
    "itoa",
    "memchr",
    "regex-automata",
    "serde",
    "serde_json",
    "sha2",
    "wildmatch",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Every source file below `folder`, without its comments.
fn sources(folder: &str) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                found.insert(path, code.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    assert!(found.len() > 20, "the sources were found");
    found
}

/// The top-level module that a file of `src/` belongs to.
fn module(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// The first segments of all paths in `code` that begin with `prefix`.
fn after<'c>(code: &'c str, prefix: &str) -> BTreeSet<&'c str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(prefix)
        .map(|(at, _)| &code[at + prefix.len()..])
        .map(|rest| rest.split(|c| !is_name(c)).next().unwrap())
        .collect()
}

/// The names that stand before a `::` in `code` and not after one.
fn roots(code: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices("::")
        .map(|(at, _)| &code[..at])
        .filter_map(|before| {
            let start = before.rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
            (!before[..start].ends_with("::")).then_some(&before[start..])
        })
        .collect()
}

#[test]
fn every_module_has_a_layer() {
    let unplaced: BTreeSet<_> = sources("src")
        .keys()
        .map(|path| module(path))
        .filter(|module| module != "lib" && layer(module).is_none())
        .collect();
    assert!(
        unplaced.is_empty(),
        "give these a place in LAYERS: {unplaced:?}"
    );
}

#[test]
fn a_module_uses_only_layers_below_its_own() {
    let mut upward = Vec::new();
    for (path, code) in sources("src") {
        let user = module(&path);
        let Some(own) = layer(&user) else { continue };
        assert!(
            !code.contains("crate::{"),
            "one `use crate::x::…` a line in {}",
            path.display()
        );
        for used in after(&code, "crate::") {
            if used != user && layer(used).is_some_and(|other| other <= own) {
                upward.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert!(upward.is_empty(), "{upward:#?}");
}

#[test]
fn third_party_engines_stay_at_home() {
    let mut astray = Vec::new();
    for (path, code) in sources("src") {
        let user = module(&path);
        let roots = roots(&code);
        for (engine, homes) in HOMES {
            let is_used = roots.iter().any(|name| {
                let rest = name.strip_prefix(engine);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
            });
            if is_used && !homes.contains(&user.as_str()) && !(user == "main" && engine == "clap") {
                astray.push(format!("{engine} in {}", path.display()));
            }
        }
    }
    assert!(astray.is_empty(), "{astray:#?}");
}

#[test]
fn filters_depends_on_nothing_that_acts() {
    let manifest = fs::read_to_string(root().join("filters/Cargo.toml")).unwrap();
    let section = manifest
        .split("[dependencies]")
        .nth(1)
        .unwrap()
        .split("\n[")
        .next()
        .unwrap();
    let names: Vec<_> = section
        .lines()
        .filter_map(|line| line.split(['.', '=', ' ']).next())
        .filter(|name| !name.is_empty())
        .collect();
    assert_eq!(names, PURE);
    let acting = [
        "std::fs",
        "std::net::Tcp",
        "std::time",
        "std::thread",
        "Mutex",
        "std::env",
        "async fn",
    ];
    for (path, code) in sources("filters/src") {
        for act in acting {
            assert!(!code.contains(act), "{act} in {}", path.display());
        }
    }
}

/// The files of the cache that ask for the time of day, and what for: to show it, never to tell an age.
const SHOWN_TIMES: [&str; 1] = ["src/cache/flight.rs"];

#[test]
fn no_age_in_the_cache_is_told_by_a_clock_that_can_be_set() {
    let mut astray = Vec::new();
    for (path, code) in sources("src") {
        let path = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let is_cache = ["src/cache", "src/gateway/cached", "src/upstream/catalog"]
            .iter()
            .any(|folder| path.starts_with(folder));
        let is_read = ["SystemTime::now", "Utc::now", "OffsetDateTime::now"]
            .iter()
            .any(|clock| code.contains(clock));
        if is_cache && is_read && !SHOWN_TIMES.contains(&path) {
            astray.push(path.to_owned());
        }
    }
    assert!(astray.is_empty(), "{astray:#?}");
}
