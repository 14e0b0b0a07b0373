//! One call under guardrails: what is said in it, by either side.

mod listened;
mod said;

use std::borrow::Cow;
use std::sync::Arc;

use filters::guard::answer;
use filters::guard::rules::{Subject, Target};
use filters::guard::scope::{Kind, Kinds};
use filters::guard::verdict::{Cause, Decision};
use filters::json::object::Object;
use filters::mcp::method::Method;
use filters::refusal::Refusal;

use crate::gateway::exchange::Exchange;
use crate::gateway::guard::hold::{self, Held};
use crate::gateway::guard::rounds;
use crate::state::guard::approvals::Spent;
use crate::state::live::Live;
use crate::state::session::Reply as Answered;
use crate::state::snapshot::{Server, Snapshot};
use crate::telemetry::outcome::Outcome;

/// The rule's name where none decided.
pub(super) const DEFAULT: &str = "default_action";

/// One call that guardrails may be about.
#[derive(Clone)]
pub(in crate::gateway) struct Watch {
    pub(super) live: Arc<Live>,
    pub(super) snapshot: Arc<Snapshot>,
    /// The client's id, as far as that is proved.
    pub(super) client: Arc<str>,
    /// What tells the client from all others.
    pub(super) subject: Arc<str>,
    pub(super) server: Arc<Server>,
    pub(super) trace_id: String,
    pub(super) method: Method,
    /// The tool, prompt or URI; nothing where that is not known.
    pub(super) target: Option<String>,
    /// Its client's tenant, as far as that is proved.
    pub(super) tenant: Option<Arc<str>>,
    /// Whether its client may be asked for input before it is answered (2026-07-28).
    pub(super) has_rounds: bool,
    /// The approval that it made use of.
    pub(super) spent: Option<Spent>,
}

/// What became of something that was looked at.
enum Judged {
    /// It stays as it is.
    Stays,
    /// It is this, JSON text.
    Becomes(String),
    /// It is held by this rule.
    Held(Arc<str>, String),
}

impl Watch {
    /// A call to a server.
    pub(in crate::gateway) fn of(
        exchange: &Exchange,
        server: &Arc<Server>,
        method: Method,
        target: Option<&str>,
    ) -> Self {
        // A task's id says nothing of the tool that it belongs to.
        let is_named = !matches!(method, Method::Tasks | Method::SubscriptionsListen);
        let target = target.filter(|_| is_named);
        Self {
            live: Arc::clone(&exchange.live),
            snapshot: Arc::clone(&exchange.snapshot),
            client: Arc::clone(&exchange.principal.client),
            subject: Arc::clone(&exchange.subject),
            server: Arc::clone(server),
            trace_id: exchange.trace.id.clone(),
            method,
            target: target.map(str::to_owned),
            tenant: exchange.principal.tenant.clone(),
            has_rounds: false,
            spent: None,
        }
    }

    /// A call whose client may be asked for input, where that is one.
    pub(super) fn in_rounds(mut self, is_modern_request: bool) -> Self {
        self.has_rounds = is_modern_request && rounds::has(self.method);
        self
    }

    /// Notes the approval that its message made use of.
    pub(super) fn note(&mut self, spent: Option<&Spent>) {
        self.spent = spent.filter(|_| self.has_rounds).cloned();
    }

    fn subject<'a>(&'a self, kind: Kind, value: Option<&'a str>) -> Subject<'a> {
        let is_uri = kind == Kind::Resources || self.method.names_resource();
        Subject {
            kind,
            client: &self.client,
            server: &self.server.id,
            target: self.target.as_deref().map(|target| match is_uri {
                true => Target::Uri(target),
                false => Target::Name(target),
            }),
            value,
        }
    }

    /// Whether any rule is about something of this kind, whatever it says.
    fn concerns(&self, kind: Kind) -> bool {
        self.snapshot.guard.concern(&self.subject(kind, None))
    }

    /// Whether any rule is about what the server says in this call.
    pub(in crate::gateway) fn concerns_answer(&self) -> bool {
        let has_result = Kind::of(self.method).is_some()
            || matches!(self.method, Method::Tasks | Method::SubscriptionsListen);
        // What its server asks before it answers belongs to what was approved.
        self.spent.is_some()
            || has_result
                && [Kind::Results, Kind::Sampling, Kind::Elicitation]
                    .into_iter()
                    .any(|kind| self.concerns(kind))
    }

    /// Looks at a request's params: what they are instead, where anything in them is changed.
    ///
    /// # Errors
    /// Where a guardrail refuses or holds it.
    pub(in crate::gateway) fn request(
        &self,
        exchange: &mut Exchange,
        params: Option<&str>,
    ) -> Result<Option<String>, Refusal> {
        let text = params.unwrap_or("{}");
        if self.method == Method::SubscriptionsListen {
            return self.listened(exchange, text);
        }
        let kind = Kind::of(self.method).filter(|kind| self.concerns(*kind));
        let may_answer = self.concerns(Kind::Sampling) || self.concerns(Kind::Elicitation);
        let returned = rounds::returned(self, text)?;
        if kind.is_none() && !may_answer && returned.is_none() {
            return Ok(None);
        }
        let mut is_changed = returned.is_some();
        let (turn, text) = match returned {
            Some((turn, text)) => (Some(turn), Cow::Owned(text)),
            None => (None, Cow::Borrowed(text)),
        };
        let mut object = Object::read(&text).unwrap_or_default();
        if let Some(kind) = kind {
            let value = match kind {
                Kind::Resources => Some(&*text),
                Kind::Calls
                | Kind::Prompts
                | Kind::Sampling
                | Kind::Elicitation
                | Kind::Results => object.get("arguments"),
            };
            match self.judge(kind, value, Some(&mut exchange.outcome))? {
                Judged::Stays => {}
                Judged::Becomes(becomes) if kind == Kind::Resources => return Ok(Some(becomes)),
                Judged::Becomes(becomes) => {
                    object.set("arguments", becomes);
                    is_changed = true;
                }
                Judged::Held(rule, message) => {
                    let held = Held {
                        kind,
                        rule,
                        message,
                        target: self.target().to_owned(),
                        value,
                        turn,
                        can_ask: self.has_rounds && rounds::can_ask(&object),
                    };
                    hold::admit(exchange, self, held)?;
                }
            }
        }
        // What a modern client was asked comes back with the request that it was asked in.
        if may_answer
            && let Some(responses) = object.get("inputResponses").map(str::to_owned)
            && let Some(changed) = self.responses(&responses)?
        {
            object.set("inputResponses", changed);
            is_changed = true;
        }
        Ok(is_changed.then(|| object.write()))
    }

    pub(super) fn target(&self) -> &str {
        self.target.as_deref().unwrap_or_default()
    }

    /// Looks at a modern client's answers to what it was asked.
    fn responses(&self, responses: &str) -> Result<Option<String>, Refusal> {
        let read = Object::read(responses).unwrap_or_default();
        let mut object = read.clone();
        let mut is_changed = false;
        for (key, response) in read.members() {
            if let Some(becomes) = self.answered(answer::kinds(response), response)? {
                object.set(key.to_owned(), becomes);
                is_changed = true;
            }
        }
        Ok(is_changed.then(|| object.write()))
    }

    /// Looks at a client's answer to what its server asked: what the server gets instead. One that a
    /// guardrail refuses becomes an error, so that the server does not wait for ever.
    pub(in crate::gateway) fn client_answer(
        &self,
        kind: Option<Kind>,
        answer: &Answered,
    ) -> Option<Answered> {
        let Answered::Result(result) = answer else {
            return None;
        };
        let kinds = match kind {
            Some(kind) => Kinds::default().with(kind),
            None => answer::kinds(result),
        };
        match self.answered(kinds, result) {
            Ok(becomes) => becomes.map(Answered::Result),
            Err(refusal) => Some(Answered::Error(error_object(&refusal))),
        }
    }

    /// Looks at a client's answer as everything that it may be meant as: what it is instead, where
    /// anything in it is changed.
    fn answered(&self, kinds: Kinds, result: &str) -> Result<Option<String>, Refusal> {
        let mut changed: Option<String> = None;
        for kind in Kind::ALL.into_iter().filter(|kind| kinds.has(*kind)) {
            let result = changed.as_deref().unwrap_or(result);
            match self.judge(kind, Some(result), None)? {
                Judged::Becomes(becomes) => changed = Some(becomes),
                Judged::Stays | Judged::Held(..) => {}
            }
        }
        Ok(changed)
    }

    /// Looks at what a server asks of a client: its params instead, where they are changed.
    ///
    /// # Errors
    /// Where a guardrail refuses it.
    pub(in crate::gateway) fn question(
        &self,
        method: &str,
        params: &str,
    ) -> Result<Option<String>, Refusal> {
        // What is no known question is words like any other.
        let kind = Kind::asked(method).unwrap_or(Kind::Results);
        match self.judge(kind, Some(params), None)? {
            Judged::Becomes(becomes) => Ok(Some(becomes)),
            Judged::Stays | Judged::Held(..) => Ok(None),
        }
    }

    /// Under the configuration in force by now.
    pub(in crate::gateway) fn under(mut self, snapshot: Arc<Snapshot>) -> Self {
        self.snapshot = snapshot;
        self
    }

    /// Decides, and tells of it.
    fn judge(
        &self,
        kind: Kind,
        value: Option<&str>,
        outcome: Option<&mut Outcome>,
    ) -> Result<Judged, Refusal> {
        let subject = self.subject(kind, value);
        let verdict = self.snapshot.guard.inspect(&subject);
        for rehearsed in &verdict.rehearsed {
            self.tell(kind, rehearsed, None);
        }
        if matches!(verdict.decision, Decision::Pass | Decision::Bypass(_)) {
            return Ok(Judged::Stays);
        }
        self.tell(kind, &verdict.decision, Some(value));
        if let Some(outcome) = outcome {
            let rule = verdict.decision.rule();
            let rule = rule.map_or_else(|| DEFAULT.into(), |rule| Arc::clone(&rule.name));
            outcome.guardrail = Some((rule, verdict.decision.label()));
        }
        let refused = |message| Err(Refusal::Guardrail { message });
        match verdict.decision {
            Decision::Pass | Decision::Bypass(_) | Decision::Alert(_) => Ok(Judged::Stays),
            Decision::Rewrite(_, becomes) if Some(&*becomes) == value => Ok(Judged::Stays),
            Decision::Rewrite(_, becomes) => Ok(Judged::Becomes(becomes)),
            Decision::Hold(rule) => {
                let message = rule.message(self.target());
                Ok(Judged::Held(Arc::clone(&rule.name), message))
            }
            Decision::Block(Cause::Rule(rule)) => refused(rule.message(self.target())),
            Decision::Block(Cause::Opaque(rule, opaque)) => refused(format!(
                "guardrail \"{}\" cannot be applied to {:?}, so it is refused: {}",
                rule.name,
                self.target(),
                opaque.describe()
            )),
            Decision::Block(Cause::Default) => refused(format!(
                "no guardrail allows {:?}, and guardrails.default_action is block",
                self.target()
            )),
        }
    }
}

/// A refusal as a JSON-RPC error object.
pub(super) fn error_object(refusal: &Refusal) -> String {
    let message = refusal.to_json(None);
    let message = Object::read(&message);
    let error = message.as_ref().and_then(|message| message.get("error"));
    error.unwrap_or("{}").to_owned()
}
