//! Redis as the gateway's second tier.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// `redis-server` on the `PATH`, if it is installed.
pub(crate) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join("redis-server"))
        .find(|program| program.is_file())
}

/// On `port` of the loopback alone, and nothing written to the disk.
pub(crate) fn arguments(port: u16, at: &Path) -> Vec<OsString> {
    let port = port.to_string();
    let texts = ["--port", &port, "--bind", "127.0.0.1"];
    let texts = texts
        .into_iter()
        .chain(["--save", "", "--appendonly", "no"]);
    let place: [OsString; 2] = ["--dir".into(), at.into()];
    texts.map(OsString::from).chain(place).collect()
}
