//! How a session's messages go to each of its servers.

use std::sync::Arc;
use std::time::Instant;

use crate::state::session::{Link, Session};
use crate::upstream::session::Session as Upstream;

impl Session {
    /// How its messages go to a server, if that is decided and still holds.
    #[must_use]
    pub fn link(&self, server: &str) -> Option<Link> {
        self.usage.lock().last = Instant::now();
        let mut state = self.state.lock();
        let link = state.links.get(server)?.clone();
        if matches!(&link, Link::Legacy(upstream) if upstream.is_over()) {
            state.links.remove(server);
            return None;
        }
        Some(link)
    }

    /// What is held while a session with a server is opened. Servers do not wait for each other.
    #[must_use]
    pub fn linking(&self, server: &Arc<str>) -> Arc<tokio::sync::Mutex<()>> {
        let mut linking = self.linking.lock();
        Arc::clone(linking.entry(Arc::clone(server)).or_default())
    }

    /// Decides how its messages go to a server. What it replaces is closed, unless a reload took out
    /// what it led to: calls may still run there. So is the link itself where the session ended
    /// meanwhile.
    pub fn connect(&self, server: &Arc<str>, link: Link) {
        let unwanted = {
            let mut state = self.state.lock();
            if self.over.is_cancelled() {
                Some(link)
            } else {
                let remote = link.remote().map(Arc::clone);
                let replaced = state.links.insert(Arc::clone(server), link);
                replaced.filter(|replaced| match (replaced.remote(), &remote) {
                    (Some(old), Some(new)) => Arc::ptr_eq(old, new),
                    (Some(_) | None, _) => true,
                })
            }
        };
        if let Some(Link::Legacy(upstream)) = unwanted {
            upstream.close_later();
        }
    }

    /// Forgets how its messages go to a server.
    pub fn disconnect(&self, server: &str) {
        self.state.lock().links.remove(server);
    }

    /// All sessions with servers that stand behind it.
    #[must_use]
    pub fn upstreams(&self) -> Vec<(Arc<str>, Arc<Upstream>)> {
        let state = self.state.lock();
        let upstreams = state.links.iter().filter_map(|(server, link)| match link {
            Link::Legacy(upstream) => Some((Arc::clone(server), Arc::clone(upstream))),
            Link::Modern => None,
        });
        upstreams.collect()
    }

    /// The servers that are reached, and how.
    #[must_use]
    pub fn links(&self) -> Vec<(Arc<str>, Link)> {
        let state = self.state.lock();
        let links = state.links.iter();
        links
            .map(|(server, link)| (Arc::clone(server), link.clone()))
            .collect()
    }
}
