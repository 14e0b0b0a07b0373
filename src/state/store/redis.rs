//! Sessions and marks in Redis.
//!
//! | key | value | until |
//! |---|---|---|
//! | `<prefix>id:<digest of the id>` | the record, sealed for this key | idle |
//! | `<prefix>mark:<digest of the mark>` | who took it | its time |
//! | `<prefix>key` | the random secret, where none is configured | ever |
//!
//! The random secret goes along with every command that needs it: whichever gateway finds Redis
//! without one puts its own there, and the others take it over. So they agree again also after
//! Redis lost everything.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use filters::seal;
use redis::{Pipeline, pipe};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::warn;

use crate::state::store::link::Link;
use crate::state::store::{Error, RECORD_BYTES_MAX, Record, random};

/// How long one operation may take, unless a [`Spec`] says otherwise.
pub const BUDGET: Duration = Duration::from_millis(250);

/// The form of records. Raise it when an older gateway would misread a newer one's.
const VERSION: u32 = 1;

/// The longest time that Redis is told to keep anything: a hundred years, which it can count.
const EXPIRY_MS_MAX: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// Where Redis is and how it is used.
pub struct Spec<'a> {
    /// Its URL.
    pub url: &'a str,
    /// What keys begin with.
    pub key_prefix: &'a str,
    /// What seals are made with; `None` shares a random secret through Redis.
    pub secret: Option<&'a str>,
    /// How long one operation may take.
    pub budget: Duration,
}

/// A store in Redis.
pub struct Redis {
    link: Link,
    budget: Duration,
    prefix: String,
    sealing: Sealing,
}

enum Sealing {
    /// By the configured secret.
    Own(seal::Key),
    /// By the secret in Redis.
    Shared(ArcSwap<Shared>),
}

/// A random secret, and whether Redis holds it as far as is known.
struct Shared {
    secret: String,
    key: seal::Key,
    is_agreed: bool,
}

/// What a command that reads a value is answered with.
type Reply = Option<Vec<u8>>;

/// What came back, and the key it was sealed with.
struct Answer {
    key: seal::Key,
    /// Whether the key is not the one that was sealed with.
    is_other_key: bool,
    replies: Vec<Reply>,
}

#[derive(Serialize)]
struct Writing<'a> {
    version: u32,
    record: &'a Record,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Reading {
    record: Record,
}

// === impl Redis ===

impl Redis {
    /// A store; nothing is connected yet.
    ///
    /// # Errors
    /// If the URL cannot be used.
    pub fn new(spec: &Spec<'_>) -> Result<Self, Error> {
        let link = Link::new(spec.url).map_err(|error| Error::ConfigUrl(Arc::new(error)))?;
        let sealing = match spec.secret {
            Some(secret) => Sealing::Own(seal::Key::derive(secret.as_bytes())),
            None => {
                let secret = URL_SAFE_NO_PAD.encode(random::<32>()?);
                Sealing::Shared(ArcSwap::from_pointee(Shared::new(secret, false)))
            }
        };
        Ok(Self {
            link,
            budget: spec.budget,
            prefix: spec.key_prefix.to_owned(),
            sealing,
        })
    }

    /// The key of all gateways that share this store.
    ///
    /// # Errors
    /// If Redis had to be asked and did not tell.
    pub async fn key(&self) -> Result<seal::Key, Error> {
        match &self.sealing {
            Sealing::Own(key) => Ok(key.clone()),
            Sealing::Shared(shared) => {
                if !shared.load().is_agreed {
                    self.exchange(self.deadline(), |_, _| ()).await?;
                }
                Ok(shared.load().key.clone())
            }
        }
    }

    /// See [`crate::state::store::Store::load`].
    ///
    /// # Errors
    /// If Redis did not tell.
    pub async fn load(&self, id: &str) -> Result<Option<Record>, Error> {
        let name = self.name_session(id);
        let exchange = self.exchange(self.deadline(), |_, commands| {
            commands.cmd("GET").arg(&name);
        });
        let Answer { key, replies, .. } = exchange.await?;
        let sealed = replies.into_iter().next().flatten();
        Ok(sealed.and_then(|sealed| open(&key, &name, &sealed)))
    }

    /// See [`crate::state::store::Store::save`].
    ///
    /// # Errors
    /// If the record is too large or Redis did not take it.
    pub async fn save(&self, id: &str, record: &Record, idle: Duration) -> Result<(), Error> {
        let (name, deadline) = (self.name_session(id), self.deadline());
        let version = VERSION;
        let plain = serde_json::to_vec(&Writing { version, record })
            .map_err(|error| Error::Form(Arc::new(error)))?;
        if plain.len() > RECORD_BYTES_MAX {
            return Err(Error::ClientTooLarge(plain.len()));
        }
        // Again where Redis turned out to hold another secret: then this gateway has it now.
        for _ in 0..2 {
            let nonce = random()?;
            let exchange = self.exchange(deadline, |key, commands| {
                let sealed = key.seal(nonce, &context(&name), &plain);
                let command = commands.cmd("SET").arg(&name).arg(sealed);
                command.arg("PX").arg(milliseconds(idle)).ignore();
            });
            if !exchange.await?.is_other_key {
                break;
            }
        }
        Ok(())
    }

    /// See [`crate::state::store::Store::touch`].
    ///
    /// # Errors
    /// If Redis did not tell.
    pub async fn touch(&self, id: &str, idle: Duration) -> Result<bool, Error> {
        let mut commands = pipe();
        let command = commands.cmd("PEXPIRE").arg(self.name_session(id));
        command.arg(milliseconds(idle));
        let (is_there,) = self.link.send(&commands, self.deadline()).await?;
        Ok(is_there)
    }

    /// See [`crate::state::store::Store::delete`].
    ///
    /// # Errors
    /// If Redis did not do it.
    pub async fn delete(&self, id: &str) -> Result<bool, Error> {
        let mut commands = pipe();
        commands.cmd("DEL").arg(self.name_session(id));
        let (was_there,) = self.link.send(&commands, self.deadline()).await?;
        Ok(was_there)
    }

    /// See [`crate::state::store::Store::claim`]. The mark says who took it, so that a command that
    /// was sent twice does not find the mark taken by itself.
    ///
    /// # Errors
    /// If it is not certain that this is the first time.
    pub async fn claim(&self, mark: &str, ttl: Duration) -> Result<bool, Error> {
        let name = self.name("mark", mark);
        let own = URL_SAFE_NO_PAD.encode(random::<16>()?);
        let mut commands = pipe();
        let command = commands.cmd("SET").arg(&name).arg(&own);
        command.arg("NX").arg("PX").arg(milliseconds(ttl)).ignore();
        commands.cmd("GET").arg(&name);
        let (holder,): (Reply,) = self.link.send(&commands, self.deadline()).await?;
        Ok(holder.is_some_and(|holder| holder == own.as_bytes()))
    }

    /// Sends what `extend` adds, and whatever it takes to know the key.
    async fn exchange(
        &self,
        deadline: Instant,
        extend: impl Fn(&seal::Key, &mut Pipeline),
    ) -> Result<Answer, Error> {
        let mut commands = pipe();
        let shared = match &self.sealing {
            Sealing::Own(key) => {
                extend(key, &mut commands);
                return Ok(Answer {
                    key: key.clone(),
                    is_other_key: false,
                    replies: self.link.send(&commands, deadline).await?,
                });
            }
            Sealing::Shared(shared) => shared,
        };
        let used = shared.load_full();
        let name = format!("{}key", self.prefix);
        let command = commands.cmd("SET").arg(&name).arg(&used.secret);
        command.arg("NX").ignore().cmd("GET").arg(&name);
        extend(&used.key, &mut commands);
        let (secret, replies) = split(self.link.send(&commands, deadline).await?)?;
        let is_other_key = secret != used.secret;
        if is_other_key || !used.is_agreed {
            shared.store(Arc::new(Shared::new(secret, true)));
        }
        Ok(Answer {
            key: shared.load().key.clone(),
            is_other_key,
            replies,
        })
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.budget
    }

    fn name_session(&self, id: &str) -> String {
        self.name("id", id)
    }

    /// A key that tells nothing about the text behind it.
    fn name(&self, kind: &str, text: &str) -> String {
        let digest = seal::digest(&[kind.as_bytes(), text.as_bytes()]);
        format!("{}{kind}:{}", self.prefix, URL_SAFE_NO_PAD.encode(digest))
    }
}

impl Shared {
    fn new(secret: String, is_agreed: bool) -> Self {
        let key = seal::Key::derive(secret.as_bytes());
        Self {
            secret,
            key,
            is_agreed,
        }
    }
}

/// The first reply, which is the shared secret, and the others.
fn split(mut replies: Vec<Reply>) -> Result<(String, Vec<Reply>), Error> {
    if replies.is_empty() {
        return Err(Error::NoSharedSecret);
    }
    let others = replies.split_off(1);
    let secret = replies.pop().flatten();
    let secret = secret.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok((secret.ok_or(Error::NoSharedSecret)?, others))
}

/// What was sealed for a key, if it is a record; else a line in the log.
fn open(key: &seal::Key, name: &str, sealed: &[u8]) -> Option<Record> {
    let sealed = std::str::from_utf8(sealed).ok();
    let Some(plain) = sealed.and_then(|sealed| key.open(&context(name), sealed)) else {
        warn!(
            redis.key = name,
            "Session record was not sealed with this secret, or was changed"
        );
        return None;
    };
    let version = serde_json::from_slice(&plain).map(|Version { version }| version);
    if version.as_ref().is_ok_and(|version| *version != VERSION) {
        warn!(
            redis.key = name,
            "Session record is of another version of Conduit"
        );
        return None;
    }
    let read = version.and_then(|_| serde_json::from_slice(&plain));
    match read {
        Ok(Reading { record }) => Some(record),
        Err(error) => {
            warn!(redis.key = name, %error, "Session record cannot be read");
            None
        }
    }
}

/// A record belongs to its key: it does not open under another session's.
fn context(name: &str) -> Vec<u8> {
    seal::context(&[b"session record", name.as_bytes()])
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis())
        .unwrap_or(u64::MAX)
        .clamp(1, EXPIRY_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_plain(plain: &str) -> Option<Record> {
        let key = seal::Key::derive(b"secret");
        let sealed = key.seal([7; seal::NONCE_BYTES], &context("name"), plain.as_bytes());
        open(&key, "name", sealed.as_bytes())
    }

    #[test]
    fn a_record_of_another_version_or_of_no_known_form_is_none() {
        let record = r#"{"principal":"p","scope":"s","revision":"r","client_capabilities":"{}"}"#;
        let at = |version: &str| format!(r#"{{"version":{version},"record":{record}}}"#);
        assert_eq!(open_plain(&at("1")).unwrap().principal, "p");
        assert_eq!(open_plain(&at("2")), None);
        assert_eq!(open_plain(&at("1").replace("scope", "space")), None);
        assert_eq!(open_plain(""), None);
    }

    #[test]
    fn what_a_newer_gateway_adds_without_a_new_version_is_passed_over() {
        let record = r#"{"principal":"p","scope":"s","revision":"r","client_capabilities":"{}"}"#;
        let plain = format!(r#"{{"version":1,"record":{record},"more":1}}"#);
        assert!(open_plain(&plain).is_some());
    }

    #[test]
    fn redis_must_tell_its_secret() {
        assert!(matches!(split(vec![]), Err(Error::NoSharedSecret)));
        assert!(matches!(split(vec![None]), Err(Error::NoSharedSecret)));
        let (secret, others) = split(vec![Some(b"s".to_vec()), None]).unwrap();
        assert_eq!((secret.as_str(), others), ("s", vec![None]));
    }
}
