//! What a client or a server can do, as the handshake and the envelope declare it.
//!
//! **Invariant:** nothing here adds an ability: what is passed on is what was declared, or less
//! (E54).

use std::borrow::Cow;

use crate::bounds::DEPTH_MAX;
use crate::json::object::{self, Object};
use crate::json::scan;
use crate::mcp::revision::{Era, Revision};

/// The extension of long-running calls, the one that is relayed across servers (SEP-2663).
pub const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// What a server's request needs of the client that is to answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// `elicitation/create` with a form.
    ElicitationForm,
    /// `elicitation/create` with a URL.
    ElicitationUrl,
    /// `sampling/createMessage`.
    Sampling,
    /// `sampling/createMessage` with tools.
    SamplingTools,
    /// `roots/list`.
    Roots,
}

impl Need {
    /// The capabilities that meet it, as JSON text: `data.requiredCapabilities` of -32021.
    #[must_use]
    pub fn required(self) -> &'static str {
        match self {
            Self::ElicitationForm => r#"{"elicitation":{"form":{}}}"#,
            Self::ElicitationUrl => r#"{"elicitation":{"url":{}}}"#,
            Self::Sampling => r#"{"sampling":{}}"#,
            Self::SamplingTools => r#"{"sampling":{"tools":{}}}"#,
            Self::Roots => r#"{"roots":{}}"#,
        }
    }
}

/// What a server's request needs; nothing where it is no request that a client answers by its
/// abilities. `params` is JSON text.
#[must_use]
pub fn need(method: &str, params: &str) -> Option<Need> {
    let params = Object::read(params).unwrap_or_default();
    let has = |name: &str| params.get(name).is_some_and(|value| value != "null");
    match method {
        "elicitation/create" => match params.text("mode").as_deref() {
            Some("url") => Some(Need::ElicitationUrl),
            Some(_) | None => Some(Need::ElicitationForm),
        },
        "sampling/createMessage" if has("tools") || has("toolChoice") => Some(Need::SamplingTools),
        "sampling/createMessage" => Some(Need::Sampling),
        "roots/list" => Some(Need::Roots),
        _ => None,
    }
}

/// Whether a client's capabilities (JSON text) meet a need.
#[must_use]
pub fn declares(client_capabilities: &str, need: Need) -> bool {
    let declared = Object::read(client_capabilities).unwrap_or_default();
    let member = |name: &str| declared.get(name).and_then(Object::read);
    match need {
        Need::ElicitationForm => member("elicitation").is_some_and(|modes| has_form(&modes)),
        Need::ElicitationUrl => {
            member("elicitation").is_some_and(|modes| is_ability(&modes, "url"))
        }
        Need::Sampling => member("sampling").is_some(),
        Need::SamplingTools => {
            member("sampling").is_some_and(|sampling| is_ability(&sampling, "tools"))
        }
        Need::Roots => member("roots").is_some(),
    }
}

/// An elicitation that names no mode means forms, as before there were modes.
fn has_form(modes: &Object<'_>) -> bool {
    is_ability(modes, "form") || !is_ability(modes, "url")
}

/// An ability is declared by an object, empty or not.
fn is_ability(of: &Object<'_>, name: &str) -> bool {
    of.get(name).is_some_and(|value| value.starts_with('{'))
}

/// A client's capabilities in one spelling: members sorted, no white space, and what says nothing
/// (`null`, `"listChanged": false`, an empty `extensions`) left out. Two clients with the same
/// abilities give the same text; a member that is not known counts as it stands.
#[must_use]
pub fn canonical(client_capabilities: &str) -> String {
    let mut declared = Object::read(client_capabilities).unwrap_or_default();
    for name in [
        "elicitation",
        "roots",
        "sampling",
        "tasks",
        "experimental",
        "extensions",
    ] {
        if !is_ability(&declared, name) {
            declared.remove(name);
        }
    }
    for name in ["experimental", "extensions"] {
        if declared
            .get(name)
            .and_then(Object::read)
            .is_some_and(|all| all.is_empty())
        {
            declared.remove(name);
        }
    }
    edit(&mut declared, "elicitation", |modes| {
        if has_form(modes) && !is_ability(modes, "form") {
            modes.set("form", "{}");
        }
    });
    edit(&mut declared, "roots", |roots| {
        if roots.get("listChanged") != Some("true") {
            roots.remove("listChanged");
        }
    });
    sorted(&declared.write())
}

/// As [`canonical`], with only those abilities that can matter to what a server offers and that the
/// gateway knows: there are few such texts, whatever clients think up.
#[must_use]
pub fn known(client_capabilities: &str) -> String {
    let spelled = canonical(client_capabilities);
    let declared = Object::read(&spelled).unwrap_or_default();
    let mut known = Object::default();
    for (name, abilities) in [
        ("elicitation", &["form", "url"][..]),
        ("extensions", &[TASKS_EXTENSION]),
        ("roots", &[]),
        ("sampling", &["context", "tools"]),
    ] {
        let Some(member) = declared.get(name).and_then(Object::read) else {
            continue;
        };
        let mut kept = Object::default();
        for ability in abilities {
            if is_ability(&member, ability) {
                kept.set(*ability, "{}");
            }
        }
        if name != "extensions" || !kept.is_empty() {
            known.set(name, kept.write());
        }
    }
    known.write()
}

/// Changes a member that is an object.
fn edit(of: &mut Object<'_>, name: &'static str, change: impl FnOnce(&mut Object<'_>)) {
    let Some(text) = of.take(name) else { return };
    let changed = Object::read(&text).map(|mut member| {
        change(&mut member);
        member.write()
    });
    of.set(name, changed.unwrap_or_else(|| text.into_owned()));
}

/// JSON text with every object's members sorted and no white space between tokens. What nests
/// deeper than any message may is left as it is.
fn sorted(text: &str) -> String {
    if scan::nests_within(text.as_bytes(), DEPTH_MAX) {
        in_order(text).into_owned()
    } else {
        text.to_owned()
    }
}

fn in_order(text: &str) -> Cow<'_, str> {
    if let Some(object) = Object::read(text) {
        let mut members: Vec<_> = object.into_members().collect();
        // Stable, so that of two members with one name the last still counts.
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut written = Object::default();
        for (name, value) in members {
            let value = in_order(&value).into_owned();
            written.set(name, value);
        }
        return Cow::Owned(written.write());
    }
    match object::elements(text) {
        Some(elements) => Cow::Owned(object::array(elements.into_iter().map(in_order))),
        None => Cow::Borrowed(text),
    }
}

/// What of a client's capabilities may be declared in an `initialize` of `revision`, in the
/// canonical spelling. Extensions and tasks are left out: neither is bridged into the handshake.
/// So is what the revision has no word for: elicitation before 2025-06-18; its URL mode and
/// sampling's members before 2025-11-25.
#[must_use]
pub fn for_legacy(client_capabilities: &str, revision: Revision) -> String {
    let spelled = canonical(client_capabilities);
    let mut declared = Object::read(&spelled).unwrap_or_default();
    declared.remove("extensions");
    declared.remove("tasks");
    if revision < Revision::V2025_11_25 {
        let has_forms = declares(&spelled, Need::ElicitationForm);
        if has_forms && revision >= Revision::V2025_06_18 {
            declared.set("elicitation", "{}");
        } else {
            declared.remove("elicitation");
        }
        edit(&mut declared, "sampling", |sampling| {
            sampling.retain(|name| name != "tools" && name != "context");
        });
    }
    sorted(&declared.write())
}

/// Whether a client or a server (its capabilities, JSON text) understands tasks.
#[must_use]
pub fn has_tasks(capabilities: &str) -> bool {
    Object::read(capabilities).is_some_and(|declared| declares_tasks(&declared))
}

fn declares_tasks(declared: &Object<'_>) -> bool {
    let extensions = declared.get("extensions").and_then(Object::read);
    extensions.is_some_and(|all| is_ability(&all, TASKS_EXTENSION))
}

/// What a client that opens a session says it can do, less the tasks of either era: no result that
/// it knows can be the extension's, and those of 2025-11-25 are its server's alone.
#[must_use]
pub fn without_tasks(client_capabilities: &str) -> String {
    let mut declared = Object::read(client_capabilities).unwrap_or_default();
    declared.remove("tasks");
    edit(&mut declared, "extensions", |extensions| {
        extensions.remove(TASKS_EXTENSION);
    });
    declared.write()
}

/// The union of several servers' capabilities (JSON text each), as far as a gateway can serve it to
/// a client of `era`: tools, prompts and resources with what they announce, completions, logging,
/// and for the modern era the tasks extension. Experimental and unknown abilities, and the tasks of
/// 2025-11-25, belong to one server and cannot be merged.
#[must_use]
pub fn merge_servers<'a>(parts: impl IntoIterator<Item = &'a str>, era: Era) -> String {
    let parts: Vec<Object<'_>> = parts.into_iter().filter_map(Object::read).collect();
    let mut merged = Object::default();
    for (name, announced) in [
        ("completions", &[][..]),
        ("logging", &[]),
        ("prompts", &["listChanged"]),
        ("resources", &["listChanged", "subscribe"]),
        ("tools", &["listChanged"]),
    ] {
        let declared = parts.iter().filter_map(|part| part.get(name));
        let having: Vec<Object<'_>> = declared.filter_map(Object::read).collect();
        if having.is_empty() {
            continue;
        }
        let mut union = Object::default();
        for flag in announced {
            if having.iter().any(|one| one.get(flag) == Some("true")) {
                union.set(*flag, "true");
            }
        }
        merged.set(name, union.write());
    }
    if parts.iter().any(declares_tasks) && era == Era::Modern {
        merged.set("extensions", format!(r#"{{"{TASKS_EXTENSION}":{{}}}}"#));
    }
    merged.write()
}

#[cfg(test)]
mod tests;
