//! What the admin API says of the tool lock, for people.

use std::path::Path;

use filters::lock::book::Book;
use filters::lock::visible;
use serde_json::Value;

/// How each tool of a server stands, a line each.
pub(super) fn status(state: &Value, server: Option<&str>) -> String {
    let mut out = format!("{}\n", text(member(state, "file")));
    for one in meant(state, server) {
        let unlisted = match member(one, "failure").as_str() {
            Some(failure) => format!(", cannot be listed: {}", visible::line(failure)),
            None => String::new(),
        };
        let (id, mode) = (text(member(one, "server")), text(member(one, "mode")));
        out.push_str(&format!("{id} (tool_lock: {mode}{unlisted})\n"));
        for row in rows(one) {
            let from = member(row, "renamed_from").as_str();
            let from = from.map(|from| format!(" (was {})", visible::line(from)));
            let (standing, tool) = (text(member(row, "standing")), text(member(row, "tool")));
            out.push_str(&format!(
                "  {standing:<9} {tool}{}\n",
                from.unwrap_or_default()
            ));
        }
    }
    out
}

/// What differs, tool by tool and member by member.
pub(super) fn diff(state: &Value, server: Option<&str>, tool: Option<&str>) -> String {
    let mut out = String::new();
    for one in meant(state, server) {
        let pending = rows(one).filter(|row| tool.is_none_or(|tool| member(row, "tool") == tool));
        for row in pending.filter(|row| member(row, "standing") != "approved") {
            let (standing, id) = (text(member(row, "standing")), text(member(one, "server")));
            out.push_str(&format!("{standing} {id} {}\n", text(member(row, "tool"))));
            for seen in list(member(row, "seen")) {
                out.push_str(&format!("  {}\n", text(member(seen, "digest"))));
                for change in list(member(member(seen, "diff"), "changes")) {
                    out.push_str(&format!("    {}\n", text(member(change, "field"))));
                    for (sign, side) in [("-", "before"), ("+", "after")] {
                        if member(change, side).is_string() {
                            out.push_str(&format!("      {sign} {}\n", text(member(change, side))));
                        }
                    }
                }
                if member(member(seen, "diff"), "is_cut").as_bool() == Some(true) {
                    out.push_str("    and more; the whole definition is:\n");
                    out.push_str(&format!("      {}\n", text(member(seen, "definition"))));
                }
            }
        }
        if tool.is_none() && is_pending(one) {
            let (id, digest) = (
                text(member(one, "server")),
                text(member(one, "pending_digest")),
            );
            out.push_str(&format!("pending of {id}: {digest}\n"));
        }
    }
    out
}

/// What was approved.
pub(super) fn approved(done: &Value) -> String {
    let id = text(member(done, "server"));
    let mut out = String::new();
    for (name, what) in [
        ("approved", "approved"),
        ("removed", "taken out"),
        ("left", "NOT approved, as it is unclear"),
    ] {
        for tool in list(member(done, name)) {
            out.push_str(&format!("{id} {}: {what}\n", text(tool)));
        }
    }
    out
}

/// What stands in the file.
pub(super) fn book(path: &Path, book: &Book, server: Option<&str>) -> String {
    let mut out = format!("{}\n", path.display());
    let servers = book.servers();
    for (id, tools) in servers.filter(|(id, _)| server.is_none_or(|server| *id == server)) {
        out.push_str(&format!("{id} {}\n", tools.digest()));
        for name in tools.names() {
            for one in tools.approved(name) {
                let (name, at) = (visible::line(name), visible::line(&one.at));
                out.push_str(&format!("  {} {name} {at}\n", one.digest));
            }
        }
    }
    out
}

/// Whether anything of a server waits for an approval.
pub(super) fn is_pending(server: &Value) -> bool {
    // A server without any tools is approved as that.
    let is_new =
        member(server, "digest").is_null() && member(server, "is_listed").as_bool() == Some(true);
    is_new || rows(server).any(|row| member(row, "standing") != "approved")
}

/// By which digests a tool can be approved as it is, or as gone.
pub(super) fn digests(row: &Value) -> Vec<String> {
    let seen = list(member(row, "seen"))
        .iter()
        .map(|one| member(one, "digest"));
    let mut digests: Vec<&Value> = seen.collect();
    if member(row, "standing") == "removed" {
        digests.extend(list(member(row, "approved")).first());
    }
    let digests = digests.into_iter().filter_map(Value::as_str);
    digests.map(str::to_owned).collect()
}

fn meant<'s>(state: &'s Value, server: Option<&str>) -> impl Iterator<Item = &'s Value> {
    let servers = list(member(state, "servers")).iter();
    servers.filter(move |one| server.is_none_or(|server| member(one, "server") == server))
}

fn rows(server: &Value) -> impl Iterator<Item = &Value> {
    list(member(server, "tools")).iter()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A member of an object; null where there is none.
pub(super) fn member<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// A text of the answer's, all of it visible.
fn text(value: &Value) -> String {
    visible::line(value.as_str().unwrap_or_default())
}
