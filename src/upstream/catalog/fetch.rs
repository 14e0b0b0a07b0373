//! Reads what a server offers, in whichever era it speaks.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::json::object::Object;
use filters::mcp::capability;
use filters::mcp::list::{self, Kind};
use filters::mcp::mirror::Mirrors;
use filters::mcp::revision::{Era, Revision};
use filters::mcp::translate::up;
use foldhash::HashMap;

use super::{Catalog, Listing, Profile, listing};
use crate::upstream::CLIENT_INFO;
use crate::upstream::era::{self, MODERN};
use crate::upstream::error::Error;
use crate::upstream::fields::Mcp;
use crate::upstream::group::{Group, Key};
use crate::upstream::remote::{Post, Transport};
use crate::upstream::session::open::OpenError;
use crate::upstream::talk::{Answered, Patience};

/// Most pages of one list.
const PAGES_MAX: usize = 1000;
/// Most items of one list.
const ITEMS_MAX: usize = 100_000;
/// The principal of the gateway's own sessions.
const PRINCIPAL: &str = "conduit/catalog";

/// Why a server's offer could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Upstream(#[from] Error),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("answered {method} with {what}")]
    Answer { method: &'static str, what: String },
}

/// Where a list is read.
pub(super) enum Source {
    Modern,
    Legacy(Arc<Group>),
}

impl Catalog {
    /// The way to read, and what the server says of itself.
    pub(super) async fn introduce(&self) -> Result<(Source, Profile), FetchError> {
        match era::decide(&self.remote, &self.caller, Era::Modern).await {
            Era::Modern => {
                let result = self.ask_modern("server/discover", None).await?;
                let result = expect("server/discover", result)?;
                Ok((Source::Modern, modern_profile(&result)))
            }
            Era::Legacy => {
                let group = self.group()?;
                let session = match group.main().await {
                    Ok(session) => session,
                    Err(error) => {
                        if error.is_of_era() {
                            era::ask(&self.remote, &self.caller).await;
                        }
                        return Err(error.into());
                    }
                };
                Ok((Source::Legacy(group), legacy_profile(&session.handshake)))
            }
        }
    }

    pub(super) fn group(&self) -> Result<Arc<Group>, Error> {
        let key = Key {
            principal: PRINCIPAL.into(),
            authorization: self.caller.authorization.clone(),
            capabilities: capability::for_legacy(&self.view.capabilities, Revision::V2025_11_25),
        };
        self.groups.find(&key, &self.remote, &self.caller)
    }

    /// Reads all pages of a list.
    pub(super) async fn read(
        &self,
        source: &Source,
        profile: &Profile,
        kind: Kind,
    ) -> Result<Listing, FetchError> {
        let mut items = Vec::new();
        let mut ttl: Option<Duration> = None;
        let mut is_public = true;
        if offers(profile, kind) {
            let mut cursor: Option<String> = None;
            let mut seen = HashSet::new();
            for _ in 0..PAGES_MAX {
                let params = cursor.as_deref().map(|cursor| {
                    let mut params = Object::default();
                    params.set_text("cursor", cursor);
                    params.write()
                });
                let answer = match source {
                    Source::Modern => self.ask_modern(kind.method(), params.as_deref()).await?,
                    Source::Legacy(group) => {
                        let deadline = Instant::now() + self.settings.deadline;
                        let session = group.main().await?;
                        session
                            .ask(kind.method(), params.as_deref(), deadline)
                            .await?
                    }
                };
                if is_unknown_method(&answer) {
                    break;
                }
                let result = expect(kind.method(), answer)?;
                let page = list::read(kind, &result).ok_or_else(|| FetchError::Answer {
                    method: kind.method(),
                    what: "no list".to_owned(),
                })?;
                items.extend(page.items.iter().map(|item| (*item).to_owned()));
                let page_ttl = Duration::from_millis(page.ttl_ms.unwrap_or(0));
                ttl = Some(ttl.map_or(page_ttl, |ttl| ttl.min(page_ttl)));
                is_public &= page.is_public;
                match page.next_cursor {
                    Some(next) if items.len() < ITEMS_MAX && seen.insert(next.to_string()) => {
                        cursor = Some(next.into_owned());
                    }
                    _ => break,
                }
            }
        }
        let mut mirrored = HashMap::default();
        if kind == Kind::Tools {
            items.retain(|item| self.screen(item, &mut mirrored));
        }
        let annotations = listing::annotations(kind, &items);
        let places = listing::places(kind, &items);
        Ok(Listing {
            items,
            read: Instant::now(),
            ttl,
            promise: self.settings.promise(ttl),
            is_public,
            places,
            mirrored,
            annotations,
            locking: listing::Locking::default(),
        })
    }

    /// Notes which arguments of a tool stand in headers; `false` where it is to be left out, as an
    /// HTTP client must where that is invalid (E64).
    fn screen(&self, item: &str, mirrored: &mut HashMap<String, Arc<Mirrors>>) -> bool {
        if memchr::memmem::find(item.as_bytes(), b"x-mcp-header").is_none() {
            return true;
        }
        let tool = Object::read(item).unwrap_or_default();
        let name = tool.text("name").unwrap_or_default().into_owned();
        match tool.get("inputSchema").map(Mirrors::read) {
            None => true,
            Some(Ok(mirrors)) => {
                if !mirrors.is_empty() {
                    mirrored.insert(name, Arc::new(mirrors));
                }
                true
            }
            Some(Err(_)) if self.remote.transport == Transport::Pipe => true,
            Some(Err(error)) => {
                tracing::warn!(
                    server.id = %self.remote.id(),
                    tool.name = %name,
                    %error,
                    "Tool left out: its x-mcp-header is invalid"
                );
                false
            }
        }
    }

    async fn ask_modern(
        &self,
        method: &'static str,
        params: Option<&str>,
    ) -> Result<Answered, Error> {
        let envelope = up::Envelope {
            revision: MODERN,
            capabilities: &self.view.capabilities,
            client_info: Some(CLIENT_INFO),
            log_level: None,
        };
        let body = up::request(
            &self.remote.serial().to_string(),
            method,
            Some(&up::modern_params(params, &envelope)),
        );
        let post = Post {
            mcp: Mcp {
                era: Era::Modern,
                revision: Some(MODERN),
                method: Some(method),
                ..Mcp::BARE
            },
            is_repeatable: true,
        };
        let patience = Patience::Call {
            deadline: Instant::now() + self.settings.deadline,
        };
        let mut talk = self.remote.post(&self.caller, post, body, patience).await?;
        let answered = talk.answer(|_| {}).await?;
        if is_of_era(method, talk.status, &answered) {
            // What was believed of its era may not hold any more.
            self.remote.eras.doubt();
        }
        Ok(answered)
    }
}

/// Whether an answer speaks against the modern era. Missing credentials do not, nor does a list that
/// is not known; but every modern server knows `server/discover`.
fn is_of_era(method: &str, status: u16, answered: &Answered) -> bool {
    if is_unknown_method(answered) {
        return method == "server/discover" && matches!(status, 200..=299 | 400 | 404);
    }
    matches!(status, 400 | 404..=406 | 422) && !matches!(answered, Answered::Result(_))
}

/// Whether a server has lists of that kind.
fn offers(profile: &Profile, kind: Kind) -> bool {
    let member = match kind {
        Kind::Tools => "tools",
        Kind::Prompts => "prompts",
        Kind::Resources | Kind::Templates => "resources",
    };
    Object::read(&profile.capabilities).is_some_and(|all| all.get(member).is_some())
}

fn is_unknown_method(answer: &Answered) -> bool {
    matches!(answer, Answered::Error(error)
        if Object::read(error).is_some_and(|error| error.get("code") == Some("-32601")))
}

fn expect(method: &'static str, answer: Answered) -> Result<String, FetchError> {
    let what = match answer {
        Answered::Result(result) => return Ok(result),
        Answered::Error(error) => {
            let error = Object::read(&error).unwrap_or_default();
            let code = error.get("code").unwrap_or("?");
            format!("error {code}")
        }
        Answered::Other(_) => "something that is not MCP".to_owned(),
    };
    Err(FetchError::Answer { method, what })
}

fn modern_profile(result: &str) -> Profile {
    let result = Object::read(result).unwrap_or_default();
    let meta = result.get("_meta").and_then(Object::read);
    let server_info = meta
        .as_ref()
        .and_then(|meta| meta.get("io.modelcontextprotocol/serverInfo"));
    profile(&result, Era::Modern, server_info)
}

fn legacy_profile(result: &str) -> Profile {
    let result = Object::read(result).unwrap_or_default();
    profile(&result, Era::Legacy, result.get("serverInfo"))
}

fn profile(result: &Object<'_>, era: Era, server_info: Option<&str>) -> Profile {
    Profile {
        era,
        capabilities: result.get("capabilities").unwrap_or("{}").to_owned(),
        instructions: result
            .text("instructions")
            .filter(|text| !text.is_empty())
            .map(std::borrow::Cow::into_owned),
        server_info: server_info.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_credentials_and_missing_lists_are_no_evidence_of_the_era() {
        let page = Answered::Other("<html>".to_owned());
        let unknown = Answered::Error(r#"{"code":-32601,"message":"m"}"#.to_owned());
        for status in [401, 403, 429, 500, 503] {
            assert!(!is_of_era("tools/list", status, &page), "{status}");
            assert!(!is_of_era("server/discover", status, &unknown), "{status}");
        }
        assert!(!is_of_era("prompts/list", 404, &unknown));
        assert!(is_of_era("server/discover", 404, &unknown));
        assert!(is_of_era("tools/list", 404, &page));
    }
}
