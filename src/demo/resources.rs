//! The resources: a readme, all notes on one page, and each note by itself.

use rmcp::{
    ErrorData,
    model::{CacheScope, ReadResourceResult, Resource, ResourceContents, ResourceTemplate},
};
use serde_json::json;

use super::{notes::Notes, server::LIST_TTL_MS};

/// The page of all notes.
pub(super) const NOTES: &str = "demo://notes";
const README: &str = "demo://readme";
const NOTE: &str = "demo://note/";

const README_TEXT: &str = "\
# The demo server

It comes with Conduit, so that there is something to talk to. Call `add` for an answer, `slow` for
one that takes its time, `book_table` for a question back. `remember` and `forget` change the
notes, which are resources themselves: subscribe to `demo://notes` and watch.
";

/// Where a note can be read.
pub(super) fn note_uri(name: &str) -> String {
    format!("{NOTE}{name}")
}

pub(super) fn all(notes: &Notes) -> Vec<Resource> {
    let fixed = [
        Resource::new(README, "readme")
            .with_title("Readme")
            .with_description("What this server is for")
            .with_mime_type("text/markdown"),
        Resource::new(NOTES, "notes")
            .with_title("All notes")
            .with_description("Every note on one page")
            .with_mime_type("text/markdown"),
    ];
    let notes = notes.names().into_iter().map(|name| {
        Resource::new(note_uri(&name), name)
            .with_description("A note")
            .with_mime_type("text/plain")
    });
    fixed.into_iter().chain(notes).collect()
}

pub(super) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new("demo://note/{name}", "note")
            .with_title("A note")
            .with_description("One note by its name")
            .with_mime_type("text/plain"),
    ]
}

/// Reads a resource. The readme keeps; the notes may change at any time.
pub(super) fn read(uri: &str, notes: &Notes) -> Result<ReadResourceResult, ErrorData> {
    let (contents, ttl_ms) = match uri {
        README => (
            ResourceContents::text(README_TEXT, uri).with_mime_type("text/markdown"),
            LIST_TTL_MS,
        ),
        NOTES => (
            ResourceContents::text(notes.page(), uri).with_mime_type("text/markdown"),
            0,
        ),
        _ => {
            let text = uri.strip_prefix(NOTE).and_then(|name| notes.text(name));
            let text = text.ok_or_else(|| {
                let data = Some(json!({ "uri": uri }));
                ErrorData::resource_not_found(format!("there is no resource `{uri}`"), data)
            })?;
            (ResourceContents::text(text, uri), 0)
        }
    };
    Ok(ReadResourceResult::new(vec![contents])
        .with_ttl_ms(ttl_ms)
        .with_cache_scope(CacheScope::Public))
}

#[cfg(test)]
mod tests {
    use super::{NOTES, Notes, all, note_uri, read};

    #[test]
    fn every_listed_resource_can_be_read() {
        let notes = Notes::default();
        notes.remember("milk", "two").unwrap();
        let listed = all(&notes);
        assert_eq!(listed.len(), 3);
        for resource in listed {
            assert!(read(&resource.uri, &notes).is_ok(), "{}", resource.uri);
        }
    }

    #[test]
    fn a_forgotten_note_cannot_be_read() {
        let notes = Notes::default();
        notes.remember("milk", "two").unwrap();
        notes.forget("milk");
        let error = read(&note_uri("milk"), &notes).unwrap_err();
        assert_eq!(error.data.unwrap()["uri"], "demo://note/milk");
        assert!(read(NOTES, &notes).is_ok());
    }
}
