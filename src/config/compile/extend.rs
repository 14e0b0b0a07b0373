//! `plugins` and `discovery`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use filters::problem::Problems;
use serde_json::Value as Json;

use crate::config::choice::extend::DiscoveryKind;
use crate::config::compile::server::http_url;
use crate::config::model::extend::{Backend, Discovery, Plugin};
use crate::config::path::Path;
use crate::config::raw::extend as raw;

/// `plugins`.
pub fn compile_plugins(raw: Vec<raw::Plugin>, problems: &mut Problems) -> Vec<Plugin> {
    let mut seen = HashSet::new();
    let mut plugins = Vec::new();
    for (index, plugin) in raw.into_iter().enumerate() {
        if !seen.insert(plugin.name.clone()) {
            problems
                .error(
                    format!("plugins[{index}].name"),
                    "is already the name of another plugin",
                )
                .found(format!("{:?}", plugin.name));
        }
        let config = if plugin.config.is_null() {
            Json::Object(serde_json::Map::new())
        } else {
            plugin.config
        };
        plugins.push(Plugin {
            name: plugin.name,
            path: PathBuf::from(plugin.path),
            hooks: plugin.hooks,
            config,
        });
    }
    plugins
}

/// `discovery`.
pub fn compile_discovery(raw: raw::Discovery, problems: &mut Problems) -> Discovery {
    let seconds = |n: u32| Duration::from_secs(n.into());
    let backends = raw.backends.into_iter().enumerate();
    let backends = backends.filter_map(|(index, backend)| {
        compile_backend(
            backend,
            &Path::root().key("discovery").key("backends").index(index),
            problems,
        )
    });
    Discovery {
        enabled: raw.enabled,
        poll_interval: seconds(raw.poll_interval_seconds),
        stale_timeout: seconds(raw.stale_timeout_seconds),
        default_ttl: seconds(raw.default_cache.default_ttl),
        backends: backends.collect(),
    }
}

fn compile_backend(
    raw: raw::DiscoveryBackend,
    path: &Path,
    problems: &mut Problems,
) -> Option<Backend> {
    let mut required = |text: Option<String>, key: &str, kind: &str| {
        let text = text.filter(|text| !text.is_empty());
        if text.is_none() {
            problems.error(path.key(key), format!("is required for type: {kind}"));
        }
        text
    };
    match raw.kind {
        DiscoveryKind::Http => Some(Backend::Http),
        DiscoveryKind::Dns => Some(Backend::Dns {
            domain: required(raw.domain, "domain", "dns")?,
        }),
        DiscoveryKind::Consul => {
            let url = required(raw.consul_url, "consul_url", "consul");
            let service_name = required(raw.service_name, "service_name", "consul");
            let url = http_url(&path.key("consul_url"), &url?, problems)?;
            Some(Backend::Consul {
                url,
                service_name: service_name?,
            })
        }
    }
}
