//! What a client hears of changes: updates of a resource, and lists that changed.

use rmcp::{model::SubscriptionFilter, service::Subscription};
use serde_json::{Value, json};

use crate::{
    features::key,
    host::Kind,
    peer::{Fault, List, Peer, at, check, typed},
};

/// The next change of one kind, by whatever means the era has.
enum Watch<'a> {
    Stream(Box<Subscription>),
    Notifications {
        peer: &'a Peer,
        kind: Kind,
        seen: usize,
    },
}

impl<'a> Watch<'a> {
    /// Watches for `kind`; `filter` is what a modern client listens to.
    async fn start(peer: &'a Peer, kind: Kind, filter: Value) -> Result<Self, Fault> {
        if !peer.is_modern() {
            let seen = peer.inbox.since(0, kind).len();
            return Ok(Self::Notifications { peer, kind, seen });
        }
        let wanted: SubscriptionFilter = typed(filter.clone())?;
        let stream = peer.service.listen(wanted).await?;
        check(json!(stream.acknowledged()), filter)?;
        Ok(Self::Stream(Box::new(stream)))
    }

    async fn next(&mut self) -> Result<Value, Fault> {
        match self {
            Self::Stream(stream) => {
                let change = stream.next().await?;
                Ok(json!(change.ok_or("the subscription ended")?))
            }
            Self::Notifications { peer, kind, seen } => {
                let already = *seen;
                let all = peer.inbox.wait(0, *kind, |all| all.len() > already).await?;
                *seen += 1;
                Ok(json!({ "params": all.get(already) }))
            }
        }
    }

    async fn end(self) -> Result<(), Fault> {
        if let Self::Stream(mut stream) = self {
            stream.cancel().await?;
        }
        Ok(())
    }
}

/// An update of one resource among others reaches its subscriber.
pub(crate) async fn resource_updated(peer: &Peer) -> Result<(), Fault> {
    let bare = format!("fixture://note/{}", key());
    let uri = peer.uri(&bare);
    let mut watch = Watch::start(
        peer,
        Kind::Updated,
        json!({ "resourceSubscriptions": [uri] }),
    )
    .await?;
    if !peer.is_modern() {
        peer.service
            .subscribe(typed(json!({ "uri": uri }))?)
            .await?;
    }
    peer.text("touch_resource", json!({ "uri": bare })).await?;
    let update = watch.next().await?;
    check(at(&update, "/params/uri"), &uri)?;
    if !peer.is_modern() {
        let params = typed(json!({ "uri": uri }))?;
        peer.service.unsubscribe(params).await?;
    }
    watch.end().await
}

/// A change of a list is announced, and the list read after the announcement has it.
pub(crate) async fn list_changed(peer: &Peer, list: List) -> Result<(), Fault> {
    let (kind, tool, filter) = match list {
        List::Tools => (Kind::ToolsChanged, "touch_tools", "toolsListChanged"),
        List::Prompts => (Kind::PromptsChanged, "touch_prompts", "promptsListChanged"),
        List::Resources | List::Templates => (
            Kind::ResourcesChanged,
            "touch_resources",
            "resourcesListChanged",
        ),
    };
    let key = key();
    let mut watch = Watch::start(peer, kind, json!({ filter: true })).await?;
    peer.text(tool, json!({ "key": key, "present": true }))
        .await?;
    loop {
        watch.next().await?;
        let entries = peer.list(list).await?;
        // Somebody else's change may come first.
        if entries.iter().any(|(name, _)| name.ends_with(&key)) {
            break;
        }
    }
    peer.text(tool, json!({ "key": key, "present": false }))
        .await?;
    watch.end().await
}
