//! `connect` and `identity`.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use filters::problem::{Problems, Severity};

use crate::config::compile::reference;
use crate::config::compile::server::http_url;
use crate::config::model::connect::{
    Connect, Identity, Profile, Registry, RuntimeDefaults, Workspace,
};
use crate::config::model::server::ServerId;
use crate::config::model::url::HttpUrl;
use crate::config::path::Path;
use crate::config::raw::connect as raw;

/// The profile of all servers, which nobody declares.
pub const DEFAULT_PROFILE: &str = "default";

/// `connect`, given the ids of all servers the file names, valid or not.
pub fn compile(raw: raw::Connect, server_ids: &[String], problems: &mut Problems) -> Connect {
    Connect {
        profiles: profiles(raw.profiles, server_ids, problems),
        registry: registry(&raw.registry, problems),
        managed_runtime: RuntimeDefaults {
            enabled: raw.managed_runtime.enabled,
            root_dir: PathBuf::from(raw.managed_runtime.root_dir),
            default_channel: raw.managed_runtime.default_channel,
            sanitize_env: raw.managed_runtime.sanitize_env,
            auto_rollback: raw.managed_runtime.auto_rollback,
        },
    }
}

fn profiles(
    raw: Vec<raw::Profile>,
    server_ids: &[String],
    problems: &mut Problems,
) -> Vec<Profile> {
    let mut seen = HashSet::new();
    let mut profiles = Vec::new();
    for (index, profile) in raw.into_iter().enumerate() {
        let path = Path::root().key("connect").key("profiles").index(index);
        if profile.id == DEFAULT_PROFILE {
            let message = "\"default\" is the built-in profile of all servers; choose another id";
            problems.error(path.key("id"), message);
        } else if !seen.insert(profile.id.clone()) {
            problems
                .error(path.key("id"), "is already the id of another profile")
                .found(format!("{:?}", profile.id));
        }
        profiles.push(Profile {
            server_ids: members(&profile.server_ids, server_ids, &path, problems),
            id: profile.id,
            label: profile.label,
            description: profile.description,
        });
    }
    profiles
}

fn members(
    written: &[String],
    server_ids: &[String],
    path: &Path,
    problems: &mut Problems,
) -> Vec<ServerId> {
    for (index, id) in written.iter().enumerate() {
        if server_ids.contains(id) {
            continue;
        }
        let path = path.key("server_ids").index(index);
        problems.add(reference::unknown(Severity::Error, &path, id, server_ids));
    }
    written
        .iter()
        .filter_map(|id| ServerId::parse(id))
        .collect()
}

fn registry(raw: &raw::Registry, problems: &mut Problems) -> Registry {
    let path = Path::root().key("connect").key("registry").key("base_url");
    let base_url = http_url(&path, &raw.base_url, problems);
    Registry {
        // Only stands in where the written one was refused, which makes the whole model unusable.
        base_url: base_url.unwrap_or_else(HttpUrl::official_registry),
        cache_ttl: Duration::from_secs(raw.cache_ttl_seconds.into()),
        page_size: raw.page_size,
        n_pages_max: (raw.max_pages > 0).then_some(raw.max_pages),
        latest_only: raw.latest_only,
    }
}

/// `identity`.
pub fn compile_identity(raw: raw::Identity, problems: &mut Problems) -> Identity {
    let mut ids = HashSet::new();
    let mut tenants: HashMap<&str, usize> = HashMap::new();
    for (index, workspace) in raw.workspaces.iter().enumerate() {
        let path = Path::root().key("identity").key("workspaces").index(index);
        if !ids.insert(&workspace.id) {
            problems
                .error(path.key("id"), "is already the id of another workspace")
                .found(format!("{:?}", workspace.id));
        }
        for (at, tenant) in workspace.tenant_ids.iter().enumerate() {
            let path = path.key("tenant_ids").index(at);
            if tenant.is_empty() {
                problems.error(path, "must not be empty");
            } else if let Some(first) = tenants.get(tenant.as_str()) {
                let message = format!("the tenant already belongs to identity.workspaces[{first}]");
                problems.error(path, message).found(format!("{tenant:?}"));
            } else {
                tenants.insert(tenant, index);
            }
        }
    }
    let workspace = |raw: raw::Workspace| Workspace {
        id: raw.id,
        label: raw.label,
        tenant_ids: raw.tenant_ids,
    };
    Identity {
        enabled: raw.enabled,
        db_path: PathBuf::from(raw.db_path),
        default_workspace_id: raw.default_workspace_id,
        workspaces: raw.workspaces.into_iter().map(workspace).collect(),
    }
}
