//! The body of the fuzz target of screened lists: against every reading that any reader may have of
//! what is shown.

use crate::acl::Rules;
use crate::acl::screen::{self, Shown};
use crate::acl::spec::{Effect, Policy, Rule, Spec, Who};
use crate::acl::view::{Item, View};
use crate::identity::Principal;
use crate::json::object;
use crate::json::reader::{Malformed, Raw, Reader};
use crate::mcp::list::Kind;

pub(super) fn run(data: &[u8]) -> usize {
    let Ok(text) = std::str::from_utf8(data) else {
        return 0;
    };
    let mut n_shown = 0;
    for default in [Effect::Allow, Effect::Deny] {
        let rules = Rules::compile(&spec(default));
        let view = rules.view(&Principal::anonymous(), "s");
        for kind in Kind::ALL {
            if let Some(shown) = shown(screen::answer(&view, kind, text), text) {
                lists(&view, &[kind], &shown);
                n_shown += 1;
            }
        }
        if let Some(shown) = shown(screen::message(&view, text), text) {
            let messages = object::elements(&shown).unwrap_or_else(|| vec![&shown]);
            for message in messages {
                lists(&view, &Kind::ALL, message);
                news(&view, message);
            }
            n_shown += 1;
        }
    }
    n_shown
}

/// What begins with `b` is denied, and what begins with `a` is allowed.
fn spec(default: Effect) -> Spec {
    let of = |letter: &str| {
        let patterns = vec![format!("{letter}*")];
        Rule {
            server: "*".to_owned(),
            tools: Some(patterns.clone()),
            prompts: Some(patterns.clone()),
            resources: Some(patterns),
        }
    };
    Spec {
        default,
        policies: vec![Policy {
            name: "p".to_owned(),
            who: Who::default(),
            allow: vec![of("a")],
            deny: vec![of("b")],
        }],
        ..Spec::default()
    }
}

fn shown(shown: Shown, text: &str) -> Option<String> {
    match shown {
        Shown::AsIs => Some(text.to_owned()),
        Shown::Changed(text) => Some(text),
        Shown::Hidden | Shown::Unclear => None,
    }
}

/// Whatever any reader takes for an item of a list may be used.
fn lists(view: &View<'_>, kinds: &[Kind], message: &str) {
    let results = found(message, "result");
    for (kind, result) in kinds
        .iter()
        .flat_map(|kind| results.iter().map(move |result| (*kind, result)))
    {
        for list in found(result.get(), kind.member()) {
            let items = object::elements(list.get());
            assert!(items.is_some(), "{message}: a list that is none");
            for item in items.unwrap_or_default() {
                let keys = found(item, kind.key());
                assert!(!keys.is_empty(), "{message}: an item without a name");
                for key in keys {
                    let key = key.string();
                    let permits = |key| view.permits(Item::of(kind, key));
                    assert!(key.as_deref().is_some_and(permits), "{message}: {key:?}");
                }
            }
        }
    }
}

/// Whatever any reader takes for news is of a resource that may be read.
fn news(view: &View<'_>, message: &str) {
    let mut methods = found(message, "method").into_iter();
    let is_updated =
        |method: Raw<'_>| method.string().as_deref() == Some("notifications/resources/updated");
    if !methods.any(is_updated) {
        return;
    }
    let params = found(message, "params").into_iter();
    let uris: Vec<Raw<'_>> = params
        .flat_map(|params| found(params.get(), "uri"))
        .collect();
    assert!(!uris.is_empty(), "{message}: news of nothing");
    for uri in uris {
        let uri = uri.string();
        let permits = |uri| view.permits(Item::Resource(uri));
        assert!(uri.as_deref().is_some_and(permits), "{message}: {uri:?}");
    }
}

/// All values that some reader finds under a name in an object: the first or the last of several,
/// whatever its case, and whatever is left of it where it is no Unicode.
fn found<'t>(text: &'t str, name: &str) -> Vec<Raw<'t>> {
    let mut found = Vec::new();
    let mut reader = Reader::new(text);
    let read = reader.object(|reader, member| {
        let value = reader.value()?;
        if object::is_alike(&lenient(member), name) {
            found.push(value);
        }
        Ok(())
    });
    match read {
        Ok(()) => found,
        Err(Malformed) => Vec::new(),
    }
}

/// A name without the halves of pairs that no reader can show.
fn lenient(name: Raw<'_>) -> String {
    if let Some(name) = name.string() {
        return name.into_owned();
    }
    let mut text = name.get().to_owned();
    let halves = |text: &str| {
        let at = text.to_ascii_lowercase().find(r"\ud")?;
        text.get(at..at + 6).map(str::to_owned)
    };
    while let Some(half) = halves(&text) {
        text = text.replace(&half, "");
    }
    object::string(&text)
        .map(std::borrow::Cow::into_owned)
        .unwrap_or_default()
}
