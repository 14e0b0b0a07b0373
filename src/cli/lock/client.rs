//! The admin API of a running gateway, asked one question at a time.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde_json::Value;

use crate::cli::lock::show::member;
use crate::config::Config;
use crate::config::model::Secret;

/// How long the gateway may take to say something.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most header lines of an answer.
const HEADERS_MAX: usize = 64;

/// A running gateway.
pub(super) struct Client {
    host: String,
    key: Option<Secret>,
}

impl Client {
    /// The gateway at `url`, else where a configuration says.
    ///
    /// # Errors
    /// Where it is not reached by plain HTTP.
    pub(super) fn new(config: &Config, url: Option<&str>) -> Result<Self, String> {
        let host = match url {
            Some(url) => {
                let host = url.trim_end_matches('/').strip_prefix("http://");
                host.ok_or("--url must be http://host:port")?.to_owned()
            }
            None if config.gateway.tls.is_some() => {
                return Err("the gateway speaks HTTPS: name an http:// --url".to_owned());
            }
            None => format!("{}:{}", reached(&config.gateway.host), config.gateway.port),
        };
        let host = match host.parse::<http::uri::Authority>() {
            Ok(host) if host.port().is_none() => format!("{host}:80"),
            Ok(host) => host.to_string(),
            Err(_) => return Err(format!("{host:?} is no host and port")),
        };
        Ok(Self {
            host,
            key: config.admin.key.clone(),
        })
    }

    /// Asks.
    ///
    /// # Errors
    /// What went wrong.
    pub(super) fn get(&self, path: &str) -> Result<Value, String> {
        self.ask("GET", path, "")
    }

    /// Has something changed.
    ///
    /// # Errors
    /// What went wrong.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.ask("POST", path, &body.to_string())
    }

    fn ask(&self, verb: &str, path: &str, body: &str) -> Result<Value, String> {
        let host = &self.host;
        let key = self.key.as_ref().map(|key| key.expose());
        let key = key.map(|key| format!("x-admin-key: {key}\r\n"));
        let request = format!(
            "{verb} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nx-conduit-admin: 1\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n{}\r\n{body}",
            body.len(),
            key.unwrap_or_default(),
        );
        let answer = exchange(host, request.as_bytes());
        let answer = answer.map_err(|error| {
            format!("the gateway at {host} cannot be asked: {error}; is it running?")
        })?;
        read(&answer)
    }
}

/// An address of this machine in the place of all of them.
fn reached(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Ipv4Addr::LOCALHOST.to_string(),
        Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => format!("[{}]", Ipv6Addr::LOCALHOST),
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        Ok(IpAddr::V4(_)) | Err(_) => host.to_owned(),
    }
}

fn exchange(host: &str, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut last = std::io::Error::other("it has no address");
    for address in host.to_socket_addrs()? {
        let mut stream = match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => stream,
            Err(error) => {
                last = error;
                continue;
            }
        };
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(request)?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        return Ok(answer);
    }
    Err(last)
}

fn read(answer: &[u8]) -> Result<Value, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let length = match head.parse(answer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) | Err(_) => {
            return Err("what answers there is no Conduit".to_owned());
        }
    };
    let status = head.code.unwrap_or_default();
    let body = answer.get(length..).unwrap_or_default();
    let body: Option<Value> = serde_json::from_slice(body).ok();
    match (status, body) {
        (200, Some(body)) => Ok(body),
        (401, _) => Err("the gateway wants its admin key: set CONDUIT_ADMIN_KEY".to_owned()),
        (status, Some(body)) => match member(&body, "error").as_str() {
            Some(error) => Err(error.to_owned()),
            None => Err(format!("the gateway answered {status}")),
        },
        (status, None) => Err(format!(
            "the gateway answered {status}, and not as expected"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, source::Source};

    fn host(text: &str, url: Option<&str>) -> Result<String, String> {
        let config = config::load(&Source::from_text(text)).unwrap().config;
        Client::new(&config, url).map(|client| client.host)
    }

    #[test]
    fn the_gateway_is_where_the_configuration_or_the_command_line_says() {
        let open = "admin: {allow_unauthenticated: true}\n";
        let text = format!("{open}gateway: {{host: 0.0.0.0, port: 9}}");
        assert_eq!(host(&text, None).unwrap(), "127.0.0.1:9");
        let text = format!("{open}gateway: {{host: '::', port: 9}}");
        assert_eq!(host(&text, None).unwrap(), "[::1]:9");
        assert_eq!(host("", Some("http://h:7/")).unwrap(), "h:7");
        assert_eq!(host("", Some("http://h")).unwrap(), "h:80");
        assert!(host("", Some("https://h")).is_err());
        assert!(host("", Some("http://h/p")).is_err());
    }

    #[test]
    fn what_is_no_answer_of_a_gateway_is_said_to_be_none() {
        assert!(read(b"").unwrap_err().contains("no Conduit"));
        let refused = b"HTTP/1.1 409 Conflict\r\n\r\n{\"error\":\"look again\"}";
        assert_eq!(read(refused).unwrap_err(), "look again");
        assert!(
            read(b"HTTP/1.1 401 No\r\n\r\n")
                .unwrap_err()
                .contains("CONDUIT_ADMIN_KEY")
        );
        assert_eq!(
            read(b"HTTP/1.1 200 OK\r\n\r\n{}").unwrap(),
            serde_json::json!({})
        );
    }
}
