//! `servers`.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use filters::problem::Problems;
use filters::secret;
use http::{HeaderName, HeaderValue};

use crate::config::choice;
use crate::config::compile::auth;
use crate::config::compile::runtime;
use crate::config::model::Secret;
use crate::config::model::server::{
    ConnectedAccount, ForwardIdentity, Http, Scopes, Server, ServerId, Stdio, Transport,
    UpstreamAuth,
};
use crate::config::model::url::HttpUrl;
use crate::config::path::Path;
use crate::config::raw;
use crate::config::walk::Places;
use crate::config::walk::scalar::excerpt;

pub mod cache;
pub mod credential;

/// Headers that describe one connection or message and are always Conduit's own.
const OWN_HEADERS: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// All servers; those with errors are left out.
pub fn compile_all(
    raw: Vec<raw::server::Server>,
    places: &Places,
    problems: &mut Problems,
) -> Vec<Server> {
    let mut first_use: HashMap<String, usize> = HashMap::new();
    let mut servers = Vec::new();
    for (index, server) in raw.into_iter().enumerate() {
        let path = Path::root().key("servers").index(index);
        if let Some(first) = first_use.get(&server.id) {
            problems
                .error(
                    path.key("id"),
                    format!("is already the id of servers[{first}]"),
                )
                .found(format!("{:?}", server.id));
        } else if !server.id.is_empty() {
            first_use.insert(server.id.clone(), index);
        }
        servers.extend(compile(server, &path, places, problems));
    }
    servers
}

fn compile(
    mut raw: raw::server::Server,
    path: &Path,
    places: &Places,
    problems: &mut Problems,
) -> Option<Server> {
    let seconds = |n: u32| Duration::from_secs(n.into());
    let milliseconds = |n: u32| Duration::from_millis(n.into());
    let cache = cache::compile(
        std::mem::take(&mut raw.cache),
        &path.key("cache"),
        places,
        problems,
    );
    let mut upstream_auth = raw
        .upstream_auth
        .take()
        .map(|auth| compile_upstream_auth(auth, &path.key("upstream_auth"), problems));
    let (connect_timeout, timeout) = (
        milliseconds(raw.connect_timeout_ms),
        milliseconds(raw.timeout_ms),
    );
    let (idle_timeout, max_duration) = (
        milliseconds(raw.idle_timeout_ms),
        milliseconds(raw.max_duration_ms),
    );
    let session_idle = seconds(raw.session_idle_seconds);
    let max_sessions = usize::try_from(raw.max_sessions).unwrap_or(usize::MAX);
    let (era, forward_authorization) = (raw.era, raw.forward_authorization);
    let scopes = scopes(&mut raw, path, problems);
    let tool_lock = raw.tool_lock;
    let id = ServerId::parse(&raw.id);
    if id.is_none() {
        problems.error(path.key("id"), "must consist of letters, digits and dashes");
    }
    let transport = match raw.transport {
        choice::Transport::Http => compile_http(raw, "http", path, problems).map(Transport::Http),
        choice::Transport::Sse => {
            if forward_authorization {
                let path = path.key("forward_authorization");
                problems.warning(path, "has no effect with transport: sse");
            }
            compile_http(raw, "sse", path, problems).map(Transport::Sse)
        }
        choice::Transport::Stdio => compile_stdio(raw, path, problems).map(Transport::Stdio),
    };
    let transport = transport?;
    let own = upstream_auth
        .as_mut()
        .and_then(|auth| auth.credential.as_mut());
    if let Some(own) = own {
        credential::check_beside(&transport, forward_authorization, path, problems);
        credential::complete(own, &transport);
    }
    Some(Server {
        id: id?,
        transport,
        era,
        connect_timeout,
        timeout,
        idle_timeout,
        max_duration,
        session_idle,
        max_sessions,
        forward_authorization,
        scopes,
        tool_lock,
        cache,
        upstream_auth,
        secrets: Vec::new(),
    })
}

fn scopes(raw: &mut raw::server::Server, path: &Path, problems: &mut Problems) -> Scopes {
    let scopes = Scopes {
        all: std::mem::take(&mut raw.required_scopes),
        tools: std::mem::take(&mut raw.tool_scopes),
    };
    auth::check_scopes(&scopes.all, &path.key("required_scopes"), problems);
    for (tool, needed) in &scopes.tools {
        auth::check_scopes(needed, &path.key("tool_scopes").key(tool), problems);
    }
    scopes
}

fn compile_http(
    raw: raw::server::Server,
    transport: &str,
    path: &Path,
    problems: &mut Problems,
) -> Option<Http> {
    if raw.managed_runtime.is_some() {
        problems
            .error(path.key("managed_runtime"), "needs transport: stdio")
            .because_of(path.key("transport"));
    }
    let written = [
        ("args", !raw.args.is_empty()),
        ("env", !raw.env.is_empty()),
        ("cwd", raw.cwd.is_some()),
        ("shared", raw.shared),
        ("command", raw.command.is_some() && raw.url.is_some()),
    ];
    for (field, is_written) in written {
        if is_written {
            problems
                .warning(path.key(field), "has no effect without transport: stdio")
                .because_of(path.key("transport"));
        }
    }
    let headers = headers(raw.headers, path, problems);
    let replicas: Vec<Option<HttpUrl>> = raw
        .replicas
        .iter()
        .enumerate()
        .map(|(index, text)| http_url(&path.key("replicas").index(index), text, problems))
        .collect();
    let Some(text) = raw.url.filter(|text| !text.is_empty()) else {
        let hint = if raw.command.is_some() {
            "; write transport: stdio to start `command`"
        } else {
            ""
        };
        let message = format!("is required for transport: {transport}{hint}");
        problems
            .error(path.key("url"), message)
            .because_of(path.key("transport"));
        return None;
    };
    let url = http_url(&path.key("url"), &text, problems)?;
    Some(Http {
        url,
        replicas: replicas.into_iter().flatten().collect(),
        headers,
    })
}

/// Checks an `http` or `https` URL.
pub fn http_url(path: &Path, text: &str, problems: &mut Problems) -> Option<HttpUrl> {
    match HttpUrl::parse(text) {
        Ok(url) => Some(url),
        Err(error) => {
            problems
                .error(path.as_str(), error.to_string())
                .found(format!("{:?}", excerpt(&secret::shown_url(text))));
            None
        }
    }
}

fn headers(
    raw: BTreeMap<String, String>,
    path: &Path,
    problems: &mut Problems,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, text) in raw {
        let path = path.key("headers").key(&name);
        let Ok(header) = name.parse::<HeaderName>() else {
            problems.error(path, "is not a header name");
            continue;
        };
        if OWN_HEADERS.contains(&header.as_str()) {
            problems.error(path, "is set by Conduit itself; remove it");
            continue;
        }
        match HeaderValue::from_str(&text) {
            Ok(mut value) => {
                value.set_sensitive(true);
                headers.push((header, value));
            }
            Err(_) => {
                problems.error(path, "must be visible ASCII, without line breaks");
            }
        }
    }
    headers
}

fn compile_stdio(raw: raw::server::Server, path: &Path, problems: &mut Problems) -> Option<Stdio> {
    if !raw.replicas.is_empty() {
        problems.error(path.key("replicas"), "needs transport: http or sse");
    }
    if !raw.headers.is_empty() {
        problems.warning(path.key("headers"), "has no effect with transport: stdio");
    }
    for (name, value) in &raw.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            problems.error(path.key("env").key(name), "is not an environment variable");
        }
    }
    let managed = raw.managed_runtime.filter(|managed| managed.enabled);
    let managed_runtime =
        managed.map(|managed| runtime::compile(managed, &path.key("managed_runtime"), problems));
    let Some(command) = raw.command.filter(|command| !command.trim().is_empty()) else {
        problems.error(path.key("command"), "is required for transport: stdio");
        return None;
    };
    Some(Stdio {
        command,
        args: raw.args,
        env: secrets(raw.env),
        cwd: raw
            .cwd
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from),
        shared: raw.shared,
        max_processes: usize::try_from(raw.max_processes).unwrap_or(usize::MAX),
        managed_runtime: managed_runtime.flatten(),
    })
}

/// Wraps the values of a map.
pub fn secrets(raw: BTreeMap<String, String>) -> BTreeMap<String, Secret> {
    raw.into_iter()
        .map(|(name, value)| (name, Secret::new(value)))
        .collect()
}

fn compile_upstream_auth(
    mut raw: raw::server::UpstreamAuth,
    path: &Path,
    problems: &mut Problems,
) -> UpstreamAuth {
    let credential = credential::compile(&mut raw, path, problems);
    let connected_account = raw.connected_account.map(|account| {
        if account.provider.is_empty() {
            let path = path.key("connected_account").key("provider");
            problems.error(path, "must not be empty");
        }
        ConnectedAccount {
            provider: account.provider,
            binding: account.binding,
            required: account.required,
            headers: secrets(account.headers),
        }
    });
    let forward_identity = raw.forward_identity.and_then(|identity| {
        let Ok(header_name) = identity.header_name.parse() else {
            let path = path.key("forward_identity").key("header_name");
            problems.error(path, "is not a header name");
            return None;
        };
        Some(ForwardIdentity {
            mode: identity.mode,
            header_name,
        })
    });
    UpstreamAuth {
        credential,
        connected_account,
        forward_identity,
    }
}
