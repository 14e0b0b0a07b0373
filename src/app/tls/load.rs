//! Reads what TLS is spoken with: certificate, key and authorities, and makes one thing of them.
//!
//! **Invariant:** all that is wrong is found at once, and each finding names the setting and what to do;
//! none holds any part of a key.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{Error, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use sha2::{Digest, Sha256};

use crate::auth::certificate;
use crate::config::choice::{ClientAuth, TlsVersion};
use crate::config::model::gateway::Tls;

/// The protocols that are spoken over TLS, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// Longest file that is read: some hundreds of authorities.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What connections are opened with.
pub(in crate::app) struct Material {
    pub(super) config: Arc<ServerConfig>,
    /// A digest of all that it was made from: where that is the same, so is it.
    pub(super) print: [u8; 32],
    /// When the certificate ends, in seconds since 1970.
    pub(super) ends: Option<i64>,
}

impl Material {
    /// Reads the files that the configuration names.
    ///
    /// # Errors
    /// One line for each thing that is wrong.
    pub(in crate::app) fn load(tls: &Tls) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let mut digest = Sha256::new();
        digest.update(format!("{:?} {:?}", tls.min_version, tls.client_auth));
        let mut open = |setting: &'static str, path: &Path| {
            let text = read(path).map_err(|why| say(setting, path, &why));
            let text = text.map_err(|error| errors.push(error)).ok()?;
            digest.update(Sha256::digest(&text));
            Some(text)
        };
        let chain = open("cert_path", &tls.cert_path);
        let key = open("key_path", &tls.key_path);
        let authorities = tls.ca_path.as_ref().map(|path| open("ca_path", path));
        let mut keep = |setting: &'static str, path: &Path, why: String| {
            errors.push(say(setting, path, &why));
        };
        let chain = chain.and_then(|text| {
            certificates(&text)
                .map_err(|why| keep("cert_path", &tls.cert_path, why))
                .ok()
        });
        let key = key.and_then(|text| {
            private_key(&text)
                .map_err(|why| keep("key_path", &tls.key_path, why))
                .ok()
        });
        let provider = Arc::new(ring::default_provider());
        let verifier = match (&tls.ca_path, authorities.flatten()) {
            (Some(path), Some(text)) => verifier(&text, tls.client_auth, &provider)
                .map_err(|why| keep("ca_path", path, why))
                .ok(),
            (Some(_) | None, _) => None,
        };
        let (Some(chain), Some(key)) = (chain, key) else {
            return Err(errors);
        };
        let ends = chain.first().and_then(|first| certificate::ends(first));
        match server_config(tls, provider, verifier, chain, key) {
            Ok(config) if errors.is_empty() => Ok(Self {
                config: Arc::new(config),
                print: digest.finalize().into(),
                ends,
            }),
            Ok(_) => Err(errors),
            Err((setting, path, why)) => {
                errors.push(say(setting, path, &why));
                Err(errors)
            }
        }
    }

    /// Whether the certificate's time is over.
    pub(in crate::app) fn is_over(&self) -> bool {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
        self.ends.is_some_and(|ends| ends < now)
    }
}

fn say(setting: &str, path: &Path, why: &str) -> String {
    format!("gateway.tls.{setting}: {}: {why}", path.display())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error| format!("cannot be read: {error}");
    let about = fs::metadata(path).map_err(cannot)?;
    if !about.is_file() || about.len() > FILE_BYTES_MAX {
        return Err(format!("must be a file of at most {FILE_BYTES_MAX} bytes"));
    }
    fs::read(path).map_err(cannot)
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match read {
        Ok(read) if read.is_empty() => Err(
            "holds no certificate: it must be PEM, with `-----BEGIN CERTIFICATE-----`".to_owned(),
        ),
        Ok(read) => Ok(read),
        Err(error) => Err(format!("is not valid PEM: {error}")),
    }
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    if memchr::memmem::find(text, b"ENCRYPTED").is_some() {
        let why = "the key is encrypted with a passphrase; write it without one: \
                   `openssl pkey -in <key> -out <file>`";
        return Err(why.to_owned());
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| {
        if matches!(error, PemError::NoItemsFound) {
            "holds no private key: it must be PEM, with `-----BEGIN PRIVATE KEY-----`".to_owned()
        } else {
            format!("is not valid PEM: {error}")
        }
    })
}

fn verifier(
    text: &[u8],
    auth: ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(text)? {
        let added = roots.add(authority);
        added.map_err(|error| format!("holds a certificate that is no authority: {error}"))?;
    }
    let roots = Arc::new(roots);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    let builder = match auth {
        ClientAuth::Required => builder,
        ClientAuth::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| error.to_string())
}

fn server_config<'t>(
    tls: &'t Tls,
    provider: Arc<CryptoProvider>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, (&'static str, &'t Path, String)> {
    let cert = |why: String| ("cert_path", tls.cert_path.as_path(), why);
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(tls.min_version))
        .map_err(|error| cert(error.to_string()))?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|error| {
        let key = |why: &str| ("key_path", tls.key_path.as_path(), why.to_owned());
        if matches!(error, Error::InconsistentKeys(_)) {
            key("the key does not belong to the certificate in gateway.tls.cert_path")
        } else if let Error::General(why) = &error {
            key(why)
        } else {
            cert(error.to_string())
        }
    })?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(config)
}

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static SINCE_V1_2: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];
    static SINCE_V1_3: [&SupportedProtocolVersion; 1] = [&version::TLS13];
    match min {
        TlsVersion::V1_2 => &SINCE_V1_2,
        TlsVersion::V1_3 => &SINCE_V1_3,
    }
}
