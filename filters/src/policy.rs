//! All policy on one message, in the order in which it is asked, and why it says what it says.
//!
//! Requests are decided stage by stage on their way (`gateway`); this asks the same functions one after
//! the other, for somebody who wants to know beforehand. Nothing is counted, charged, told or held.
//!
//! **Invariant:** nothing is decided here: every stage's answer is that of the function that enforces it,
//! and they are asked in the order in which requests meet them: scopes of the endpoint, access rules,
//! scopes, tool lock, guardrails, limits, and guardrails again for the answer.

mod inspect;

use std::borrow::Cow;
use std::fmt;

use crate::acl;
use crate::acl::explain::{Step, steps};
use crate::acl::need::Need;
use crate::guard;
use crate::guard::verdict::{Considered, Decision, Verdict};
use crate::identity::Principal;
use crate::identity::scope;
use crate::json::object::Object;
use crate::lock::refused::{Cause, Locked};
use crate::mcp::call::Call;
use crate::mcp::header::Headers;
use crate::mcp::method::Method;
use crate::rate;
use crate::rate::fare;
use crate::rate::rules::Bill;
use crate::refusal::Refusal;
use crate::route::names::{Naming, Strategy};
use crate::route::uri;
use crate::rpc::parse;

/// The policies of one configuration.
#[derive(Clone, Copy, Debug)]
pub struct Policies<'p> {
    /// Who may use what.
    pub acl: &'p acl::Rules,
    /// Which scopes credentials must carry.
    pub scopes: &'p scope::Rules,
    /// How often anything may be done, where that is limited.
    pub limits: Option<&'p rate::rules::Rules>,
    /// What may be said.
    pub guard: &'p guard::rules::Rules,
    /// Which tools are as they were approved, where anybody knows.
    pub lock: Option<&'p dyn Lock>,
    /// The servers there are, and how their names are told apart.
    pub naming: &'p Naming,
}

/// What is known of tools and their approvals.
pub trait Lock: fmt::Debug {
    /// What the tool lock says of a call; nothing where it does not look at the server's tools.
    fn standing(&self, server: &str, tool: &str) -> Option<Standing>;
}

/// What the tool lock says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The tool is as it was approved.
    Approved,
    /// It is not, and the call is refused.
    Refused(Cause),
    /// It is not, and the call passes.
    Warned(Cause),
    /// The server's tools were not listed yet: a call waits for that.
    Unlisted,
}

/// Who would send what.
#[derive(Clone, Debug)]
pub struct Question<'q> {
    /// Whose message it is.
    pub principal: &'q Principal,
    /// The server that it is sent to; without one it is sent to all of them, in the spelling that is
    /// used there.
    pub server: Option<&'q str>,
    /// The message, JSON text.
    pub message: &'q str,
    /// What the server would answer: the value of `result`, JSON text.
    pub result: Option<&'q str>,
}

/// What would become of a message.
#[derive(Debug)]
pub struct Explanation<'p> {
    /// In one word.
    pub outcome: Outcome,
    /// What its client would be told instead of an answer. Not so where a guardrail refuses or holds it:
    /// what is said then is the rule's.
    pub refusal: Option<Refusal>,
    /// The server that it would go to.
    pub server: String,
    /// What each stage says, up to one that refuses.
    pub stages: Vec<Stage<'p>>,
}

/// What would become of a message, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passes.
    Allow,
    /// It passes, and a guardrail tells of it.
    Alert,
    /// It passes, or its answer does, otherwise than it is.
    Transform,
    /// A guardrail holds it until somebody approves.
    RequireApproval,
    /// A guardrail refuses it, or its answer.
    Block,
    /// The access rules deny it.
    Deny,
    /// Its sender is not told that there is such a server, or there is none.
    UnknownServer,
    /// Its sender's credential lacks scopes.
    InsufficientScope,
    /// The tool lock refuses it.
    Locked,
    /// It is not what it should be.
    Invalid,
}

/// What one stage says.
#[derive(Debug)]
pub enum Stage<'p> {
    /// The access rules.
    Access {
        /// Every policy and rule that was considered.
        considered: Vec<Step>,
        /// What would have been denied, were the rules enforced.
        shadowed: Option<String>,
        /// Whether it passes.
        is_passed: bool,
    },
    /// The scopes that are needed, divided by spaces.
    Scopes {
        /// All of them.
        required: String,
        /// Whether the credential carries them.
        is_passed: bool,
    },
    /// The tool lock.
    Lock(Standing),
    /// What it would pay.
    Limits(Vec<Fare>),
    /// What guardrails say of the message.
    Request(Inspection<'p>),
    /// What they say of its answer.
    Result(Inspection<'p>),
}

/// A limit that a message would be charged to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fare {
    /// The limit: `client/minute`.
    pub label: String,
    /// How many calls it allows.
    pub n_calls: u32,
    /// In how many seconds.
    pub window_seconds: u64,
}

/// What guardrails say of something.
#[derive(Debug)]
pub struct Inspection<'p> {
    /// What they decide.
    pub verdict: Verdict<'p>,
    /// What each rule had to do with it.
    pub considered: Vec<Considered<'p>>,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Allow,
        Self::Alert,
        Self::Transform,
        Self::RequireApproval,
        Self::Block,
        Self::Deny,
        Self::UnknownServer,
        Self::InsufficientScope,
        Self::Locked,
        Self::Invalid,
    ];

    /// As it is written.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Alert => "alert",
            Self::Transform => "transform",
            Self::RequireApproval => "require_approval",
            Self::Block => "block",
            Self::Deny => "deny",
            Self::UnknownServer => "unknown_server",
            Self::InsufficientScope => "insufficient_scope",
            Self::Locked => "locked",
            Self::Invalid => "invalid",
        }
    }

    /// The outcome of that spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.label() == text)
    }

    fn of(decision: &Decision<'_>) -> Self {
        match decision {
            Decision::Pass | Decision::Bypass(_) => Self::Allow,
            Decision::Alert(_) => Self::Alert,
            Decision::Rewrite(..) => Self::Transform,
            Decision::Hold(_) => Self::RequireApproval,
            Decision::Block(_) => Self::Block,
        }
    }

    /// Whether nothing follows it.
    fn is_end(self) -> bool {
        match self {
            Self::Allow | Self::Alert | Self::Transform => false,
            Self::RequireApproval
            | Self::Block
            | Self::Deny
            | Self::UnknownServer
            | Self::InsufficientScope
            | Self::Locked
            | Self::Invalid => true,
        }
    }

    fn refused(refusal: &Refusal) -> Self {
        if matches!(refusal, Refusal::AccessDenied(_)) {
            Self::Deny
        } else if matches!(refusal, Refusal::ServerUnknown { .. }) {
            Self::UnknownServer
        } else if matches!(refusal, Refusal::ScopeInsufficient { .. }) {
            Self::InsufficientScope
        } else if matches!(refusal, Refusal::ToolLocked(_)) {
            Self::Locked
        } else {
            Self::Invalid
        }
    }
}

/// Asks every policy what it says of a message.
#[must_use]
pub fn explain<'p>(policies: &Policies<'p>, question: &Question<'_>) -> Explanation<'p> {
    let mut told = Explanation {
        outcome: Outcome::Allow,
        refusal: None,
        server: question.server.unwrap_or_default().to_owned(),
        stages: Vec::new(),
    };
    if let Err(refusal) = walk(policies, question, &mut told) {
        told.outcome = Outcome::refused(&refusal);
        told.refusal = Some(refusal);
    }
    told
}

fn walk<'p>(
    policies: &Policies<'p>,
    question: &Question<'_>,
    told: &mut Explanation<'p>,
) -> Result<(), Refusal> {
    let text = undated(question.message);
    let message = parse::message(&text).map_err(Refusal::from)?;
    let call = Call::classify(message, &Headers::default())?;
    let (server, inner) = aim(policies.naming, question.server, &call)?;
    told.server = server.clone();
    let principal = question.principal;
    enter(policies, question, told)?;
    access(policies, principal, &server, (&call, inner), told)?;
    let tool = fare::tool(&call).map(|tool| inner.unwrap_or(tool));
    let scopes = policies.scopes;
    let checked = scopes.check(principal, Some(&server), tool);
    told.stages.push(Stage::Scopes {
        required: scopes.required(Some(&server), tool),
        is_passed: checked.is_ok(),
    });
    checked?;
    unlock(policies, &server, tool, told)?;
    inspect::request(policies, question, (&server, &call, inner), told);
    if told.outcome.is_end() {
        return Ok(());
    }
    if let Some(limits) = policies.limits.filter(|_| fare::is_charged(&call)) {
        let bill = limits.bill(principal, Some(&server), tool);
        told.stages.push(Stage::Limits(fares(&bill)));
    }
    inspect::result(policies, question, (&server, &call, inner), told);
    Ok(())
}

/// The scopes of the endpoint, which are asked for before the message is read: not those of a server
/// that the caller may not know of.
fn enter(
    policies: &Policies<'_>,
    question: &Question<'_>,
    told: &mut Explanation<'_>,
) -> Result<(), Refusal> {
    let principal = question.principal;
    let seen = |id: &&str| policies.acl.sees(principal, id);
    let server = question.server.filter(seen);
    let checked = policies.scopes.check(principal, server, None);
    if checked.is_err() {
        told.stages.push(Stage::Scopes {
            required: policies.scopes.required(server, None),
            is_passed: false,
        });
    }
    checked
}

/// The tool lock, where it looks at what is called.
fn unlock(
    policies: &Policies<'_>,
    server: &str,
    tool: Option<&str>,
    told: &mut Explanation<'_>,
) -> Result<(), Refusal> {
    let Some((lock, tool)) = policies.lock.zip(tool) else {
        return Ok(());
    };
    let Some(standing) = lock.standing(server, tool) else {
        return Ok(());
    };
    told.stages.push(Stage::Lock(standing));
    match standing {
        Standing::Approved | Standing::Warned(_) | Standing::Unlisted => Ok(()),
        Standing::Refused(cause) => {
            let locked = Locked::new(server, tool, cause);
            Err(Refusal::ToolLocked(Box::new(locked)))
        }
    }
}

/// A message without what names its revision: policy is the same for all, and headers are not asked
/// about.
fn undated(message: &str) -> Cow<'_, str> {
    let without = || {
        let mut whole = Object::read(message)?;
        let params = whole.get("params").map(str::to_owned)?;
        let mut params = Object::read(&params)?;
        params.remove("_meta").then(|| {
            whole.set("params", params.write());
            whole.write()
        })
    };
    without().map_or(Cow::Borrowed(message), Cow::Owned)
}

/// The server that a message goes to, and what it is aimed at as that server spells it, where that is
/// another spelling.
fn aim<'c>(
    naming: &Naming,
    server: Option<&str>,
    call: &'c Call<'_>,
) -> Result<(String, Option<&'c str>), Refusal> {
    let unknown = |server: &str| Refusal::ServerUnknown {
        server: server.to_owned(),
    };
    if let Some(server) = server {
        let known = naming.server(server).ok_or_else(|| unknown(server))?;
        return Ok((known.to_owned(), None));
    }
    let what = "without `server` it must be aimed at something whose name begins with \
                its server's id";
    let outer = call.target.as_ref().map(|target| target.name());
    let outer = outer.ok_or(Refusal::ParamsInvalid { what })?;
    let is_uri = matches!(
        call.method,
        Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe
    );
    match naming.strategy() {
        Strategy::Prefix if is_uri => {
            let (server, inner) = uri::split(outer).ok_or(Refusal::ParamsInvalid { what })?;
            let known = naming.server(&server).ok_or_else(|| unknown(&server))?;
            Ok((known.to_owned(), Some(inner)))
        }
        Strategy::Prefix => {
            let (server, inner) = naming.split(outer).ok_or(Refusal::ParamsInvalid { what })?;
            Ok((server.to_owned(), Some(inner)))
        }
        Strategy::None => Err(Refusal::ParamsInvalid {
            what: "only the servers' lists tell whose this is: say `server`",
        }),
    }
}

fn access<'p>(
    policies: &Policies<'p>,
    principal: &Principal,
    server: &str,
    (call, inner): (&Call<'_>, Option<&str>),
    told: &mut Explanation<'p>,
) -> Result<(), Refusal> {
    let need = || match inner {
        Some(inner) => Need::at(call, inner),
        None => Need::of(call),
    };
    let permitted = acl::permit(policies.acl, principal, server, need);
    if policies.acl.is_on() {
        let shadowed = permitted.as_ref().ok().and_then(acl::Permit::shadowed);
        told.stages.push(Stage::Access {
            considered: steps(policies.acl, principal, server, &need()),
            shadowed: shadowed.map(acl::denial::Denial::rule),
            is_passed: permitted.is_ok(),
        });
    }
    permitted.map(|_| ())
}

fn fares(bill: &Bill<'_>) -> Vec<Fare> {
    let buckets = bill.buckets();
    buckets
        .map(|bucket| Fare {
            label: bucket.rule.label.to_string(),
            n_calls: bucket.rule.limit.n_calls,
            window_seconds: bucket.rule.limit.window.as_secs(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
