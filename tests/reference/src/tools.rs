//! The catalogue of tools, and the way from a name to the group that runs it.

pub(crate) mod content;
mod events;
mod questions;
mod rounds;
mod tasks;
mod workbench;

use std::{collections::HashMap, sync::Arc};

use rmcp::{
    ErrorData,
    model::{Tool, object},
};
use serde_json::{Value, json};

use crate::{
    call::{Answer, Call, invalid},
    era::Era,
};

#[derive(Clone, Copy)]
enum Group {
    Content,
    Events,
    Questions,
    Rounds,
    Tasks,
    Workbench,
}

/// Every tool, in the order it is listed.
pub(crate) struct Catalog {
    tools: Vec<Tool>,
    places: HashMap<String, (Group, usize)>,
}

impl Catalog {
    pub(crate) fn new(era: Era) -> Self {
        // Tasks are an extension of the modern era.
        let tasks = if era == Era::Legacy {
            Vec::new()
        } else {
            tasks::tools()
        };
        let groups = [
            (Group::Content, content::tools()),
            (Group::Events, events::tools()),
            (Group::Questions, questions::tools()),
            (Group::Rounds, rounds::tools()),
            (Group::Tasks, tasks),
            (Group::Workbench, workbench::tools()),
        ];
        let mut catalog = Self {
            tools: Vec::new(),
            places: HashMap::new(),
        };
        for (group, tools) in groups {
            for tool in tools {
                catalog
                    .places
                    .insert(tool.name.to_string(), (group, catalog.tools.len()));
                catalog.tools.push(tool);
            }
        }
        catalog
    }

    pub(crate) fn all(&self) -> &[Tool] {
        &self.tools
    }

    pub(crate) fn tool(&self, name: &str) -> Option<&Tool> {
        let (_, place) = self.places.get(name)?;
        self.tools.get(*place)
    }

    pub(crate) async fn call(&self, call: Call<'_>) -> Answer {
        let Some((group, _)) = self.places.get(&call.tool) else {
            return Err(unknown(&call));
        };
        match group {
            Group::Content => content::call(&call),
            Group::Events => events::call(&call).await,
            Group::Questions => questions::call(&call).await,
            Group::Rounds => rounds::call(call).await,
            Group::Tasks => tasks::call(&call).await,
            Group::Workbench => workbench::call(&call).await,
        }
    }
}

fn unknown(call: &Call<'_>) -> ErrorData {
    invalid(format!("no tool `{}`", call.tool))
}

/// A tool whose input is an object with these properties.
fn tool(
    name: &'static str,
    description: &'static str,
    properties: Value,
    required: &[&str],
) -> Tool {
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    Tool::new(name, description, Arc::new(object(schema)))
}

/// A tool without input.
fn bare(name: &'static str, description: &'static str) -> Tool {
    tool(name, description, json!({}), &[])
}

#[cfg(test)]
mod tests {
    use super::Catalog;
    use crate::era::Era;

    #[test]
    fn no_two_tools_share_a_name() {
        let catalog = Catalog::new(Era::Dual);
        assert_eq!(catalog.places.len(), catalog.tools.len());
    }

    #[test]
    fn a_tool_is_found_under_its_own_name() {
        let catalog = Catalog::new(Era::Dual);
        for tool in catalog.all() {
            assert_eq!(catalog.tool(&tool.name), Some(tool));
        }
        assert_eq!(catalog.tool("nothing"), None);
    }
}
