//! Under what an answer is kept: everything that it may depend on, as one digest. What is the same for
//! all calls of a server is digested once: [`Place`].
//!
//! **Invariant:** the digest is over fields that each have a tag and a length, so that no text of a
//! client's can pass for another field, or for two.
//!
//! **Invariant:** whose answer it is, is part of the key. An answer that is not for everyone is
//! found by those whose [`Audience`] is the same, and by nobody else.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::json::canonical;
use crate::json::canonical::Ambiguous;
use crate::json::canonical::Treatment;
use crate::json::canonical::ignored::Ignored;
use crate::mcp::method::Method;
use crate::mcp::revision::Revision;

/// The place of an answer in the cache.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 32]);

/// The server that keys are for, in one edition of its configuration: a change to it empties the cache.
#[derive(Clone)]
pub struct Place(Sha256);

/// What an answer may depend on, apart from who asks.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    /// The server.
    pub place: &'a Place,
    /// What is asked for.
    pub method: Method,
    /// The tool's name or the resource's URI, as the server spells it.
    pub target: Option<&'a str>,
    /// The raw JSON of `params`.
    pub params: Option<&'a str>,
    /// What does not count of `params.arguments`.
    pub ignored: &'a Ignored,
    /// The revision asked in, where the answer differs by it.
    pub revision: Option<Revision>,
    /// What the client says it is able to do, where the answer may differ by it; else empty.
    pub capabilities: &'a str,
    /// `X-Conduit-Group`.
    pub group: Option<&'a str>,
}

/// Who may be given an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience<'a> {
    /// Whoever may make the call.
    Everyone,
    /// All clients of a tenant.
    Tenant(&'a str),
    /// One authorization context.
    One {
        /// The client's id.
        client: &'a str,
        /// Its tenant.
        tenant: Option<&'a str>,
        /// What tells the upstream credential that the call is made with from others.
        credential: Option<&'a str>,
    },
}

/// The key of one call, but for whom it is: an answer is looked up under more than one audience,
/// and the arguments are read once.
#[derive(Clone)]
pub struct Prepared(Sha256);

/// Derives a key. `scratch` is where the call is written; what it holds is lost.
///
/// # Errors
/// [`Ambiguous`] where `params` has no canonical form: such a call is not cached.
pub fn derive(
    material: &Material<'_>,
    audience: Audience<'_>,
    scratch: &mut Vec<u8>,
) -> Result<Key, Ambiguous> {
    Prepared::new(material, scratch).map(|prepared| prepared.key(audience))
}

/// What a digest begins with, so that it is no digest of anything else.
const DOMAIN: &[u8] = b"conduit cache key v2\0";
/// Bytes that SHA-256 takes in at a time.
const BLOCK_BYTES: usize = 64;

/// The fields, in the order they are written.
#[derive(Clone, Copy)]
enum Field {
    Edition = 1,
    Server,
    Method,
    Target,
    Revision,
    Capabilities,
    Group,
    Params,
    Everyone,
    Tenant,
    Client,
    ClientTenant,
    Credential,
}

// === impl Place ===

impl Place {
    /// The place of a server: its id, and a digest of its configuration.
    #[must_use]
    pub fn new(server: &str, edition: &[u8]) -> Self {
        let mut text = DOMAIN.to_vec();
        push(&mut text, Field::Edition, edition);
        push(&mut text, Field::Server, server.as_bytes());
        // Whole blocks: what follows is a call's own, and no call takes these in again.
        text.resize(text.len().next_multiple_of(BLOCK_BYTES), 0);
        Self(Sha256::new_with_prefix(&text))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place(…)")
    }
}

// === impl Prepared ===

impl Prepared {
    /// Reads a call. `scratch` is where it is written; what it holds is lost.
    ///
    /// # Errors
    /// [`Ambiguous`] where `params` has no canonical form: such a call is not cached.
    pub fn new(material: &Material<'_>, scratch: &mut Vec<u8>) -> Result<Self, Ambiguous> {
        scratch.clear();
        push(scratch, Field::Method, material.method.label().as_bytes());
        push_some(scratch, Field::Target, material.target);
        push_some(
            scratch,
            Field::Revision,
            material.revision.map(Revision::as_str),
        );
        push(
            scratch,
            Field::Capabilities,
            material.capabilities.as_bytes(),
        );
        push_some(scratch, Field::Group, material.group);
        // The last field needs no length: every one after it is in another call to the hash, and
        // canonical JSON ends where its brackets do.
        scratch.push(Field::Params as u8);
        push_params(scratch, material)?;
        let mut hash = material.place.0.clone();
        hash.update(&*scratch);
        Ok(Self(hash))
    }

    /// The key for an audience.
    #[must_use]
    pub fn key(&self, audience: Audience<'_>) -> Key {
        let mut hash = self.0.clone();
        match audience {
            Audience::Everyone => push(&mut hash, Field::Everyone, b""),
            Audience::Tenant(tenant) => push(&mut hash, Field::Tenant, tenant.as_bytes()),
            Audience::One {
                client,
                tenant,
                credential,
            } => {
                push(&mut hash, Field::Client, client.as_bytes());
                push_some(&mut hash, Field::ClientTenant, tenant);
                push_some(&mut hash, Field::Credential, credential);
            }
        }
        Key(hash.finalize().into())
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prepared(…)")
    }
}

/// Where fields are written to.
trait Text {
    fn add(&mut self, bytes: &[u8]);
}

impl Text for Vec<u8> {
    fn add(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Text for Sha256 {
    fn add(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

/// Writes a field: its tag; its length, seven bits to a byte and all but the last with the eighth set
/// (LEB128), as most are short; and its value.
fn push(text: &mut impl Text, field: Field, value: &[u8]) {
    let mut head = [field as u8; 1 + LENGTH_BYTES_MAX];
    let mut n_bytes = 1;
    let mut left = value.len();
    for byte in head.iter_mut().skip(1) {
        n_bytes += 1;
        let [low, ..] = left.to_le_bytes();
        *byte = low & 0x7f;
        left >>= 7;
        if left == 0 {
            break;
        }
        *byte |= 0x80;
    }
    text.add(head.get(..n_bytes).unwrap_or(&head));
    text.add(value);
}

/// Bytes that a length takes at most.
const LENGTH_BYTES_MAX: usize = (usize::BITS as usize).div_ceil(7);

/// An absent field is left out: tags rise, so that no other can be taken for it.
fn push_some(text: &mut impl Text, field: Field, value: Option<&str>) {
    if let Some(value) = value {
        push(text, field, value.as_bytes());
    }
}

/// What of `_meta` says nothing about the answer, or is a field of its own. All else goes to the
/// server and may change what it says, as a vendor's word on who its user is does.
const META_IGNORED: [&[u8]; 8] = [
    b"progressToken",
    b"traceparent",
    b"tracestate",
    b"baggage",
    b"io.modelcontextprotocol/protocolVersion",
    b"io.modelcontextprotocol/clientInfo",
    b"io.modelcontextprotocol/clientCapabilities",
    b"io.modelcontextprotocol/logLevel",
];

/// Writes the params that count. The member that the target was read from does not. Absent params
/// are an empty object, and so are absent arguments and absent `_meta`.
fn push_params(text: &mut Vec<u8>, material: &Material<'_>) -> Result<(), Ambiguous> {
    let named = material
        .target
        .and_then(|_| target_member(material.method))
        .unwrap_or_default();
    let mut seen = [false; 3];
    let mut once = |index: usize| {
        let is_seen = seen.get_mut(index);
        if is_seen.is_none_or(|is_seen| std::mem::replace(is_seen, true)) {
            return Err(Ambiguous);
        }
        Ok(())
    };
    canonical::members(material.params.unwrap_or("{}"), text, |name| match name {
        b"_meta" => once(0).map(|()| Treatment::Without(&META_IGNORED)),
        b"arguments" => once(1).map(|()| Treatment::Prune(material.ignored)),
        name if !named.is_empty() && name == named => once(2).map(|()| Treatment::Drop),
        _ => Ok(Treatment::Keep),
    })
}

/// The member of params that names a method's target.
fn target_member(method: Method) -> Option<&'static [u8]> {
    match method {
        Method::ToolsCall | Method::PromptsGet => Some(b"name"),
        Method::ResourcesRead => Some(b"uri"),
        Method::Initialize
        | Method::Ping
        | Method::ServerDiscover
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourcesTemplatesList
        | Method::ResourcesSubscribe
        | Method::ResourcesUnsubscribe
        | Method::CompletionComplete
        | Method::LoggingSetLevel
        | Method::SubscriptionsListen
        | Method::Tasks
        | Method::Cancelled
        | Method::Notification
        | Method::Other => None,
    }
}

// === impl Key ===

impl Key {
    /// The key as 64 hexadecimal digits, as the admin API shows it.
    #[must_use]
    pub fn hex(&self) -> String {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        digits.map(digit).collect()
    }

    /// Reads 64 hexadecimal digits; nothing where they are not that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(pairs) {
            for digit in digits {
                let nibble = char::from(*digit).to_digit(16)?;
                *byte = *byte << 4 | u8::try_from(nibble).ok()?;
            }
        }
        Some(Self(bytes))
    }

    /// The key as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.hex())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.hex())
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests;
