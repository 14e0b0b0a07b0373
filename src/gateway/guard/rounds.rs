//! The rounds of one call: what its client comes back with once it was told that the call waits for an
//! approval, and what the server of an approved call asks before it answers.
//!
//! **Invariant:** a state of ours never reaches a server, and a server's own state reaches it as it came.
//! **Invariant:** a state is of use to the client it was made for, for the same tool and arguments, and
//! only here: what it is about is in this instance's memory.

use filters::guard::dialog::{self, Choice, Stage, State};
use filters::guard::scope::Kind;
use filters::json::object::Object;
use filters::mcp::capability::{self, Need};
use filters::mcp::input;
use filters::mcp::method::Method;
use filters::refusal::Refusal;
use filters::seal;

use crate::gateway::exchange::Exchange;
use crate::gateway::guard::hold;
use crate::gateway::guard::watch::Watch;
use crate::state::guard::approvals::record::{Approval, Round};

/// The member of params and results that carries a state.
const STATE: &str = "requestState";
const RESPONSES: &str = "inputResponses";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// What a client came back with.
pub(super) struct Turn {
    /// The approval that it is about.
    pub(super) approval: String,
    pub(super) step: Step,
}

/// Where the call is.
pub(super) enum Step {
    /// Its client was told that it waits; what its user did with that, as far as they say.
    Told(Option<Choice>),
    /// Its server asked something in this round.
    Begun(Round),
}

/// Whether a method may be answered with a request for input (MRTR).
pub(super) fn has(method: Method) -> bool {
    matches!(
        method,
        Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead
    )
}

/// Whether a request may bring a state of ours, also where no rule is about its server any more. Costs
/// nothing before the first was given out.
pub(super) fn may_return(exchange: &Exchange, params: Option<&str>) -> bool {
    exchange.live.guard.approvals.has_states() && params.is_some_and(|text| text.contains(STATE))
}

/// Whether the client of a request can be asked: it says so (E54), and does not come back with something
/// that is its server's, which the question would take the place of.
pub(super) fn can_ask(params: &Object<'_>) -> bool {
    let meta = params.get("_meta").and_then(Object::read);
    let able = meta.as_ref().and_then(|meta| meta.get(CAPABILITIES));
    able.is_some_and(|able| capability::declares(able, Need::ElicitationForm))
        && params.get(STATE).is_none()
        && params.get(RESPONSES).is_none()
}

/// What a client came back with, and its params as they go on, where it brings a state of ours.
///
/// # Errors
/// Where the state was made for somebody else, or for another call.
pub(super) fn returned(watch: &Watch, params: &str) -> Result<Option<(Turn, String)>, Refusal> {
    let kind = Kind::of(watch.method).filter(|_| watch.has_rounds);
    let Some(kind) = kind.filter(|_| watch.live.guard.approvals.has_states()) else {
        return Ok(None);
    };
    let mut params = Object::read(params).unwrap_or_default();
    let sealed = params.text(STATE);
    let opened = sealed.and_then(|text| watch.live.own_key().open(dialog::CONTEXT, &text));
    let Some(state) = opened.and_then(|bytes| State::read(&bytes)) else {
        return Ok(None);
    };
    let step = match state.stage {
        Stage::Held => {
            let responses = params.take(RESPONSES);
            params.remove(STATE);
            Step::Told(responses.and_then(|responses| dialog::choice(&responses)))
        }
        Stage::Begun { round, state } => {
            match state {
                Some(own) => params.set(STATE, own),
                None => drop(params.remove(STATE)),
            }
            Step::Begun(round)
        }
    };
    let text = params.write();
    let value = match kind {
        Kind::Resources => Some(&*text),
        Kind::Calls | Kind::Prompts | Kind::Sampling | Kind::Elicitation | Kind::Results => {
            params.get("arguments")
        }
    };
    if hold::fingerprint(watch, kind, value) != Some(state.fingerprint) {
        return Err(Refusal::StateInvalid);
    }
    let approval = state.approval;
    Ok(Some((Turn { approval, step }, text)))
}

/// The state of a client that is told that its call waits.
pub(super) fn seal_told(watch: &Watch, approval: &Approval) -> Option<String> {
    let state = State {
        fingerprint: approval.petition.fingerprint,
        approval: approval.id.clone(),
        stage: Stage::Held,
    };
    let sealed = seal(watch, &state)?;
    watch.live.guard.approvals.note_state();
    Some(sealed)
}

/// A result that asks for input, in a call that was approved: with a state of ours around its server's,
/// so that the next round is known to belong to what was approved. Nothing for any other answer.
pub(super) fn next(watch: &Watch, member: &str, value: &str) -> Option<String> {
    let spent = watch.spent.as_ref().filter(|_| member == "result")?;
    let own = input::required(value)?.state.map(str::to_owned);
    let mut round = [0; 16];
    getrandom::fill(&mut round).ok()?;
    let state = State {
        fingerprint: spent.fingerprint,
        approval: spent.id.clone(),
        stage: Stage::Begun { round, state: own },
    };
    let sealed = seal(watch, &state)?;
    let is_begun = watch.live.guard.approvals.begin_round(&spent.id, round);
    is_begun.then(|| {
        let mut result = Object::read(value).unwrap_or_default();
        result.set_text(STATE, &sealed);
        result.write()
    })
}

fn seal(watch: &Watch, state: &State) -> Option<String> {
    let mut nonce = [0; seal::NONCE_BYTES];
    getrandom::fill(&mut nonce).ok()?;
    let key = watch.live.own_key();
    Some(key.seal(nonce, dialog::CONTEXT, &state.to_bytes()))
}
