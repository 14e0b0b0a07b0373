//! The resources the suite reads by name.

use rmcp::{
    ErrorData,
    model::{
        CacheScope, ReadResourceResponse, ReadResourceResult, Resource, ResourceContents,
        ResourceTemplate,
    },
};
use serde_json::json;

use crate::{server::FRESH_MS, tools::content::PNG};

const TEXT: &str = "test://static-text";
const BINARY: &str = "test://static-binary";
const WATCHED: &str = "test://watched-resource";
const TEMPLATE: (&str, &str) = ("test://template/", "/data");

pub(crate) fn all() -> Vec<Resource> {
    vec![
        Resource::new(TEXT, "static-text")
            .with_title("Static text")
            .with_description("Always the same text")
            .with_mime_type("text/plain"),
        Resource::new(BINARY, "static-binary")
            .with_title("Static image")
            .with_description("Always the same image")
            .with_mime_type("image/png"),
        Resource::new(WATCHED, "watched-resource")
            .with_title("Watched text")
            .with_description("Its watchers hear of it when the tool `touch` is called")
            .with_mime_type("text/plain"),
    ]
}

pub(crate) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new("test://template/{id}/data", "template-data")
            .with_title("Data of an id")
            .with_description("Repeats the id")
            .with_mime_type("application/json"),
    ]
}

pub(crate) fn read(uri: &str) -> Result<ReadResourceResponse, ErrorData> {
    let contents = match uri {
        TEXT => ResourceContents::text("This is the content of the static text resource.", uri),
        BINARY => ResourceContents::blob(PNG, uri).with_mime_type("image/png"),
        WATCHED => ResourceContents::text("Watched, and never different.", uri),
        _ => {
            let id = template_id(uri).ok_or_else(|| {
                let data = Some(json!({ "uri": uri }));
                ErrorData::resource_not_found(format!("no resource `{uri}`"), data)
            })?;
            let data = json!({
                "id": id, "templateTest": true, "data": format!("Data for ID: {id}"),
            });
            ResourceContents::text(data.to_string(), uri).with_mime_type("application/json")
        }
    };
    Ok(ReadResourceResult::new(vec![contents])
        .with_ttl_ms(FRESH_MS)
        .with_cache_scope(CacheScope::Public)
        .into())
}

fn template_id(uri: &str) -> Option<&str> {
    uri.strip_prefix(TEMPLATE.0)?.strip_suffix(TEMPLATE.1)
}

#[cfg(test)]
mod tests {
    use super::template_id;

    #[test]
    fn the_template_gives_its_id() {
        assert_eq!(template_id("test://template/123/data"), Some("123"));
        assert_eq!(template_id("test://template/123"), None);
    }
}
