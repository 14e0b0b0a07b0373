//! Files of guardrail rules that a configuration includes.
//!
//! A pack is a YAML file with `rules`, written as in the configuration itself.

use std::io::Read;
use std::path::Path as File;

use filters::problem::{Problem, Problems};
use serde_json::Value as Json;

use crate::config::path::Path;
use crate::config::raw::guard::{Guardrails, Rule};
use crate::config::schema;
use crate::config::source::{Source, Variables};
use crate::config::walk;
use crate::config::yaml;
use crate::config::yaml::TEXT_BYTES_MAX;

/// Reads the packs that `guardrails` names, relative to the configuration file.
pub fn include(
    guardrails: &mut Guardrails,
    source: &Source,
    variables: &Variables,
    problems: &mut Problems,
) {
    let folder = source.path.parent().unwrap_or_else(|| File::new(""));
    let names = guardrails.include.iter().enumerate();
    let included = names.map(|(index, name)| {
        let at = Path::root().key("guardrails").key("include").index(index);
        match read(&folder.join(name)) {
            Ok(text) => rules(&text, name, &at, variables, problems),
            Err(error) => {
                problems.error(at.as_str(), format!("cannot be read: {name}: {error}"));
                Vec::new()
            }
        }
    });
    guardrails.included = included.collect();
}

fn read(path: &File) -> std::io::Result<String> {
    let mut text = String::new();
    // One byte more than allowed, so that the reader can tell "too large" from "just fits".
    let max = u64::try_from(TEXT_BYTES_MAX).unwrap_or(u64::MAX);
    std::fs::File::open(path)?
        .take(max.saturating_add(1))
        .read_to_string(&mut text)?;
    Ok(text)
}

/// The rules of a pack; what is wrong with them is told with the file's name and line.
fn rules(
    text: &str,
    name: &str,
    at: &Path,
    variables: &Variables,
    problems: &mut Problems,
) -> Vec<Rule> {
    let mut found = Problems::default();
    let values = yaml::parse(text, &mut found).and_then(|root| {
        let schema = pack_schema();
        let (mut values, _) = walk::check(&schema, &root, variables, &mut found);
        values.get_mut("rules").map(Json::take)
    });
    for problem in found.into_vec() {
        tell(problem, name, at, problems);
    }
    let rules = values.and_then(|values| serde_json::from_value(values).ok());
    rules.unwrap_or_else(|| {
        if !problems.has_errors() {
            problems.warning(at.as_str(), format!("{name} has no rules"));
        }
        Vec::new()
    })
}

/// `rules`, as in the configuration itself, and nothing else.
fn pack_schema() -> Json {
    let rules = schema::schema().pointer("/properties/guardrails/properties/rules");
    serde_json::json!({
        "type": "object",
        "properties": { "rules": rules },
        "required": ["rules"],
    })
}

fn tell(problem: Problem, name: &str, at: &Path, problems: &mut Problems) {
    let place = problem
        .place
        .map_or_else(String::new, |place| format!(", {place}"));
    let message = format!("{name}{place}: {}", problem.message);
    let path = match problem.path.as_str() {
        "" => at.as_str().to_owned(),
        inside => format!("{}.{inside}", at.as_str()),
    };
    problems.add(Problem {
        path,
        message,
        place: None,
        cause: None,
        ..problem
    });
}
