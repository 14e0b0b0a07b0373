//! Certificates that are made for a test, and clients that trust them.

use std::{fs, io, net::SocketAddr, path::PathBuf, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::wire::{self, Answer, Request};
use super::within;

/// An authority of a test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate of a server on loopback.
    pub(crate) fn server(&self) -> Pair {
        self.sign(CertificateParams::new(names()).unwrap())
    }

    /// One whose time is over.
    pub(crate) fn expired_server(&self) -> Pair {
        let mut params = CertificateParams::new(names()).unwrap();
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign(params)
    }

    /// A client's certificate: its common name, URIs and organisation.
    pub(crate) fn client(&self, name: &str, uris: &[&str], organization: Option<&str>) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(organization) = organization {
            let subject = &mut params.distinguished_name;
            subject.push(DnType::OrganizationName, organization);
        }
        let uri = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
        params.subject_alt_names = uris.iter().map(uri).collect();
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }
}

fn names() -> Vec<String> {
    ["127.0.0.1", "localhost"].map(str::to_owned).into()
}

/// A folder with the files of a gateway.
pub(crate) struct Files {
    folder: TempDir,
}

impl Files {
    pub(crate) fn new(pair: &Pair) -> Self {
        let files = Self {
            folder: TempDir::new().unwrap(),
        };
        files.put(pair);
        files
    }

    /// Replaces certificate and key.
    pub(crate) fn put(&self, pair: &Pair) {
        self.write("key.pem", &pair.key);
        self.write("cert.pem", &pair.cert);
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `gateway.tls` of these files, with more of it.
    pub(crate) fn section(&self, more: &Value) -> Value {
        let mut section = json!({ "enabled": true,
            "cert_path": self.path("cert.pem"), "key_path": self.path("key.pem") });
        for (key, value) in more.as_object().unwrap() {
            section[key] = value.clone();
        }
        section
    }
}

/// A client that trusts an authority.
#[derive(Clone)]
pub(crate) struct Client {
    config: ClientConfig,
}

impl Client {
    pub(crate) fn new(trusted: &Authority) -> Self {
        Self::of(
            trusted,
            None,
            &[&rustls::version::TLS12, &rustls::version::TLS13],
        )
    }

    /// One with a certificate.
    pub(crate) fn with(trusted: &Authority, pair: &Pair) -> Self {
        let versions = [&rustls::version::TLS12, &rustls::version::TLS13];
        Self::of(trusted, Some(pair), &versions)
    }

    pub(crate) fn of(
        trusted: &Authority,
        pair: Option<&Pair>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(trusted.pem.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let cert = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        Self { config }
    }

    /// Opens a connection, offering these protocols.
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
        protocols: &[&str],
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut config = self.config.clone();
        config.alpn_protocols = protocols
            .iter()
            .map(|one| one.as_bytes().to_vec())
            .collect();
        let tcp = TcpStream::connect(address).await?;
        let name = ServerName::from(address.ip());
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
    }

    /// Asks once over HTTP/1.1; what went wrong where nothing came back.
    pub(crate) async fn try_ask(
        &self,
        address: SocketAddr,
        request: &Request,
    ) -> Result<Answer, String> {
        within("an answer over TLS", async {
            let stream = self.connect(address, &["http/1.1"]).await;
            let stream = stream.map_err(|error| error.to_string())?;
            let url = format!("https://{address}");
            let answer = wire::exchange_h1(stream, &url, request).await;
            answer.map_err(|error| format!("{error:?}"))
        })
        .await
    }

    /// Asks once over HTTP/1.1.
    pub(crate) async fn ask(&self, address: SocketAddr, request: &Request) -> Answer {
        self.try_ask(address, request).await.unwrap()
    }

    /// Asks once over HTTP/2.
    pub(crate) async fn ask_h2(&self, address: SocketAddr, request: &Request) -> Answer {
        within("an answer over HTTP/2", async {
            let stream = self.connect(address, &["h2"]).await.unwrap();
            let url = format!("https://{address}");
            wire::exchange_h2(stream, &url, request).await.unwrap()
        })
        .await
    }
}

/// The certificate that a server showed.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}
