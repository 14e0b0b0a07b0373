//! What guardrails say of a message, and of its answer.

use crate::acl::need::Need;
use crate::guard::rules::{Subject, Target};
use crate::guard::scope::Kind;
use crate::json::object::Object;
use crate::mcp::call::Call;
use crate::policy::{Explanation, Inspection, Outcome, Policies, Question, Stage};

/// A call at a server, and what it is aimed at there, where that is another spelling.
type Aimed<'a> = (&'a str, &'a Call<'a>, Option<&'a str>);

/// What guardrails say of a message, as it is: also of what names its revision.
pub(super) fn request<'p>(
    policies: &Policies<'p>,
    question: &Question<'_>,
    (server, call, inner): Aimed<'_>,
    told: &mut Explanation<'p>,
) {
    if !policies.guard.spec().is_enabled {
        return;
    }
    let client = &*question.principal.client;
    if let Need::Listen { uris, .. } = Need::of(call) {
        // Each is judged as if it was subscribed to by itself.
        for uri in uris {
            let mut params = Object::default();
            params.set_text("uri", &uri);
            let subject = Subject {
                kind: Kind::Resources,
                client,
                server,
                target: Some(Target::Uri(&uri)),
                value: Some(&params.write()),
            };
            ask(policies, &subject, told);
            if told.outcome.is_end() {
                return;
            }
        }
        return;
    }
    let Some(kind) = Kind::of(call.method) else {
        return;
    };
    let message = Object::read(question.message).unwrap_or_default();
    let params = message.get("params").unwrap_or("{}");
    let members = Object::read(params);
    let value = match kind {
        Kind::Resources => Some(params),
        Kind::Calls | Kind::Prompts | Kind::Sampling | Kind::Elicitation | Kind::Results => {
            members.as_ref().and_then(|params| params.get("arguments"))
        }
    };
    let subject = Subject {
        kind,
        client,
        server,
        target: target(call, inner),
        value,
    };
    ask(policies, &subject, told);
}

/// What guardrails say of a message's answer, where there is one.
pub(super) fn result<'p>(
    policies: &Policies<'p>,
    question: &Question<'_>,
    (server, call, inner): Aimed<'_>,
    told: &mut Explanation<'p>,
) {
    let asked = question.result.filter(|_| policies.guard.spec().is_enabled);
    let Some(result) = asked else {
        return;
    };
    let subject = Subject {
        kind: Kind::Results,
        client: &question.principal.client,
        server,
        target: target(call, inner),
        value: Some(result),
    };
    let inspection = inspect(policies, &subject, told);
    told.stages.push(Stage::Result(inspection));
}

fn ask<'p>(policies: &Policies<'p>, subject: &Subject<'_>, told: &mut Explanation<'p>) {
    let inspection = inspect(policies, subject, told);
    told.stages.push(Stage::Request(inspection));
}

fn inspect<'p>(
    policies: &Policies<'p>,
    subject: &Subject<'_>,
    told: &mut Explanation<'p>,
) -> Inspection<'p> {
    let (verdict, considered) = policies.guard.explain(subject);
    let outcome = Outcome::of(&verdict.decision);
    if outcome != Outcome::Allow {
        told.outcome = outcome;
    }
    Inspection {
        verdict,
        considered,
    }
}

fn target<'a>(call: &'a Call<'_>, inner: Option<&'a str>) -> Option<Target<'a>> {
    let target = inner.or_else(|| Some(call.target.as_ref()?.name()));
    target.map(|target| match call.method.names_resource() {
        true => Target::Uri(target),
        false => Target::Name(target),
    })
}
