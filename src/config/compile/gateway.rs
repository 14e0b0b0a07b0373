//! `gateway` and `compat`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use filters::problem::Problems;

use crate::config::choice::ClientAuth;
use crate::config::compile::listen_host;
use crate::config::model::gateway::{Compat, Connections, Gateway, Tls};
use crate::config::raw;

/// `gateway`.
pub fn compile(raw: raw::gateway::Gateway, problems: &mut Problems) -> Gateway {
    let to_size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    Gateway {
        port: raw.port,
        host: listen_host("gateway.host", &raw.host, problems),
        tls: raw
            .tls
            .filter(|tls| tls.enabled)
            .and_then(|tls| compile_tls(tls, problems)),
        connections: compile_connections(&raw.connections),
        max_body_bytes: usize::try_from(raw.max_body_bytes).unwrap_or(usize::MAX),
        allowed_origins: origins(&raw.allowed_origins, problems),
        allowed_hosts: hosts(&raw.allowed_hosts, problems),
        sse_keepalive: (raw.sse_keepalive_seconds > 0)
            .then(|| Duration::from_secs(raw.sse_keepalive_seconds.into())),
        shutdown_grace: Duration::from_secs(raw.shutdown_grace_seconds.into()),
        n_threads: (raw.threads > 0).then(|| to_size(raw.threads)),
    }
}

fn compile_tls(raw: raw::gateway::Tls, problems: &mut Problems) -> Option<Tls> {
    let cert_path = required_file("gateway.tls.cert_path", raw.cert_path, problems);
    let key_path = required_file("gateway.tls.key_path", raw.key_path, problems);
    let ca_path = raw.ca_path.filter(|path| !path.is_empty());
    let ca_path = ca_path.and_then(|path| existing_file("gateway.tls.ca_path", &path, problems));
    if ca_path.is_none() && raw.client_auth == ClientAuth::Optional {
        let message =
            "has no effect without gateway.tls.ca_path: no client is asked for a certificate";
        problems.warning("gateway.tls.client_auth", message);
    }
    Some(Tls {
        cert_path: cert_path?,
        key_path: key_path?,
        ca_path,
        client_auth: raw.client_auth,
        min_version: raw.min_version,
        watch: (raw.watch_seconds > 0).then(|| Duration::from_secs(raw.watch_seconds.into())),
    })
}

fn compile_connections(raw: &raw::gateway::Connections) -> Connections {
    let span = |ms: u32| Duration::from_millis(ms.into());
    let to_size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    Connections {
        max: to_size(raw.max),
        handshake: span(raw.handshake_timeout_ms),
        head: span(raw.head_timeout_ms),
        idle: span(raw.idle_timeout_ms),
        body_pause: span(raw.body_pause_ms),
        body: span(raw.body_timeout_ms),
        headers_max: to_size(raw.max_headers),
        header_bytes_max: to_size(raw.max_header_bytes),
    }
}

fn required_file(path: &str, file: Option<String>, problems: &mut Problems) -> Option<PathBuf> {
    match file.filter(|file| !file.is_empty()) {
        Some(file) => existing_file(path, &file, problems),
        None => {
            problems.error(path, "is required when gateway.tls.enabled is true");
            None
        }
    }
}

fn existing_file(path: &str, file: &str, problems: &mut Problems) -> Option<PathBuf> {
    if Path::new(file).is_file() {
        return Some(PathBuf::from(file));
    }
    problems
        .error(path, "the file does not exist")
        .found(format!("{file:?}"));
    None
}

/// Origins in the form browsers send them.
fn origins(raw: &[String], problems: &mut Problems) -> Vec<String> {
    let mut origins = Vec::new();
    for (index, text) in raw.iter().enumerate() {
        let origin = text.trim().trim_end_matches('/').to_ascii_lowercase();
        let is_origin = origin.split_once("://").is_some_and(|(scheme, host)| {
            !scheme.is_empty() && !host.is_empty() && !host.contains(['/', '?', '#', '@', '*', ' '])
        });
        if is_origin {
            origins.push(origin);
        } else {
            problems
                .error(
                    format!("gateway.allowed_origins[{index}]"),
                    "must be an origin (scheme, host and port, no path), such as \
                     https://app.example.com",
                )
                .found(format!("{text:?}"));
        }
    }
    origins
}

fn hosts(raw: &[String], problems: &mut Problems) -> Vec<String> {
    let each = raw.iter().enumerate();
    each.map(|(index, text)| {
        listen_host(&format!("gateway.allowed_hosts[{index}]"), text, problems).to_ascii_lowercase()
    })
    .collect()
}

/// `compat`.
#[must_use]
pub fn compile_compat(raw: &raw::gateway::Compat) -> Compat {
    Compat {
        always_200: raw.always_200,
    }
}
