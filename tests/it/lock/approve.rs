//! Approval: over the API and by the command line.

use serde_json::json;

use super::site::{Form, Site, WAYS, is_done, refused, tool};
use crate::support::wire::Request;

#[tokio::test]
async fn what_is_approved_is_what_was_shown() {
    let site = Site::start(Form::Json, json!({ "tool_lock": "block" })).await;
    let seen = site.state().await["pending_digest"].clone();
    site.tools.lock()[0]["description"] = json!("changed while you looked");
    let another = |state: &serde_json::Value| (state["pending_digest"] != seen).then_some(());
    crate::support::until("the change to be seen", || async {
        another(&site.state().await)
    })
    .await;
    let order = json!({ "server": "s", "digest": seen });
    assert_eq!(site.order(order).await.status, 409);
    let wrong = format!("sha256:{}", "0".repeat(64));
    for (order, status) in [
        (json!({ "server": "s", "tool": "a", "digest": wrong }), 409),
        (json!({ "server": "s", "tool": "a", "digest": "x" }), 400),
        (json!({ "server": "none", "digest": wrong }), 404),
    ] {
        let answer = site.order(order).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert!(!site.file().exists());
}

#[tokio::test]
async fn an_approval_needs_the_header_and_the_key_of_the_admin_api() {
    let more = json!({ "tool_lock": "block", "admin": { "key": "hush" } });
    let site = Site::start(Form::Json, more).await;
    let order = |request: Request| {
        request
            .header("content-type", "application/json")
            .body("{}")
    };
    let open = Request::post("/conduit/lock/approve");
    let bare = order(open.header("x-conduit-admin", "1"));
    assert_eq!(site.ask(&bare).await.status, 401);
    let open = Request::post("/conduit/lock/approve");
    let keyed = order(open.header("x-admin-key", "hush"));
    assert_eq!(site.ask(&keyed).await.status, 403);
    assert_eq!(site.ask(&Request::get("/conduit/lock")).await.status, 401);
}

#[tokio::test]
async fn one_tool_is_approved_and_others_are_not() {
    let site = Site::approved(Form::Json).await;
    site.tools.lock()[0]["description"] = json!("better");
    site.tools.lock()[1]["description"] = json!("worse");
    site.stand(&["a changed", "b changed"]).await;
    let state = site.state().await;
    let row = &state["tools"][0];
    let change = &row["seen"][0]["diff"]["changes"][0];
    let expected = json!({ "field": "description", "before": "\"first\"", "after": "\"better\"" });
    assert_eq!(*change, expected);
    let digest = &row["seen"][0]["digest"];
    let order = json!({ "server": "s", "tool": "a", "digest": digest });
    assert_eq!(site.order(order).await.status, 200);
    for way in WAYS {
        assert_eq!(site.list(way).await, ["a better", "b second"], "{way:?}");
        assert!(is_done(&site.call(way, "a").await), "{way:?}");
        refused(&site.call(way, "b").await);
    }
}

#[tokio::test]
async fn a_removed_tool_is_taken_out_once_that_is_accepted() {
    let site = Site::approved(Form::Json).await;
    site.tools.lock().remove(0);
    site.stand(&["a removed", "b approved"]).await;
    let state = site.state().await;
    let digest = &state["tools"][0]["approved"][0];
    let order = json!({ "server": "s", "tool": "a", "digest": digest });
    let done = site.order(order).await.json();
    assert_eq!(done["removed"], json!(["a"]), "{done}");
    site.stand(&["b approved"]).await;
}

/// The built program's exit code and output, run beside the test, on which its gateway's server depends.
async fn conduit(site: &Site, arguments: &[&str]) -> (i32, String) {
    let config = site.folder.path().join("cli.yml");
    let text = json!({ "tool_lock_file": "approved.lock" }).to_string();
    std::fs::write(&config, text).unwrap();
    let url = format!("http://{}", site.gateway.address);
    let mut all: Vec<String> = vec!["lock".to_owned()];
    all.extend(arguments.iter().map(|one| (*one).to_owned()));
    all.extend(["--url", &url, "--config", config.to_str().unwrap()].map(str::to_owned));
    let run = tokio::task::spawn_blocking(move || {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the program under test, not a child of it"
        )]
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_conduit"));
        command.args(all).env_clear().output().unwrap()
    });
    let output = run.await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[tokio::test]
async fn the_command_line_shows_and_approves() {
    let site = Site::start(Form::Json, json!({ "tool_lock": "block" })).await;
    let (code, told) = conduit(&site, &["status"]).await;
    assert!(code == 0 && told.contains("added     a"), "{told}");
    let (code, told) = conduit(&site, &["approve", "--server", "s"]).await;
    assert!(code == 0 && told.contains("s b: approved"), "{told}");
    site.tools.lock()[0]["description"] = json!("\u{1b}[2Jhidden\u{200b}");
    site.stand(&["a changed", "b approved"]).await;
    let (_, told) = conduit(&site, &["diff"]).await;
    assert!(
        !told.contains('\u{1b}') && !told.contains('\u{200b}'),
        "{told}"
    );
    for part in ["changed s a", "description", "- \"first\"", r"\u{200b}"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let (code, told) = conduit(&site, &["approve", "--server", "s", "--tool", "a"]).await;
    assert_eq!(code, 0, "{told}");
    assert!(is_done(&site.call(WAYS[0], "a").await));
    site.tools.lock().push(tool("c", "new"));
    site.stand(&["a approved", "b approved", "c added"]).await;
    let (code, told) = conduit(&site, &["approve", "--all"]).await;
    assert!(code == 0 && told.contains("s c: approved"), "{told}");
    let (code, told) = conduit(&site, &["status", "--offline"]).await;
    assert!(code == 0 && told.contains(" c "), "{told}");
    let (_, told) = conduit(&site, &["approve", "--all"]).await;
    assert_eq!(told, "nothing is pending\n");
    let wrong = ["approve", "--server", "s", "--tool", "none"];
    assert_eq!(conduit(&site, &wrong).await.0, 1);
    assert_eq!(conduit(&site, &["approve"]).await.0, 2);
}
