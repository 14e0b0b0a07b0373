//! `servers[].managed_runtime`.

use std::path::PathBuf;

use filters::problem::Problems;

use crate::config::compile::server::secrets;
use crate::config::model::runtime::{ManagedRuntime, Release, Sandbox};
use crate::config::path::Path;
use crate::config::raw;

/// A managed package that is switched on; `None` if it lacks something.
pub fn compile(
    raw: raw::runtime::ManagedRuntime,
    path: &Path,
    problems: &mut Problems,
) -> Option<ManagedRuntime> {
    let source_ref = required(raw.source_ref, &path.key("source_ref"), problems);
    let active = required(
        raw.active_release_id,
        &path.key("active_release_id"),
        problems,
    );
    if raw.releases.is_empty() {
        problems.error(path.key("releases"), "must hold at least one release");
    }
    let sandbox = Sandbox {
        enabled: raw.sandbox.enabled,
        root_dir: raw.sandbox.root_dir.map(PathBuf::from),
        sanitize_env: raw.sandbox.sanitize_env,
        allow_network: raw.sandbox.allow_network,
    };
    Some(ManagedRuntime {
        source_type: raw.source_type,
        source_ref: source_ref?,
        channel: raw.channel,
        active_release_id: active?,
        last_healthy_release_id: raw.last_healthy_release_id,
        last_rollout_at: raw.last_rollout_at,
        sandbox,
        health_gate: raw.health_gate.enabled,
        auto_rollback: raw.health_gate.auto_rollback,
        releases: raw.releases.into_iter().map(release).collect(),
    })
}

fn required(text: Option<String>, path: &Path, problems: &mut Problems) -> Option<String> {
    let text = text.filter(|text| !text.is_empty());
    if text.is_none() {
        problems.error(path.as_str(), "is required when managed_runtime is enabled");
    }
    text
}

fn release(raw: raw::runtime::Release) -> Release {
    Release {
        id: raw.id,
        version: raw.version,
        channel: raw.channel,
        command: raw.command,
        args: raw.args,
        env: secrets(raw.env),
        created_at: raw.created_at,
        status: raw.status,
        notes: raw.notes,
    }
}
