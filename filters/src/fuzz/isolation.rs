//! Many callers at one model cache, made of the real keys and the real rules of what is kept.

use std::collections::HashMap;

use crate::cache::admit;
use crate::cache::admit::Scope;
use crate::cache::key::Audience;
use crate::cache::key::Key;
use crate::cache::key::Material;
use crate::cache::key::Place;
use crate::cache::key::Prepared;
use crate::cache::policy::Policy;
use crate::cache::policy::Share;
use crate::fuzz::Served;
use crate::json::canonical::ignored::Ignored;
use crate::json::object;
use crate::mcp::method::Method;

/// Names that could pass for others if fields ran into each other.
const NAMES: [&str; 16] = [
    "",
    "a",
    "b",
    "ab",
    "ba",
    "a\0",
    "\0a",
    "\"",
    "\\",
    "a\",\"b",
    "anonymous",
    "a\u{b}\0\0\0\0\0\0\0\u{1}b",
    "\u{c}\0\0\0\0\0\0\0\u{1}b",
    "\u{9}\0\0\0\0\0\0\0\0",
    "é",
    "null",
];

/// Values of arguments: some mean the same, some nearly.
const VALUES: [&str; 16] = [
    "1",
    "1.0",
    "10e-1",
    "9007199254740992",
    "9007199254740993",
    "1e400",
    "null",
    "\"1\"",
    "\"\\u0061\"",
    "\"a\"",
    "\"\\ud800\"",
    "{}",
    r#"{"a":1,"a":2}"#,
    r#"{"b":1,"a":[{}]}"#,
    r#"{"a":[{}],"b":1}"#,
    "\"}},\\\"name\\\":\\\"b\"",
];

/// What comes first decides; where it ends, everything is zero.
struct Choices<'d>(&'d [u8]);

/// A question, and its params but for the subject.
type Asked = (Question, String);

impl<'d> Choices<'d> {
    fn next(&mut self) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first)
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let index = self.next() % all.len().max(1);
        all.get(index).copied()
    }

    fn name(&mut self) -> &'static str {
        self.of(&NAMES).unwrap_or_default()
    }

    fn maybe(&mut self) -> Option<&'static str> {
        let is_there = self.next() % 2 == 1;
        is_there.then(|| self.name())
    }
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Caller {
    client: &'static str,
    tenant: Option<&'static str>,
    credential: Option<&'static str>,
}

/// What is asked, as far as the model tells questions apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Question {
    server: &'static str,
    method: Method,
    target: Option<&'static str>,
    group: Option<&'static str>,
    capabilities: &'static str,
    /// What a member of `_meta` that is no standard's says.
    subject: Option<&'static str>,
}

/// An answer that is kept.
struct Entry {
    owner: Caller,
    question: Question,
    /// Who may have it, by what the server and the operator said.
    share: Share,
}

pub(super) fn run(data: &[u8]) -> Served {
    let mut choices = Choices(data);
    let mut kept: HashMap<Key, Entry> = HashMap::new();
    let mut served = Served::default();
    let mut scratch = Vec::new();
    let mut last: Option<Asked> = None;
    while !choices.0.is_empty() {
        let caller = Caller {
            client: choices.name(),
            tenant: choices.maybe(),
            credential: choices.maybe(),
        };
        let (question, rest) = asked(&mut choices, last.take());
        let params = with_subject(question.subject, &rest);
        let operator = choices.of(&[Share::Private, Share::Tenant, Share::Public]);
        let operator = operator.unwrap_or_default();
        let (scope, result) = result(&mut choices);
        let place = Place::new(question.server, b"");
        let material = material(&question, &place, &params);
        let Ok(prepared) = Prepared::new(&material, &mut scratch) else {
            continue;
        };
        last = Some((question, rest));
        let found = audiences(caller).find_map(|(_, audience)| kept.get(&prepared.key(audience)));
        if let Some(entry) = found {
            check(entry, caller, question, &mut served);
            continue;
        }
        let Ok(hints) = admit::admit(question.method, Some(&params), &result) else {
            continue;
        };
        let policy = Policy {
            share: operator,
            ..Policy::default()
        };
        let share = policy.share(question.method, hints.scope);
        let audience = audiences(caller).find(|(own, _)| *own == share);
        let audience = audience.map_or_else(|| private(caller), |(_, audience)| audience);
        let entry = Entry {
            owner: caller,
            question,
            share: allowed(question.method, scope, operator),
        };
        kept.insert(prepared.key(audience), entry);
    }
    served
}

/// Panics where `caller` must not be given `entry` as the answer to `question`.
fn check(entry: &Entry, caller: Caller, question: Question, served: &mut Served) {
    assert_eq!(entry.question, question, "another question's answer");
    if entry.owner == caller {
        served.own += 1;
        return;
    }
    match entry.share {
        Share::Public => served.public += 1,
        Share::Tenant => {
            let tenants = (entry.owner.tenant, caller.tenant);
            assert!(
                tenants.0.is_some() && tenants.0 == tenants.1,
                "{caller:?} was given what is {:?}'s tenant's",
                entry.owner
            );
            served.tenant += 1;
        }
        Share::Private => {
            assert_eq!(entry.owner, caller, "what is the owner's alone");
        }
    }
}

/// The rule in other words than `Policy` has it.
fn allowed(method: Method, scope: Option<Scope>, operator: Share) -> Share {
    let is_call = method == Method::ToolsCall;
    match scope {
        Some(Scope::Private) => Share::Private,
        Some(Scope::Public) if !is_call => Share::Public,
        Some(Scope::Public) | None => operator,
    }
}

fn private(caller: Caller) -> Audience<'static> {
    Audience::One {
        client: caller.client,
        tenant: caller.tenant,
        credential: caller.credential,
    }
}

/// Under which audiences a caller looks.
fn audiences(caller: Caller) -> impl Iterator<Item = (Share, Audience<'static>)> {
    let tenant = caller
        .tenant
        .map(|tenant| (Share::Tenant, Audience::Tenant(tenant)));
    [
        Some((Share::Private, private(caller))),
        tenant,
        Some((Share::Public, Audience::Everyone)),
    ]
    .into_iter()
    .flatten()
}

/// What is asked: mostly the same again, so that callers meet; at times about another subject.
fn asked(choices: &mut Choices<'_>, last: Option<Asked>) -> Asked {
    let kind = choices.next() % 4;
    let (mut question, rest) = last
        .filter(|_| kind != 0)
        .unwrap_or_else(|| (question(choices), params(choices)));
    if kind < 2 {
        question.subject = choices.maybe().filter(|_| rest.starts_with("{\""));
    }
    (question, rest)
}

/// Params as they are sent: the subject is in their `_meta`, next to what does not count.
fn with_subject(subject: Option<&str>, rest: &str) -> String {
    let members = rest.strip_prefix('{');
    let Some((subject, members)) = subject.zip(members) else {
        return rest.to_owned();
    };
    let subject = object::quoted(subject);
    format!(r#"{{"_meta":{{"v/subject":{subject},"progressToken":{subject}}},{members}"#)
}

fn question(choices: &mut Choices<'_>) -> Question {
    let methods = [
        Method::ToolsCall,
        Method::ToolsList,
        Method::ResourcesRead,
        Method::ServerDiscover,
        Method::PromptsGet,
    ];
    let method = choices.of(&methods).unwrap_or(Method::Other);
    let is_named = matches!(method, Method::ToolsCall | Method::ResourcesRead);
    Question {
        server: choices.name(),
        method,
        target: is_named.then(|| choices.name()),
        group: choices.maybe(),
        capabilities: choices.name(),
        subject: None,
    }
}

fn material<'a>(question: &Question, place: &'a Place, params: &'a str) -> Material<'a> {
    Material {
        place,
        method: question.method,
        target: question.target,
        params: Some(params),
        ignored: Ignored::NONE,
        revision: None,
        capabilities: question.capabilities,
        group: question.group,
    }
}

/// Params with hostile names and values; sometimes the bytes themselves.
fn params(choices: &mut Choices<'_>) -> String {
    let kind = choices.next() % 8;
    let (name, other) = (
        object::quoted(choices.name()),
        object::quoted(choices.name()),
    );
    let (one, two) = (choices.of(&VALUES), choices.of(&VALUES));
    let (one, two) = (one.unwrap_or_default(), two.unwrap_or_default());
    match kind {
        0 => "{}".to_owned(),
        1 => format!(r#"{{"arguments":{one}}}"#),
        2 => format!(r#"{{"arguments":{{{name}:{one},{other}:{two}}},"name":{name}}}"#),
        3 => format!(r#"{{"name":{name}, "arguments" : {{{other}:[{one},{two}]}}}}"#),
        4 => format!(r#"{{"_meta":{{{name}:{one}}},"uri":{other},"arguments":{{}}}}"#),
        5 => format!(r#"{{"requestState":{name}}}"#),
        6 => format!(r#"{{{name}:{one},{other}:{two}}}"#),
        _ => {
            let (own, rest) = choices.0.split_at_checked(8).unwrap_or((choices.0, &[]));
            choices.0 = rest;
            String::from_utf8_lossy(own).into_owned()
        }
    }
}

/// A result, and the scope that it really has.
fn result(choices: &mut Choices<'_>) -> (Option<Scope>, String) {
    let (scope, text) = match choices.next() % 6 {
        0 => (None, ""),
        1 => (None, r#","cacheScope":"everyone""#),
        2 => (Some(Scope::Private), r#","cacheScope":"private""#),
        3 => (Some(Scope::Public), r#","cacheScope":"public""#),
        4 => (Some(Scope::Public), r#","cache\u0053cope" : "publi\u0063""#),
        // Readers disagree: it must not be kept, and if it were, it would be private.
        _ => (
            Some(Scope::Private),
            r#","cacheScope":"private","cacheScope":"public""#,
        ),
    };
    // What stands deeper says nothing.
    let decoy = r#"{"cacheScope":"public","text":"\"cacheScope\":\"public\""}"#;
    let result = format!(
        r#"{{"tools":[{decoy}],"contents":[{decoy}],"content":[{decoy}],"_meta":{decoy}{text}}}"#
    );
    (scope, result)
}
