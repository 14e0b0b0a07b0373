//! From how caching is configured to how it is decided.

use std::sync::Arc;

use anyhow::Context;
use filters::cache::freshness::Staleness;
use filters::cache::invalidate::Reach;
use filters::cache::policy::{Pattern, Policy, Share, ToolRules};
use filters::json::canonical::ignored::Ignored;
use filters::mcp::list::Kind;
use filters::mcp::method::Method;

use crate::cache::Cache;
use crate::cache::memory::Limits;
use crate::cache::redis::{Redis, Spec};
use crate::config::choice;
use crate::config::model::cache::Cache as CacheConfig;
use crate::config::model::server::{Cache as ServerCache, ToolCache};
use crate::state::live::Live;
use crate::upstream::changes::{Change, Ear};

/// An empty cache.
///
/// # Errors
/// Where Redis cannot be what the configuration says.
pub(super) fn cache(config: &CacheConfig) -> anyhow::Result<Cache> {
    let limits = Limits {
        entries_max: config.l1_max_entries,
        bytes_max: config.l1_bytes_max,
        entry_bytes_max: config.l1_entry_bytes_max,
    };
    let l2 = config.l2.as_ref().filter(|_| config.enabled);
    let redis = l2.map(|l2| {
        Redis::new(&Spec {
            url: l2.redis_url.expose(),
            key_prefix: &l2.key_prefix,
            multiplier: l2.ttl_multiplier,
            entry_bytes_max: l2.entry_bytes_max,
            timeout: l2.timeout,
            lease: l2.lease,
        })
    });
    let redis = redis.transpose().context("cache.l2")?;
    Ok(Cache::new(config.enabled, limits, redis))
}

/// What may be kept of a server.
pub(super) fn policy(is_enabled: bool, config: &ServerCache) -> Policy {
    let calls = Staleness {
        while_revalidate: config.calls.while_revalidate,
        if_error: config.calls.if_error,
    };
    let tools = config.overrides.iter();
    Policy {
        is_enabled,
        is_written: config.is_written,
        share: match config.share {
            choice::Share::Private => Share::Private,
            choice::Share::Tenant => Share::Tenant,
            choice::Share::Public => Share::Public,
        },
        default_ttl: config.default_ttl,
        list_ttl: config.list_ttl,
        calls,
        lists: Staleness {
            while_revalidate: config.lists.while_revalidate,
            if_error: config.lists.if_error,
        },
        tools: tools
            .map(|(name, tool)| (name.clone(), rules(tool, calls)))
            .collect(),
    }
}

fn rules(tool: &ToolCache, calls: Staleness) -> ToolRules {
    let staleness = Staleness {
        while_revalidate: tool
            .stale_while_revalidate
            .unwrap_or(calls.while_revalidate),
        if_error: tool.stale_if_error.unwrap_or(calls.if_error),
    };
    ToolRules {
        ttl: tool.ttl,
        ignored: Ignored::compile(tool.ignore_args.iter().map(String::as_str)),
        invalidates: tool
            .invalidates
            .iter()
            .map(|text| Pattern::parse(text))
            .collect(),
        tags: tool.tags.clone(),
        staleness: Some(staleness),
    }
}

/// What drops results as soon as their server says that they changed.
pub(super) fn ear(live: &Live) -> Ear {
    let (cache, background) = (Arc::clone(&live.cache), live.background.clone());
    Arc::new(move |server, change| {
        let reach = match change {
            Change::List(kind) => Some(list(*kind)),
            Change::Resource(uri) => Some(Reach::Resource(uri.clone())),
            Change::Task(id) => cache.unsettled.end_task(server, id),
        };
        if let Some(rest) = reach.and_then(|reach| cache.invalidate_here(server, reach)) {
            background.spawn(rest);
        }
    })
}

fn list(kind: Kind) -> Reach {
    Reach::Method(Method::parse(kind.method()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_changed_is_stale_whoever_has_it() {
        for kind in Kind::ALL {
            let Reach::Method(method) = list(kind) else {
                panic!("one method");
            };
            assert_eq!(Kind::of(method), Some(kind));
        }
    }
}
