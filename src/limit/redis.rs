//! Counts of all gateways that share a Redis.
//!
//! A call is one script, which checks all its buckets and charges all or none. Redis runs scripts one
//! at a time and tells the time, so instances need no agreement about either.
//!
//! Each bucket and window has a key of its own, `<prefix><kind>:<tenant>:<client>:<server>:<tool>:<seconds>`
//! with `~` for what it has not, and goes when nothing of it counts any more. It takes Redis 6.2 or
//! later, one primary and not a cluster: a script uses keys of several slots.
//!
//! **Invariant:** no call waits longer than [`TIMEOUT`] for Redis; after the first that did nobody
//! asks until Redis was found to answer again.
//! **Invariant:** a call is charged once: what may have been done is not asked for again.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use filters::identity::Principal;
use filters::rate::charge::{Decision, Refused, Standing};
use filters::rate::rules::{Bill, Bucket};
use filters::rate::window::STEPS;
use redis::{Client, Cmd, cmd, pipe};
use tokio_util::sync::CancellationToken;

use crate::kv;
use crate::kv::circuit::Circuit;

/// Why Redis did not do what it was asked to.
pub type Error = kv::Error;

/// How long one call may wait for Redis.
pub const TIMEOUT: Duration = Duration::from_millis(50);

/// How many keys are looked through in one step of a reset, and how long it may take.
const SCAN_STEP: usize = 1_000;
const SCAN_STEP_BUDGET: Duration = Duration::from_secs(1);
const SCAN_BUDGET: Duration = Duration::from_secs(60);

/// What a call is charged with.
const SCRIPT: &str = include_str!("redis/charge.lua");

/// What stands in a key for what a bucket has not. No name is written so.
const NONE: &str = "~";

/// How many parts a key has after its prefix.
const KEY_PARTS: usize = 6;

/// Where Redis is and how it is used.
#[derive(Clone, Copy, Debug)]
pub struct Spec<'a> {
    /// Its URL.
    pub url: &'a str,
    /// What keys begin with.
    pub key_prefix: &'a str,
    /// How long one call may wait for it.
    pub timeout: Duration,
}

/// The counts.
pub struct Redis {
    client: Client,
    prefix: String,
    timeout: Duration,
    circuit: Circuit,
    /// By what name Redis knows the script: the same for every Redis.
    digest: OnceLock<String>,
}

/// How a bucket stood: see `charge.lua`.
type State = (u64, u64, u64);

// === impl Redis ===

impl Redis {
    /// A way to Redis. Nothing is connected until [`Redis::run`], and Redis need not be there.
    ///
    /// # Errors
    /// If the URL cannot be used.
    pub fn new(spec: &Spec<'_>) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            client: kv::client(spec.url)?,
            prefix: spec.key_prefix.to_owned(),
            timeout: spec.timeout,
            circuit: Circuit::new("rate limits", spec.timeout),
            digest: OnceLock::new(),
        }))
    }

    /// Keeps a connection until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        // A key that is never there: no bucket is called so.
        let probe = format!("{}probe", self.prefix);
        let keeping = Box::pin(self.circuit.keep(&self.client, &probe));
        if stop.run_until_cancelled(keeping).await.is_none() {
            self.circuit.end();
        }
    }

    /// Waits until it was tried to connect once.
    pub async fn tried(&self) {
        self.circuit.tried().await;
    }

    /// Whether Redis is asked at all.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.circuit.is_closed()
    }

    /// Charges a call, if it can pay all it has to.
    ///
    /// # Errors
    /// If Redis is not used, fails, or does not answer in time. It may have charged the call then.
    pub async fn charge(&self, bill: &Bill<'_>) -> Result<Decision, Error> {
        let buckets: Vec<_> = bill.buckets().collect();
        let states = self.call(&buckets, true).await?;
        let waits = states.iter().map(|(_, wait, _)| *wait);
        let longest = waits.zip(&buckets).max_by_key(|(wait, _)| *wait);
        Ok(match longest {
            Some((wait, bucket)) if wait > 0 => Decision::Refused(Refused {
                rule: Arc::clone(bucket.rule),
                wait: Duration::from_micros(wait),
            }),
            Some(_) | None => Decision::Allowed,
        })
    }

    /// How buckets stand.
    ///
    /// # Errors
    /// If Redis is not used, fails, or does not answer in time.
    pub async fn stand(&self, buckets: &[Bucket<'_>]) -> Result<Vec<Standing>, Error> {
        if buckets.is_empty() {
            return Ok(Vec::new());
        }
        let states = self.call(buckets, false).await?;
        let each = states.into_iter().zip(buckets);
        let standing = |((used, wait, reset), bucket): (State, &Bucket<'_>)| Standing {
            rule: Arc::clone(bucket.rule),
            used,
            wait: Duration::from_micros(wait),
            reset: Duration::from_micros(reset),
        };
        Ok(each.map(standing).collect())
    }

    /// Forgets what was paid: all of it, or that of one client, in one tenant or in all.
    ///
    /// # Errors
    /// If Redis is not used, fails, or has too many keys.
    pub async fn reset(&self, client: Option<(&str, Option<&str>)>) -> Result<(), Error> {
        let pattern = pattern(&self.prefix, client);
        let (mut cursor, deadline) = ("0".to_owned(), Instant::now() + SCAN_BUDGET);
        loop {
            let mut question = pipe();
            let scan = question.cmd("SCAN").arg(&cursor);
            scan.arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_STEP);
            let ((next, mut keys),): ((String, Vec<String>),) =
                self.circuit.ask(&question, SCAN_STEP_BUDGET).await?;
            keys.retain(|key| is_of(key, &self.prefix, client));
            if !keys.is_empty() {
                let mut question = pipe();
                question.cmd("UNLINK").arg(&keys).ignore();
                let () = self.circuit.ask(&question, SCAN_STEP_BUDGET).await?;
            }
            if next == "0" {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::TimedOut);
            }
            cursor = next;
        }
    }

    /// Has the script run, within the time that a call may wait.
    async fn call(&self, buckets: &[Bucket<'_>], charges: bool) -> Result<Vec<State>, Error> {
        let deadline = Instant::now() + self.timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        loop {
            let digest = match self.digest.get() {
                Some(digest) => digest,
                None => self.load(left()).await?,
            };
            let mut question = pipe();
            question.add_command(self.command(digest, buckets, charges));
            let asked = self.circuit.ask(&question, left()).await;
            match asked {
                // Somebody flushed the scripts: it did nothing, and is loaded again.
                Err(error) if error.is_unknown_script() => {
                    self.load(left()).await?;
                }
                asked => return asked.map(|(states,)| states),
            }
        }
    }

    /// Gives Redis the script.
    async fn load(&self, budget: Duration) -> Result<&str, Error> {
        let mut question = pipe();
        question.cmd("SCRIPT").arg("LOAD").arg(SCRIPT);
        let (digest,): (String,) = self.circuit.ask(&question, budget).await?;
        Ok(self.digest.get_or_init(|| digest))
    }

    fn command(&self, digest: &str, buckets: &[Bucket<'_>], charges: bool) -> Cmd {
        let mut command = cmd("EVALSHA");
        command.arg(digest).arg(buckets.len());
        for bucket in buckets {
            command.arg(key(&self.prefix, bucket));
        }
        command.arg(u8::from(charges)).arg(STEPS);
        for bucket in buckets {
            let limit = bucket.rule.limit;
            let window = u64::try_from(limit.window.as_micros()).unwrap_or(u64::MAX);
            let step = window.div_ceil(STEPS as u64).max(1);
            command.arg(limit.n_calls).arg(step);
        }
        command
    }
}

/// The key of a bucket and window.
fn key(prefix: &str, bucket: &Bucket<'_>) -> String {
    let rule = bucket.rule;
    let tenant = bucket.owner.and_then(|owner| owner.tenant.as_deref());
    let client = bucket.owner.map(|Principal { client, .. }| &**client);
    let names = [tenant, client, rule.server.as_deref(), rule.tool.as_deref()];
    let mut key = format!("{prefix}{}", rule.kind.label());
    for name in names {
        key.push(':');
        match name {
            Some(name) => escape(&mut key, name),
            None => key.push_str(NONE),
        }
    }
    key.push_str(&format!(":{}", rule.limit.window.as_secs()));
    key
}

/// Writes a name so that it holds nothing that means something in a key or a pattern.
fn escape(key: &mut String, name: &str) {
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-@/|".contains(&byte) {
            key.push(char::from(byte));
        } else {
            key.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// What all keys match that are meant, and perhaps some more.
fn pattern(prefix: &str, client: Option<(&str, Option<&str>)>) -> String {
    let mut pattern = String::new();
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('*');
    if let Some((client, _)) = client {
        pattern.push(':');
        escape(&mut pattern, client);
        pattern.push_str(":*");
    }
    pattern
}

/// Whether a key is one of ours, and that of the client if one is named.
fn is_of(key: &str, prefix: &str, client: Option<(&str, Option<&str>)>) -> bool {
    let parts = key.strip_prefix(prefix).map(|key| key.split(':'));
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    let [_, tenant_part, client_part, _, _, _] = parts[..] else {
        debug_assert_ne!(parts.len(), KEY_PARTS);
        return false;
    };
    let is_same = |part: &str, name: &str| {
        let mut escaped = String::new();
        escape(&mut escaped, name);
        part == escaped
    };
    client.is_none_or(|(client, tenant)| {
        is_same(client_part, client) && tenant.is_none_or(|tenant| is_same(tenant_part, tenant))
    })
}

#[cfg(test)]
mod tests {
    use filters::rate::rules::Rules;
    use filters::rate::window::Limit;

    use super::*;

    fn keys(tenant: Option<&str>, client: &str) -> Vec<String> {
        let limit = Limit {
            n_calls: 1,
            window: Duration::from_secs(60),
        };
        let mut rules = Rules::new(&[limit], &[limit]);
        rules.add_server("s", &[limit]);
        rules.add_tool("s", "a:b*", &[limit], &[limit]);
        let principal = Principal {
            client: client.into(),
            tenant: tenant.map(Arc::from),
            ..Principal::anonymous()
        };
        let bill = rules.bill(&principal, Some("s"), Some("a:b*"));
        bill.buckets().map(|bucket| key("p:", &bucket)).collect()
    }

    #[test]
    fn each_bucket_has_a_key_of_its_own() {
        let expected = [
            "p:global:~:~:~:~:60",
            "p:client:t:c%7E:~:~:60",
            "p:server:~:~:s:~:60",
            "p:tool:~:~:s:a%3Ab%2A:60",
            "p:client-server-tool:t:c%7E:s:a%3Ab%2A:60",
        ];
        assert_eq!(keys(Some("t"), "c~"), expected);
        assert_ne!(keys(Some("a:b"), "c")[1], keys(Some("a"), "b:c")[1]);
        assert_ne!(keys(Some("~"), "c")[1], keys(None, "c")[1]);
    }

    #[test]
    fn a_clients_keys_are_told_from_all_others() {
        let meant = |keys: &[String], client| {
            let meant = keys.iter().filter(|key| is_of(key, "p:", client));
            meant.count()
        };
        let keys = keys(Some("t"), "s");
        assert_eq!(meant(&keys, None), 5);
        assert_eq!(meant(&keys, Some(("s", None))), 2);
        assert_eq!(meant(&keys, Some(("s", Some("t")))), 2);
        assert_eq!(meant(&keys, Some(("s", Some("other")))), 0);
        assert_eq!(meant(&keys, Some(("other", None))), 0);
        assert!(!is_of("p:probe", "p:", None));
        assert!(!is_of("another", "p:", None));
    }

    #[test]
    fn a_prefix_with_wildcards_matches_itself_only() {
        assert_eq!(pattern("a*[b]:", Some(("c*", None))), r"a\*\[b\]:*:c%2A:*");
    }
}
