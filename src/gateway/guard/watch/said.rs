//! What servers say in a call under guardrails: answers, and what they tell beside them.
//!
//! **Invariant:** what cannot be read in one way only is given to nobody who is guarded.

use std::sync::Arc;

use filters::guard::scope::Kind;
use filters::guard::verdict::Decision;
use filters::json::object::Object;
use filters::refusal::Refusal;
use filters::rpc::parse::{self, Answer, Body, Id};

use crate::gateway::guard::rounds;
use crate::gateway::guard::watch::{Judged, Watch};
use crate::telemetry::outcome::Outcome;

impl Watch {
    /// Whether any rule is about what the server tells beside its answers.
    pub(in crate::gateway) fn concerns_news(&self) -> bool {
        self.concerns(Kind::Results)
    }

    /// Looks at what a server tells beside its answers: its params instead, where they are changed.
    ///
    /// # Errors
    /// Where a guardrail refuses it, or finds in it what it does not know how to change there.
    pub(in crate::gateway) fn news(&self, params: &str) -> Result<Option<String>, Refusal> {
        let becomes = match self.judge(Kind::Results, Some(params), None)? {
            Judged::Becomes(becomes) => Some(becomes),
            Judged::Stays | Judged::Held(..) => None,
        };
        let left = becomes.as_deref().unwrap_or(params);
        let verdict = self
            .snapshot
            .guard
            .inspect(&self.subject(Kind::Results, Some(left)));
        match verdict.decision {
            Decision::Rewrite(rule, _) if rule.is_conditional() => Err(Refusal::Guardrail {
                message: rule.message(self.target()),
            }),
            Decision::Pass
            | Decision::Bypass(_)
            | Decision::Alert(_)
            | Decision::Rewrite(..)
            | Decision::Hold(_)
            | Decision::Block(_) => Ok(becomes),
        }
    }

    /// What a server said instead of a message; nothing where nobody may be told.
    pub(in crate::gateway) fn page(&self, text: &str, outcome: &mut Outcome) -> String {
        let is_answer = matches!(
            parse::message(text),
            Ok(parse::Message {
                body: Body::Response { .. },
                ..
            })
        );
        if is_answer {
            self.answer(text.to_owned(), Some(outcome))
        } else {
            String::new()
        }
    }

    /// An answer as the client gets it.
    pub(in crate::gateway) fn answer(&self, text: String, outcome: Option<&mut Outcome>) -> String {
        let Ok(message) = parse::message(&text) else {
            return unreadable();
        };
        let Body::Response { id, answer } = &message.body else {
            return unreadable();
        };
        let (name, value) = match answer {
            Answer::Result(result) => ("result", result.get()),
            Answer::Error(error) => ("error", error.get()),
        };
        let mut unheard = None;
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => unheard.insert(Outcome::begin(Arc::clone(&self.client))),
        };
        match self.said(value, outcome) {
            Ok(said) => {
                let next = rounds::next(self, name, said.as_deref().unwrap_or(value));
                let Some(becomes) = next.or(said) else {
                    return text;
                };
                let mut object = Object::read(&text).unwrap_or_default();
                object.set(name, becomes);
                object.write()
            }
            Err(refusal) => {
                outcome.reason = Some(refusal.label());
                refusal.to_json(id.as_ref().and_then(|id| Id::from_json(id.as_json())))
            }
        }
    }

    /// A result or an error as the client gets it; nothing where that is as it is.
    fn said(&self, value: &str, outcome: &mut Outcome) -> Result<Option<String>, Refusal> {
        let mut said = None;
        let may_ask = self.concerns(Kind::Sampling) || self.concerns(Kind::Elicitation);
        if may_ask
            && let Some(mut object) = Object::read(value)
            && let Some(requests) = object.get("inputRequests").map(str::to_owned)
            && let Some(changed) = self.requests(&requests)?
        {
            object.set("inputRequests", changed);
            said = Some(object.write());
        }
        let value = said.as_deref().unwrap_or(value);
        match self.judge(Kind::Results, Some(value), Some(outcome))? {
            Judged::Becomes(becomes) => Ok(Some(becomes)),
            Judged::Stays | Judged::Held(..) => Ok(said),
        }
    }

    /// What a modern server asks before it answers.
    fn requests(&self, requests: &str) -> Result<Option<String>, Refusal> {
        let read = Object::read(requests).unwrap_or_default();
        let mut object = read.clone();
        let mut is_changed = false;
        for (key, request) in read.members() {
            let mut request = Object::read(request).unwrap_or_default();
            let kind = request
                .text("method")
                .and_then(|method| Kind::asked(&method));
            let params = request.get("params").unwrap_or("{}").to_owned();
            if let Some(kind) = kind
                && let Judged::Becomes(becomes) = self.judge(kind, Some(&params), None)?
            {
                request.set("params", becomes);
                object.set(key.to_owned(), request.write());
                is_changed = true;
            }
        }
        Ok(is_changed.then(|| object.write()))
    }
}

/// What is given for an answer that two readers may take differently, or for none.
fn unreadable() -> String {
    let message = "the server's answer cannot be read, so guardrails refuse it".to_owned();
    Refusal::Guardrail { message }.to_json(None)
}
