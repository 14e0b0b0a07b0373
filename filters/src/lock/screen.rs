//! A server's lists as the lock lets them be shown: without tools that nobody approved, and with
//! changed ones as they were approved.
//!
//! **Invariant:** each item is judged by itself, so that pages need nothing of each other.
//! **Invariant:** what cannot be read shows nothing.

use std::borrow::Cow;

use crate::acl::screen::Shown;
use crate::json::object::{self, Object};
use crate::lock::book::Tools;
use crate::lock::definition::{self, Definition, Unclear};
use crate::lock::{Mode, Verdict};
use crate::mcp::list::Kind;
use crate::mcp::revision::Era;
use crate::mcp::translate::down;
use crate::rpc::parse::{self, Answer, Body};

/// What is shown of a list that cannot be read. Clients of older revisions skip what they do not know.
const NOTHING: &str = r#"{"resultType":"complete","tools":[],"ttlMs":0,"cacheScope":"private"}"#;

/// A tool that was seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'s> {
    /// What most readers take for its name.
    pub name: &'s str,
    /// What the lock says of it.
    pub verdict: Verdict,
    /// Its definition.
    pub definition: Result<&'s Definition, Unclear>,
}

/// What is approved of a server, and what is done about the rest.
#[derive(Clone, Copy, Debug)]
pub struct Lens<'t> {
    /// What is approved; nothing where nobody ever looked.
    pub tools: Option<&'t Tools>,
    /// What is done with what is not.
    pub mode: Mode,
    /// In which era tools are shown: what no legacy client is shown of one does not count there.
    pub era: Era,
}

impl Lens<'_> {
    /// The items of a list as they are shown, each told to `note`; nothing where all are shown as they
    /// are.
    #[must_use]
    pub fn items<'i>(
        &self,
        items: &[&'i str],
        mut note: impl FnMut(Seen<'_>),
    ) -> Option<Vec<Cow<'i, str>>> {
        let mut shown: Vec<Cow<'i, str>> = Vec::new();
        let mut is_as_it_is = true;
        for (at, item) in items.iter().enumerate() {
            let definition = Definition::read(item);
            let lenient = definition::name(item).unwrap_or_default();
            let verdict = self.judge(&definition);
            note(Seen {
                name: &lenient,
                verdict,
                definition: definition.as_ref().map_err(|unclear| *unclear),
            });
            let is_shown = verdict == Verdict::Approved || self.mode != Mode::Block;
            if is_as_it_is && !is_shown {
                is_as_it_is = false;
                shown.extend(items.iter().take(at).map(|item| Cow::Borrowed(*item)));
            }
            if is_shown {
                if !is_as_it_is {
                    shown.push(Cow::Borrowed(item));
                }
            } else if let Some(text) = self.tools.and_then(|tools| tools.substitute(&lenient)) {
                shown.push(Cow::Owned(self.in_era(text)));
            }
        }
        (!is_as_it_is).then_some(shown)
    }

    fn judge(&self, definition: &Result<Definition, Unclear>) -> Verdict {
        match (definition, self.tools) {
            (Err(Unclear), _) => Verdict::Unclear,
            (Ok(_), None) => Verdict::Added,
            (Ok(one), Some(tools)) => match tools.judge(&one.name, Ok(one.digest)) {
                Verdict::Changed if self.is_legacy_form(tools, one) => Verdict::Approved,
                verdict @ (Verdict::Approved
                | Verdict::Changed
                | Verdict::Added
                | Verdict::Unclear) => verdict,
            },
        }
    }

    /// Whether a definition is what an approved one becomes for legacy clients.
    fn is_legacy_form(&self, tools: &Tools, definition: &Definition) -> bool {
        let mut approved = tools.approved(&definition.name);
        self.era == Era::Legacy
            && approved.any(|one| {
                let form = down::legacy_tool(&one.text);
                form.is_some_and(|form| Definition::read(&form).as_ref() == Ok(definition))
            })
    }

    fn in_era(&self, tool: &str) -> String {
        let form = (self.era == Era::Legacy).then(|| down::legacy_tool(tool));
        form.flatten().unwrap_or_else(|| tool.to_owned())
    }

    /// The result of `tools/list`; nothing where it is shown as it is.
    #[must_use]
    pub fn result(&self, result: &str, note: impl FnMut(Seen<'_>)) -> Option<String> {
        let member = Kind::Tools.member();
        let Some(mut object) = Object::read(result) else {
            return (self.mode == Mode::Block).then(|| NOTHING.to_owned());
        };
        let is_clear = object.is_clear(member);
        if !is_clear && self.mode == Mode::Block {
            object.retain(|name| name == member || !object::is_alike(name, member));
        }
        let Some(list) = object.get(member) else {
            // Who finds no tools finds none that was not approved.
            return (!is_clear && self.mode == Mode::Block).then(|| object.write());
        };
        let items = object::elements(list);
        let is_list = items.is_some();
        let items = items.unwrap_or_default();
        let shown = self.items(&items, note);
        if shown.is_none() && is_list && is_clear {
            return None;
        }
        let shown = match shown {
            Some(shown) => object::array(shown),
            None => object::array(items),
        };
        if self.mode != Mode::Block {
            return None;
        }
        object.set(member, shown);
        Some(object.write())
    }

    /// The answer to `tools/list`.
    #[must_use]
    pub fn answer(&self, message: &str, mut note: impl FnMut(Seen<'_>)) -> Shown {
        self.one_message(message, &mut note)
    }

    /// A message on a stream that brings whatever a server has to say, answers to lists included.
    #[must_use]
    pub fn message(&self, text: &str, mut note: impl FnMut(Seen<'_>)) -> Shown {
        let Some(messages) = object::elements(text) else {
            return self.one_message(text, &mut note);
        };
        let mut all = Shown::AsIs;
        for text in messages {
            match self.one_message(text, &mut note) {
                Shown::AsIs => {}
                Shown::Unclear => return Shown::Unclear,
                Shown::Changed(_) | Shown::Hidden => all = Shown::Hidden,
            }
        }
        all
    }

    fn one_message(&self, text: &str, note: &mut impl FnMut(Seen<'_>)) -> Shown {
        let Ok(message) = parse::message(text) else {
            return match self.mode {
                Mode::Block => Shown::Unclear,
                Mode::Warn | Mode::Off => Shown::AsIs,
            };
        };
        let Body::Response {
            answer: Answer::Result(result),
            ..
        } = message.body
        else {
            return Shown::AsIs;
        };
        let screened = self.result(result.get(), note);
        match (screened, Object::read(text)) {
            (Some(result), Some(mut answer)) => {
                answer.set("result", result);
                Shown::Changed(answer.write())
            }
            (None, _) => Shown::AsIs,
            (Some(_), None) => Shown::Unclear,
        }
    }
}

#[cfg(test)]
mod tests;
