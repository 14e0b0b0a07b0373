//! What a client's answer to a server's question is, where nobody knows what was asked.
//!
//! **Invariant:** the client does not choose which rules look at its answer: one that a server may take
//! for either kind is looked at as both.

use crate::guard::scope::{Kind, Kinds};
use crate::json::object::Object;

/// What a sampled message has, besides its content.
const SAMPLED: [&str; 3] = ["role", "model", "stopReason"];
/// What the content of a message has, and that of a form need not.
const SPOKEN: [&str; 4] = ["type", "text", "data", "content"];

/// The kinds that a result may be meant as. None for one that says nothing of either: `{}`, roots.
#[must_use]
pub fn kinds(result: &str) -> Kinds {
    let Some(result) = Object::read(result) else {
        return Kinds::default()
            .with(Kind::Sampling)
            .with(Kind::Elicitation);
    };
    let has_action = has(&result, &["action"]);
    let contents = result
        .members()
        .filter(|(name, _)| name.eq_ignore_ascii_case("content"));
    // Every one of them: readers do not agree which counts.
    let mut contents = contents.map(|(_, content)| content);
    let is_sampled =
        has(&result, &SAMPLED) || contents.any(|content| !has_action || !is_plain_form(content));
    let kinds = [
        (Kind::Elicitation, has_action),
        (Kind::Sampling, is_sampled),
    ];
    let kinds = kinds.into_iter().filter(|(_, may_be)| *may_be);
    kinds.map(|(kind, _)| kind).collect()
}

/// Whether nobody takes it for what a model said.
fn is_plain_form(content: &str) -> bool {
    content == "null" || Object::read(content).is_some_and(|form| !has(&form, &SPOKEN))
}

/// Whether any of these is there, in whatever case.
fn has(object: &Object<'_>, wanted: &[&str]) -> bool {
    object.members().any(|(name, _)| {
        let mut wanted = wanted.iter();
        wanted.any(|wanted| name.eq_ignore_ascii_case(wanted))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whatever_a_server_may_take_it_for() {
        use Kind::{Elicitation, Sampling};
        for (result, expected) in [
            ("{}", &[][..]),
            (r#"{"_meta":{"role":1}}"#, &[]),
            (r#"{"roots":[{"uri":"file:///a"}]}"#, &[]),
            (r#"{"action":"decline"}"#, &[Elicitation]),
            (r#"{"action":"cancel","content":null}"#, &[Elicitation]),
            (
                r#"{"action":"accept","content":{"name":"x"}}"#,
                &[Elicitation],
            ),
            (
                r#"{"role":"assistant","model":"m","content":{"type":"text","text":"x"}}"#,
                &[Sampling],
            ),
            (r#"{"content":{"type":"text","text":"x"}}"#, &[Sampling]),
            (r#"{"content":"x"}"#, &[Sampling]),
            (
                r#"{"role":"assistant","model":"m","content":{},"action":"x"}"#,
                &[Sampling, Elicitation],
            ),
            (
                r#"{"action":"accept","content":{"type":"text","text":"x"}}"#,
                &[Sampling, Elicitation],
            ),
            (
                r#"{"action":"accept","content":{"a":1},"content":["x"]}"#,
                &[Sampling, Elicitation],
            ),
            (
                r#"{"action":"accept","content":"x"}"#,
                &[Sampling, Elicitation],
            ),
            (
                r#"{"Action":"accept","Role":"x"}"#,
                &[Sampling, Elicitation],
            ),
            (r#"["x"]"#, &[Sampling, Elicitation]),
        ] {
            let expected: Kinds = expected.iter().copied().collect();
            assert_eq!(kinds(result), expected, "{result}");
        }
    }
}
