//! Environment variables that override single values of the file.
//!
//! An override is written into the file's tree before anything looks at it, so that it is checked
//! like a value of the file and findings about it name the variable.
//!
//! **Invariant:** overrides win at start and at reload alike; an empty variable overrides nothing.

use filters::problem::Place;

use crate::config::source::Variables;
use crate::config::yaml::{Entry, Node, Value};

/// Variables whose text simply takes the place of a value.
pub const DIRECT: [(&str, &[&str]); 10] = [
    ("CONDUIT_PORT", &["gateway", "port"]),
    ("CONDUIT_HOST", &["gateway", "host"]),
    ("CONDUIT_TLS_CERT", &["gateway", "tls", "cert_path"]),
    ("CONDUIT_TLS_KEY", &["gateway", "tls", "key_path"]),
    ("CONDUIT_ADMIN_KEY", &["admin", "key"]),
    ("CONDUIT_METRICS_PORT", &["metrics", "port"]),
    ("CONDUIT_DB_PATH", &["observability", "db_path"]),
    ("CONDUIT_REDIS_URL", &["rate_limits", "redis_url"]),
    ("CONDUIT_IDENTITY_DB_PATH", &["identity", "db_path"]),
    ("CONDUIT_GOVERNANCE_DB_PATH", &["governance", "db_path"]),
];

/// What stands between the name of a variable and what it holds, where a value names one.
pub const VARIABLE_END: char = '=';

/// Writes every override that is set into the tree.
pub fn apply(root: &mut Node, variables: &Variables) {
    name_variables(root);
    let value = |name: &str| variables.value(name).filter(|text| !text.is_empty());
    if let Some(url) = value("CONDUIT_REDIS_URL") {
        place_redis(root, url);
    }
    for (name, path) in DIRECT {
        if let Some(text) = value(name) {
            set(root, path, text, name);
        }
    }
    if let Some(text) = value("CONDUIT_TLS_ENABLED") {
        let is_on = text.eq_ignore_ascii_case("true");
        set(
            root,
            &["gateway", "tls", "enabled"],
            truth(is_on),
            "CONDUIT_TLS_ENABLED",
        );
    }
    if let Some(text) = value("CONDUIT_LOG_ARGS") {
        let is_on = !text.eq_ignore_ascii_case("false");
        set(
            root,
            &["observability", "log_args"],
            truth(is_on),
            "CONDUIT_LOG_ARGS",
        );
    }
    // These two switch their section on, as they do in mcp-conduit.
    for (name, section) in [
        ("CONDUIT_IDENTITY_DB_PATH", "identity"),
        ("CONDUIT_GOVERNANCE_DB_PATH", "governance"),
    ] {
        if value(name).is_some() {
            set(root, &[section, "enabled"], "true", name);
        }
    }
}

/// Redis has three users: sessions and the second cache, if the file has them, and the rate limits.
/// Without a `rate_limits` section the variable makes one, as in mcp-conduit.
fn place_redis(root: &mut Node, url: &str) {
    const NAME: &str = "CONDUIT_REDIS_URL";
    if child(root, "cache")
        .and_then(|cache| child(cache, "l2"))
        .is_some()
    {
        set(root, &["cache", "l2", "redis_url"], url, NAME);
    }
    if child(root, "sessions").is_some() {
        set(root, &["sessions", "redis_url"], url, NAME);
    }
    if child(root, "rate_limits").is_none() {
        set(root, &["rate_limits", "enabled"], "true", NAME);
        set(root, &["rate_limits", "backend"], "redis", NAME);
    }
}

/// A credential of a variable is written with what that holds, so that it is resolved, checked and told
/// of as any reference is, at the place where it was named.
fn name_variables(root: &mut Node) {
    let Some(servers) = child_mut(root, "servers") else {
        return;
    };
    let Value::List(servers) = &mut servers.value else {
        return;
    };
    for server in servers {
        let auth = child_mut(server, "upstream_auth");
        let bearer = auth.and_then(|auth| child_mut(auth, "bearer"));
        let env = bearer.and_then(|bearer| child_mut(bearer, "env"));
        if let Some(node) = env
            && let Value::Scalar { text, .. } = &node.value
        {
            let text = format!("{text}{VARIABLE_END}${{{text}}}");
            node.value = Value::Scalar { text, plain: false };
        }
    }
}

fn child_mut<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let Value::Map(entries) = &mut node.value else {
        return None;
    };
    let found = entries.iter_mut().find(|entry| entry.key == key);
    found.map(|entry| &mut entry.node)
}

fn truth(is_on: bool) -> &'static str {
    if is_on { "true" } else { "false" }
}

fn child<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    let found = entries
        .iter()
        .find(|entry| entry.key == key)
        .map(|entry| &entry.node);
    found.filter(|node| node.value != Value::Null)
}

/// Sets the value at a path, making the mappings on the way. Where the file holds something that
/// is no mapping, nothing is done: the walk refuses that value anyway.
fn set(node: &mut Node, path: &[&str], text: &str, variable: &str) {
    let Some((key, rest)) = path.split_first() else {
        node.value = Value::Scalar {
            text: text.to_owned(),
            plain: true,
        };
        node.place = Place::Variable(variable.to_owned());
        return;
    };
    if node.value == Value::Null {
        node.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut node.value else {
        return;
    };
    let entry = match entries.iter().position(|entry| entry.key == *key) {
        Some(at) => entries.get_mut(at),
        None => {
            let place = Place::Variable(variable.to_owned());
            let node = Node {
                value: Value::Null,
                place: place.clone(),
            };
            entries.push(Entry {
                key: (*key).to_owned(),
                key_place: place,
                node,
            });
            entries.last_mut()
        }
    };
    if let Some(entry) = entry {
        set(&mut entry.node, rest, text, variable);
    }
}
