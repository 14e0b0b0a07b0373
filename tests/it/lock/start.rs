//! Start, restart and reload.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::site::{Form, Site, WAYS, is_done, refused};
use crate::support::until;

#[tokio::test]
async fn what_was_approved_survives_a_restart() {
    let mut site = Site::approved(Form::Json).await;
    site.tools.lock()[0]["description"] = json!("changed while it was down");
    site.restart().await;
    for way in WAYS {
        assert_eq!(site.list(way).await, ["a first", "b second"], "{way:?}");
        refused(&site.call(way, "a").await);
        assert!(is_done(&site.call(way, "b").await));
    }
}

#[tokio::test]
async fn a_reload_changes_the_mode_and_reads_what_was_approved_elsewhere() {
    let site = Site::approved(Form::Json).await;
    let approved = fs::read_to_string(site.file()).unwrap();
    site.tools.lock()[0]["description"] = json!("other");
    site.stand(&["a changed", "b approved"]).await;
    refused(&site.call(WAYS[0], "a").await);
    let report = site.reload(&json!({ "tool_lock": "warn" })).await;
    assert_eq!(report["errors"], json!([]), "{report}");
    assert!(is_done(&site.call(WAYS[0], "a").await));
    site.reload(&json!({ "tool_lock": "block" })).await;
    refused(&site.call(WAYS[0], "a").await);
    // Another gateway, or a colleague by git, approved it.
    site.approve_all().await;
    let later = fs::read_to_string(site.file()).unwrap();
    fs::write(site.file(), approved).unwrap();
    let report = site.reload(&json!({ "tool_lock": "block" })).await;
    assert_eq!(report["reloaded"], json!(["tool_lock_file (its content)"]));
    refused(&site.call(WAYS[0], "a").await);
    fs::write(site.file(), later).unwrap();
    site.reload(&json!({ "tool_lock": "block" })).await;
    assert!(is_done(&site.call(WAYS[0], "a").await));
}

#[tokio::test]
async fn a_broken_file_is_refused_by_a_reload_and_what_was_approved_stays() {
    let site = Site::approved(Form::Json).await;
    let text = fs::read_to_string(site.file()).unwrap();
    fs::write(site.file(), text.replace("first", "edited")).unwrap();
    let report = site.reload(&json!({ "tool_lock": "off" })).await;
    let error = report["errors"][0].as_str().unwrap();
    assert!(error.contains("servers.s.tools.a: its digest"), "{report}");
    site.tools.lock()[0]["description"] = json!("edited");
    site.stand(&["a changed", "b approved"]).await;
    refused(&site.call(WAYS[0], "a").await);
}

/// What the gateway says that does not start with this file of approvals.
async fn start(lock: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    file("conduit.lock", lock);
    file("c.yml", "tool_lock: block\nmetrics: {enabled: false}\n");
    let path = folder.path().to_owned();
    let run = move || run(&path);
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn run(folder: &Path) -> (i32, String) {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the program under test, not a child of it"
    )]
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_conduit"));
    command.args(["run", "--config"]).arg(folder.join("c.yml"));
    let output = command.env_clear().output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

#[tokio::test]
async fn a_broken_file_is_an_error_at_the_start_and_its_place_is_named() {
    for (lock, place) in [
        ("<<<<<<< HEAD", "conduit.lock: is no JSON object"),
        (r#"{"version":3,"servers":{}}"#, "conduit.lock: version: "),
        (
            r#"{"version":1,"servers":{"s":{}}}"#,
            "servers.s.tools: is missing",
        ),
    ] {
        let (code, told) = start(lock).await;
        assert!(code == 1 && told.contains(place), "{code}: {told}");
        assert!(told.contains("tool_lock_file"), "{told}");
    }
}

#[tokio::test]
async fn a_place_that_cannot_hold_the_file_is_an_error_at_the_start_that_names_it() {
    for (place, why) in [
        ("folder", "folder: Is a directory"),
        ("file/approved.lock", "file/approved.lock: Not a directory"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        fs::write(folder.path().join("file"), "{}").unwrap();
        let config =
            format!("tool_lock: block\ntool_lock_file: {place}\nmetrics: {{enabled: false}}\n");
        fs::write(folder.path().join("c.yml"), config).unwrap();
        let path = folder.path().to_owned();
        let started = tokio::task::spawn_blocking(move || run(&path)).await;
        let (code, told) = started.unwrap();
        assert!(code == 1 && told.contains(why), "{code}: {told}");
        assert!(told.contains("tool_lock_file"), "{told}");
    }
}

#[tokio::test]
async fn where_there_is_no_file_nothing_was_approved_and_where_none_can_be_nothing_is() {
    let site = Site::start(Form::Json, json!({ "tool_lock": "block" })).await;
    assert!(!site.file().exists());
    assert_eq!(site.list(WAYS[0]).await, [""; 0]);
    let digest = site.state().await["pending_digest"].clone();
    // Who writes it needs its folder.
    let folder = site.folder.path().to_owned();
    fs::remove_dir_all(&folder).unwrap();
    let answer = site.order(json!({ "server": "s", "digest": digest })).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(
        answer.text().contains("No such file or directory"),
        "{answer:?}"
    );
    assert_eq!(site.list(WAYS[0]).await, [""; 0]);
    refused(&site.call(WAYS[0], "a").await);
    fs::create_dir(&folder).unwrap();
    site.approve_all().await;
    assert_eq!(site.list(WAYS[0]).await, ["a first", "b second"]);
}

#[tokio::test]
async fn a_server_that_is_trusted_at_first_is_approved_as_it_is_and_locked_then() {
    for (at, way) in WAYS.into_iter().enumerate() {
        let more = json!({ "tool_lock": "block", "tool_lock_first_use": "trust" });
        let site = Site::start(Form::Json, more).await;
        // The first message may be a list or a call.
        if at % 2 == 0 {
            assert_eq!(site.list(way).await, ["a first", "b second"], "{way:?}");
        } else {
            assert!(is_done(&site.call(way, "a").await), "{way:?}");
        }
        until("the file to be written", || async {
            site.file().exists().then_some(())
        })
        .await;
        site.tools.lock()[0]["description"] = json!("changed later");
        site.stand(&["a changed", "b approved"]).await;
        refused(&site.call(way, "a").await);
    }
}
