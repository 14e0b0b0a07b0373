//! What a client wants to hear of in one `subscriptions/listen`: each resource is looked at as if it
//! was subscribed to by itself.
//!
//! **Invariant:** a URI that a rule spells otherwise is not listened for: its client did not ask for
//! the other one, and may not have this one.

use std::borrow::Cow;

use filters::guard::scope::Kind;
use filters::json::object::{Object, array, elements, quoted, string};
use filters::mcp::method::Method;
use filters::refusal::Refusal;

use crate::gateway::exchange::Exchange;
use crate::gateway::guard::watch::Watch;

/// The member of the params that says what is listened for.
const FILTER: &str = "notifications";
/// The member of that which lists resources.
const RESOURCES: &str = "resourceSubscriptions";
/// What is wrong where two readers could find other resources.
const UNCLEAR: &str = "`notifications` must be an object with a list of URIs, and each stand once";

impl Watch {
    /// Looks at all resources that are listened for: the params without those that are not, if any.
    ///
    /// # Errors
    /// Where a guardrail refuses or holds one of them.
    pub(super) fn listened(
        &self,
        exchange: &mut Exchange,
        params: &str,
    ) -> Result<Option<String>, Refusal> {
        let reach = self.snapshot.guard.reach(&self.server.id);
        if !reach.has(Kind::Resources) {
            return Ok(None);
        }
        let uris = uris(params).ok_or(Refusal::ParamsInvalid { what: UNCLEAR })?;
        let n_uris = uris.len();
        let mut kept = Vec::with_capacity(n_uris);
        for uri in uris {
            if self.admits_uri(exchange, &uri)? {
                kept.push(quoted(&uri));
            }
        }
        Ok((kept.len() < n_uris).then(|| listening(params, kept)))
    }

    /// Whether one resource is listened for.
    ///
    /// # Errors
    /// Where a guardrail refuses or holds it.
    pub(in crate::gateway::guard) fn admits_uri(
        &self,
        exchange: &mut Exchange,
        uri: &str,
    ) -> Result<bool, Refusal> {
        let one = Self {
            method: Method::ResourcesSubscribe,
            target: Some(uri.to_owned()),
            ..self.clone()
        };
        if !one.concerns(Kind::Resources) {
            return Ok(true);
        }
        let mut params = Object::default();
        params.set_text("uri", uri);
        let changed = one.request(exchange, Some(&params.write()))?;
        Ok(changed.is_none())
    }
}

/// The resources that are listened for; nothing where two readers could find other ones.
fn uris(params: &str) -> Option<Vec<String>> {
    let params = Object::read(params)?;
    let Some(wanted) = params.get(FILTER).filter(|_| params.is_clear(FILTER)) else {
        return params.is_clear(FILTER).then(Vec::new);
    };
    let wanted = Object::read(wanted)?;
    let listed = wanted.get(RESOURCES).unwrap_or("[]");
    let uris = elements(listed).filter(|_| wanted.is_clear(RESOURCES))?;
    let uris = uris.into_iter();
    uris.map(|uri| string(uri).map(Cow::into_owned)).collect()
}

/// The params with these resources instead, each JSON text.
fn listening(params: &str, uris: Vec<String>) -> String {
    let mut params = Object::read(params).unwrap_or_default();
    let wanted = params.get(FILTER).unwrap_or("{}").to_owned();
    let mut wanted = Object::read(&wanted).unwrap_or_default();
    wanted.set(RESOURCES, array(uris));
    params.set(FILTER, wanted.write());
    params.write()
}
