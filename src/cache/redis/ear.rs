//! Hears what other instances invalidate, and drops it from this one's memory.
//!
//! All on a connection of its own, which speaks RESP3: it is subscribed, acknowledges, and is asked
//! every second whether it still lives.
//!
//! **Invariant:** an invalidation is acknowledged after it was carried out in memory.
//! **Invariant:** memory holds nothing that was stored before a time when nothing could be heard.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use filters::cache::invalidate::Reach;
use parking_lot::Mutex;
use redis::aio::{MultiplexedConnection, SendError};
use redis::{AsyncConnectionConfig, Client, Pipeline, PushInfo, PushKind, Value, pipe};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout, timeout_at};
use tracing::{info, warn};

use crate::cache::memory::Memory;
use crate::cache::redis::{Error, Redis};
use crate::kv::pause::Pause;
use crate::kv::{self, PROBE_EVERY, connect, in_time};

/// How long an answer on this connection may take: then it is lost.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// The most messages that wait; with one more the connection is given up, and memory dropped.
const MESSAGES_MAX: usize = 4_096;
/// The most messages that are acknowledged in one go.
const BATCH_MAX: usize = 256;

/// What one instance knows of what it hears.
pub(super) struct Ear {
    /// Its own name among all.
    pub(super) instance: String,
    is_deaf: AtomicBool,
    n_waits: AtomicU64,
    waits: Mutex<HashMap<String, watch::Sender<usize>>>,
}

/// An invalidation, on its way to all instances.
#[derive(Serialize, Deserialize)]
struct Message<'m> {
    /// Who waits for acknowledgements.
    #[serde(borrow)]
    from: Cow<'m, str>,
    /// Which invalidation it is for them; empty where nobody waits.
    id: Cow<'m, str>,
    server: Cow<'m, str>,
    reach: Cow<'m, str>,
}

/// Acknowledgements that are awaited.
pub(super) struct Wait<'e> {
    ear: &'e Ear,
    /// What they name.
    pub(super) id: String,
    n_heard: watch::Receiver<usize>,
}

/// A subscription that stands.
struct Subscription {
    connection: MultiplexedConnection,
    messages: mpsc::Receiver<PushInfo>,
}

// === impl Ear ===

impl Ear {
    pub(super) fn new(instance: String) -> Self {
        Self {
            instance,
            is_deaf: AtomicBool::new(true),
            n_waits: AtomicU64::new(0),
            waits: Mutex::default(),
        }
    }

    /// Whether what others invalidate is not heard.
    pub(super) fn is_deaf(&self) -> bool {
        self.is_deaf.load(Ordering::Acquire)
    }

    /// Nothing is heard from now on.
    pub(super) fn deafen(&self, memory: &Memory) {
        // First this, so that what is stored from here on is not kept for long.
        self.is_deaf.store(true, Ordering::Release);
        memory.clear();
    }

    /// What is told of an invalidation.
    pub(super) fn message(&self, server: &str, reach: &Reach, id: &str) -> String {
        let message = Message {
            from: Cow::Borrowed(&self.instance),
            id: Cow::Borrowed(id),
            server: Cow::Borrowed(server),
            reach: Cow::Owned(reach.write()),
        };
        // Plain texts cannot fail to be written; nothing would make all who hear it drop everything.
        serde_json::to_string(&message).unwrap_or_default()
    }

    /// Begins to wait for acknowledgements, before there can be any.
    pub(super) fn wait(&self) -> Wait<'_> {
        let id = self.n_waits.fetch_add(1, Ordering::Relaxed).to_string();
        let (heard, n_heard) = watch::channel(0);
        self.waits.lock().insert(id.clone(), heard);
        Wait {
            ear: self,
            id,
            n_heard,
        }
    }

    fn acknowledge(&self, id: &str) {
        if let Some(heard) = self.waits.lock().get(id) {
            heard.send_modify(|n_heard| *n_heard += 1);
        }
    }
}

// === impl Wait ===

impl Wait<'_> {
    /// Waits until as many instances have acknowledged; how many have not by the deadline.
    pub(super) async fn heard(mut self, n_told: usize, deadline: tokio::time::Instant) -> usize {
        let all = self.n_heard.wait_for(|n_heard| *n_heard >= n_told);
        let is_complete = timeout_at(deadline, all).await.is_ok();
        let n_heard = *self.n_heard.borrow();
        if is_complete {
            0
        } else {
            n_told.saturating_sub(n_heard)
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.ear.waits.lock().remove(&self.id);
    }
}

// === impl Redis ===

impl Redis {
    /// Hears what is invalidated, for ever.
    pub(super) async fn listen(&self, memory: &Memory) {
        let mut pause = Pause::default();
        let mut is_told = false;
        loop {
            let error = match self.subscribe().await {
                Ok(mut subscription) => {
                    // Whatever was missed until now is gone with everything else.
                    memory.clear();
                    self.ear.is_deaf.store(false, Ordering::Release);
                    if is_told {
                        info!("Invalidations of other instances are heard again");
                        is_told = false;
                    }
                    let since = Instant::now();
                    let error = self.hear(&mut subscription, memory).await;
                    self.ear.deafen(memory);
                    pause.reset_after(since.elapsed());
                    error
                }
                Err(error) => error,
            };
            // Where Redis is not used at all, that was said.
            if !is_told && self.circuit.is_closed() {
                is_told = true;
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                warn!(%error, cause, "Invalidations of other instances are not heard: memory was dropped");
            }
            pause.wait().await;
        }
    }

    async fn subscribe(&self) -> Result<Subscription, Error> {
        let (sender, messages) = mpsc::channel(MESSAGES_MAX);
        let sender = Mutex::new(Some(sender));
        let config = AsyncConnectionConfig::new().set_push_sender(move |message| {
            let mut sender = sender.lock();
            let sent = sender.as_ref().map_or(Err(SendError), |sender| {
                sender.try_send(message).map_err(|_| SendError)
            });
            if sent.is_err() {
                // A message was missed. Whoever hears finds the end, and gives all up.
                *sender = None;
            }
            sent
        });
        let mut connection = connect(&self.listener, config).await?;
        for channel in [
            self.names.invalidations(),
            self.names.acknowledgements(&self.ear.instance),
        ] {
            in_time(timeout(SILENCE_MAX, connection.subscribe(channel)).await)?;
        }
        Ok(Subscription {
            connection,
            messages,
        })
    }

    /// Hears until nothing is heard any more; why that is.
    async fn hear(&self, subscription: &mut Subscription, memory: &Memory) -> Error {
        let mut probes = interval(PROBE_EVERY);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                n_messages = subscription.messages.recv_many(&mut batch, BATCH_MAX) => {
                    if n_messages == 0 {
                        return Error::Unheard;
                    }
                }
                _ = probes.tick() => {}
            }
            let mut answers = pipe();
            if batch.is_empty() {
                answers.cmd("PING").ignore();
            }
            for message in batch.drain(..) {
                match self.carry_out(&message, memory) {
                    Ok(Some((channel, id))) => {
                        answers.cmd("PUBLISH").arg(channel).arg(id).ignore();
                    }
                    Ok(None) => {}
                    Err(error) => return error,
                }
            }
            if let Err(error) = send(&mut subscription.connection, &answers).await {
                return error;
            }
        }
    }

    /// Does what a message says; the acknowledgement, if there is one to send.
    fn carry_out(
        &self,
        message: &PushInfo,
        memory: &Memory,
    ) -> Result<Option<(String, String)>, Error> {
        let (channel, payload) = match (&message.kind, message.data.as_slice()) {
            (PushKind::Message, [Value::BulkString(channel), Value::BulkString(payload)]) => {
                (channel, payload)
            }
            (PushKind::Disconnection, _) => return Err(Error::Unheard),
            (_, _) => return Ok(None),
        };
        if *channel != self.names.invalidations().as_bytes() {
            self.ear.acknowledge(&String::from_utf8_lossy(payload));
            return Ok(None);
        }
        let Ok(message) = serde_json::from_slice::<Message<'_>>(payload) else {
            // It says that something is invalid, and not what.
            memory.clear();
            return Ok(None);
        };
        let reach = Reach::parse(&message.reach).unwrap_or(Reach::Server);
        memory.invalidate(&Arc::from(&*message.server), &reach);
        if message.id.is_empty() {
            return Ok(None);
        }
        if message.from == self.ear.instance {
            self.ear.acknowledge(&message.id);
            return Ok(None);
        }
        let channel = self.names.acknowledgements(&message.from);
        Ok(Some((channel, message.id.into_owned())))
    }
}

async fn send(connection: &mut MultiplexedConnection, commands: &Pipeline) -> Result<(), Error> {
    if commands.is_empty() {
        return Ok(());
    }
    Ok(in_time(
        timeout(SILENCE_MAX, commands.query_async(connection)).await,
    )?)
}

/// The same Redis in RESP3, which tells what was subscribed to among other answers.
///
/// # Errors
/// If the URL cannot be used.
pub(super) fn listener(client: &Client) -> Result<Client, kv::Error> {
    let info = client.get_connection_info().clone();
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(redis::ProtocolVersion::RESP3);
    let opened = Client::open(info.set_redis_settings(settings));
    opened.map_err(|error| kv::Error::ConfigUrl(Arc::new(error)))
}
