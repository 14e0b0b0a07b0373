//! `admin`, and who can reach what it protects.
//!
//! **Invariant:** what is open to everybody who can reach it is reached from this machine only, unless
//! the file accepts the rest by name.

use std::path::{Path as FilePath, PathBuf};

use filters::problem::{Place, Problem, Problems};

use crate::config::Config;
use crate::config::compile::{is_loopback, listen_host};
use crate::config::model::Secret;
use crate::config::model::gateway::{Admin, Listen};
use crate::config::raw;
use crate::config::walk::Places;

const LISTEN: &str = "admin.listen";

/// Longest path of a unix socket, in bytes: what the system takes, less the name of the folder in
/// which it is made.
const SOCKET_PATH_BYTES_MAX: usize = 80;

/// `admin`. An empty key is no key: it would let everybody in who sends an empty header.
pub fn compile(raw: raw::gateway::Admin, problems: &mut Problems) -> Admin {
    Admin {
        key: raw.key.filter(|key| !key.is_empty()).map(Secret::new),
        listen: raw.listen.and_then(|text| listen(&text, problems)),
        allow_private_networks: raw.allow_private_networks,
        allow_unauthenticated: raw.allow_unauthenticated,
    }
}

fn listen(text: &str, problems: &mut Problems) -> Option<Listen> {
    let text = text.trim();
    if let Some(path) = text.strip_prefix("unix:") {
        return socket(path, problems).map(Listen::Unix);
    }
    let found = text.rsplit_once(':').and_then(|(host, port)| {
        // An IPv6 address without brackets has no port that could be told from it.
        let is_clear = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
        let port = port.parse().ok().filter(|port| *port != 0);
        Some((host, port?)).filter(|_| is_clear)
    });
    let Some((host, port)) = found else {
        let message = "must be host:port, such as 127.0.0.1:9091, or unix:/path";
        problems.error(LISTEN, message).found(format!("{text:?}"));
        return None;
    };
    let host = listen_host(LISTEN, host, problems);
    Some(Listen::Tcp { host, port })
}

fn socket(path: &str, problems: &mut Problems) -> Option<PathBuf> {
    let file = FilePath::new(path);
    let message = if !file.is_absolute() || file.file_name().is_none() {
        "must name a socket by an absolute path, such as unix:/run/conduit/admin.sock".to_owned()
    } else if path.len() > SOCKET_PATH_BYTES_MAX {
        format!("must have a path of at most {SOCKET_PATH_BYTES_MAX} bytes")
    } else {
        return Some(file.to_owned());
    };
    let problem = problems.error(LISTEN, message);
    problem.found(format!("{:?}", format!("unix:{path}")));
    None
}

/// What concerns the listeners together: their ports, and who can reach what is open.
pub fn check(config: &Config, places: &Places, problems: &mut Problems) {
    check_ports(config, places, problems);
    check_admin(config, places, problems);
    check_metrics(config, places, problems);
}

fn check_ports(config: &Config, places: &Places, problems: &mut Problems) {
    let gateway = ("gateway.port", config.gateway.port);
    let metrics = config.metrics.enabled.then_some(config.metrics.port);
    let metrics = metrics.map(|port| ("metrics.port", port));
    let admin = match &config.admin.listen {
        Some(Listen::Tcp { port, .. }) => Some((LISTEN, *port)),
        Some(Listen::Unix(_)) | None => None,
    };
    let pairs = [
        (metrics, Some(gateway)),
        (admin, Some(gateway)),
        (admin, metrics),
    ];
    for (one, other) in pairs {
        let (Some((path, port)), Some((other, taken))) = (one, other) else {
            continue;
        };
        if port == taken {
            let message = format!("must be different from {other}");
            let message = if path == LISTEN {
                format!("must have a port that is different from {other}")
            } else {
                message
            };
            let problem = problems.error(path, message);
            problem.found(port.to_string()).because_of(other);
            problem.place = places.nearest(path).or_else(|| places.nearest(other));
        }
    }
}

/// The admin API without a key is for this machine only.
fn check_admin(config: &Config, places: &Places, problems: &mut Problems) {
    let Admin {
        key,
        listen,
        allow_unauthenticated,
        ..
    } = &config.admin;
    let (path, host) = match listen {
        None => ("gateway.host", &config.gateway.host),
        Some(Listen::Tcp { host, .. }) => (LISTEN, host),
        Some(Listen::Unix(_)) => return,
    };
    // What was meant by a value that is refused, or by a listener, is not known.
    let is_refused =
        |problem: &Problem| problem.path == path || (listen.is_none() && problem.path == LISTEN);
    if key.is_some()
        || *allow_unauthenticated
        || is_loopback(host)
        || problems.iter().any(is_refused)
    {
        return;
    }
    let message = format!(
        "is required because {path} is {host:?}, which is not a loopback address: set \
         admin.key or CONDUIT_ADMIN_KEY, or accept an open admin API with \
         admin.allow_unauthenticated: true"
    );
    let problem = problems.error("admin.key", message);
    problem.because_of(path);
    problem.place = places.nearest("admin.key").or_else(|| places.nearest(path));
}

/// So are metrics.
fn check_metrics(config: &Config, places: &Places, problems: &mut Problems) {
    let metrics = &config.metrics;
    if metrics.require_auth && config.admin.key.is_none() {
        let message = "needs admin.key (or CONDUIT_ADMIN_KEY) to be set";
        problems.error("metrics.require_auth", message);
    }
    let is_protected = metrics.require_auth || metrics.allow_unauthenticated;
    let is_refused = problems
        .iter()
        .any(|problem| problem.path == "metrics.host");
    if metrics.enabled && !is_protected && !is_loopback(&metrics.host) && !is_refused {
        let host = &metrics.host;
        let message = format!(
            "is required because metrics.host is {host:?}, which is not a loopback address: set \
             metrics.require_auth: true and admin.key, or accept open metrics with \
             metrics.allow_unauthenticated: true"
        );
        let problem = problems.error("metrics.require_auth", message);
        problem.because_of("metrics.host");
        problem.place = written_or(places, "metrics.require_auth", "metrics.host");
    }
}

/// Where what is missing was written, or what makes it needed.
fn written_or(places: &Places, path: &str, cause: &str) -> Option<Place> {
    let path = if places.is_written(path) { path } else { cause };
    places.nearest(path)
}
