//! A client that sends exactly the bytes it is told to and reports exactly what came back.

use std::{io, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use super::{
    http1::{Framing, Headers, Reader},
    within,
};

/// A request to be; `Host` is filled in unless set.
#[derive(Clone)]
pub(crate) struct Request {
    method: &'static str,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    chunk_bytes: Option<usize>,
}

impl Request {
    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    pub(crate) fn put(target: &str) -> Self {
        Self::new("PUT", target)
    }

    pub(crate) fn delete(target: &str) -> Self {
        Self::new("DELETE", target)
    }

    pub(crate) fn options(target: &str) -> Self {
        Self::new("OPTIONS", target)
    }

    fn new(method: &'static str, target: &str) -> Self {
        Self {
            method,
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            chunk_bytes: None,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes a header away that a builder has set.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(key, _)| key != name);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the body in chunks of this size, with no length declared.
    pub(crate) fn chunked(mut self, chunk_bytes: usize) -> Self {
        self.chunk_bytes = Some(chunk_bytes);
        self
    }

    pub(crate) fn is_post(&self) -> bool {
        self.method == "POST"
    }

    pub(crate) fn body_bytes(&self) -> usize {
        self.body.len()
    }

    fn head(&self, address: SocketAddr) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            head += &format!("host: {address}\r\n");
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if self.chunk_bytes.is_some() {
            head += "transfer-encoding: chunked\r\n";
        } else if self.method != "GET" && !self.headers.iter().any(|(n, _)| n == "content-length") {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        head + "\r\n"
    }

    /// All of it as it is sent to whoever has no address.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut bytes = self.head(nobody).into_bytes();
        bytes.extend(self.framed_body());
        bytes
    }

    fn framed_body(&self) -> Vec<u8> {
        let Some(chunk_bytes) = self.chunk_bytes else {
            return self.body.clone();
        };
        let mut framed = Vec::with_capacity(self.body.len() + 64);
        for chunk in self.body.chunks(chunk_bytes) {
            framed.extend(format!("{:x}\r\n", chunk.len()).bytes());
            framed.extend(chunk);
            framed.extend(b"\r\n");
        }
        framed.extend(b"0\r\n\r\n");
        framed
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    /// The body ended as its framing promised, rather than with the connection.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// The message that is the answer: the document, or the last event of the stream.
    pub(crate) fn last_json(&self) -> Value {
        let text = self.text();
        match text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .next_back()
        {
            Some(data) => serde_json::from_str(data).unwrap(),
            None => self.json(),
        }
    }

    /// Everything that it says, headers included.
    pub(crate) fn told(&self) -> String {
        format!("{:?}\n{}\n", self.headers, self.text())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One TCP connection to the gateway.
pub(crate) struct Connection {
    address: SocketAddr,
    reader: Reader,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let reader = Reader::new(stream);
        Ok(Self { address, reader })
    }

    /// Sends a request and reads the whole answer; the connection can be used again if the peer kept it open.
    pub(crate) async fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        self.send(request).await?;
        self.receive().await
    }

    /// Reads the whole answer to what was sent.
    pub(crate) async fn receive(&mut self) -> io::Result<Answer> {
        let (status, headers) = self.reader.response_head().await?;
        self.finish(status, headers).await
    }

    /// As `ask`, for a connection that is not needed any more.
    pub(crate) async fn exchange(mut self, request: &Request) -> io::Result<Answer> {
        self.ask(request).await
    }

    pub(crate) async fn send(&mut self, request: &Request) -> io::Result<()> {
        let head = request.head(self.address);
        self.reader.stream.write_all(head.as_bytes()).await?;
        let sent = self.reader.stream.write_all(&request.framed_body()).await;
        // A peer may answer and close before it has read everything; its answer is what counts.
        let gone = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        match sent {
            Err(error) if !gone.contains(&error.kind()) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Sends the head of a request with `Expect: 100-continue`, and no body; the first status that comes back.
    pub(crate) async fn announce(&mut self, request: &Request) -> io::Result<u16> {
        let request = request.clone().header("expect", "100-continue");
        let head = request.head(self.address);
        self.reader.stream.write_all(head.as_bytes()).await?;
        let (status, _) = self.reader.response_head().await?;
        Ok(status)
    }

    /// Announces a body, which must be welcome, and sends it then.
    pub(crate) async fn ask_first(&mut self, request: &Request) -> io::Result<Answer> {
        assert_eq!(
            self.announce(request).await?,
            100,
            "the announced body is not welcome"
        );
        self.reader.stream.write_all(&request.framed_body()).await?;
        let (status, headers) = self.reader.response_head().await?;
        self.finish(status, headers).await
    }

    /// Sends a request and reads the head of its answer; the body follows event by event.
    pub(crate) async fn stream(mut self, request: &Request) -> io::Result<EventStream> {
        self.send(request).await?;
        let (status, headers) = self.reader.response_head().await?;
        let framing = Framing::of(&headers, Framing::UntilClose);
        Ok(EventStream {
            status,
            framing,
            reader: self.reader,
            pending: Vec::new(),
        })
    }

    async fn finish(&mut self, status: u16, headers: Headers) -> io::Result<Answer> {
        let undeclared = match status {
            100..200 | 204 | 304 => Framing::Ended,
            _ => Framing::UntilClose,
        };
        let mut framing = Framing::of(&headers, undeclared);
        let mut body = Vec::new();
        let whole = loop {
            match self.reader.piece(&mut framing).await {
                Ok(Some(piece)) => body.extend(piece),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        Ok(Answer {
            status,
            headers,
            body,
            whole,
        })
    }
}

/// An answer that is being read; dropping it closes the connection.
pub(crate) struct EventStream {
    pub(crate) status: u16,
    framing: Framing,
    reader: Reader,
    pending: Vec<u8>,
}

impl EventStream {
    /// The data of the next event, comments skipped; `None` at the end of the stream, however it came.
    pub(crate) async fn event(&mut self) -> Option<String> {
        loop {
            let block = self.block().await?;
            let data: Vec<&str> = block
                .lines()
                .filter_map(|l| l.strip_prefix("data:"))
                .collect();
            if !data.is_empty() {
                return Some(data.join("\n").trim_start().to_owned());
            }
        }
    }

    /// The next block of lines, which may be a comment.
    pub(crate) async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.pending, b"\n\n") {
                let block: Vec<u8> = self.pending.drain(..at + 2).collect();
                return Some(String::from_utf8(block).unwrap());
            }
            let piece = self.reader.piece(&mut self.framing).await.ok()??;
            self.pending
                .extend(piece.into_iter().filter(|byte| *byte != b'\r'));
        }
    }
}

/// Asks once over a fresh connection.
pub(crate) async fn ask(address: SocketAddr, request: &Request) -> Answer {
    within("an answer", async {
        let connection = Connection::open(address).await.unwrap();
        connection.exchange(request).await.unwrap()
    })
    .await
}

/// Opens an event stream over a fresh connection.
pub(crate) async fn stream(address: SocketAddr, request: &Request) -> EventStream {
    within("a stream to open", async {
        let connection = Connection::open(address).await.unwrap();
        connection.stream(request).await.unwrap()
    })
    .await
}

/// Asks once over HTTP/2 without TLS, prior knowledge.
pub(crate) async fn ask_h2c(address: SocketAddr, request: &Request) -> Answer {
    within("an answer over h2c", async {
        let stream = TcpStream::connect(address).await.unwrap();
        let url = format!("http://{address}");
        exchange_h2(stream, &url, request).await.unwrap()
    })
    .await
}

/// Sends a request over a connection of HTTP/1.1 that was opened to `url`, and reads the whole answer.
pub(crate) async fn exchange_h1<T>(io: T, url: &str, request: &Request) -> hyper::Result<Answer>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(io);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    let driver = tokio::spawn(connection);
    let mut asked = hyper_request(url, request);
    *asked.uri_mut() = request.target.parse().unwrap();
    let response = sender.send_request(asked).await?;
    let answer = answer(response).await;
    driver.abort();
    Ok(answer)
}

/// As [`exchange_h1`], of HTTP/2.
pub(crate) async fn exchange_h2<T>(io: T, url: &str, request: &Request) -> hyper::Result<Answer>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, driver) = connect_h2(io).await?;
    let response = sender.send_request(hyper_request(url, request)).await?;
    let answer = answer(response).await;
    driver.abort();
    Ok(answer)
}

/// A connection of HTTP/2, and the task that runs it.
pub(crate) async fn connect_h2<T>(
    io: T,
) -> hyper::Result<(SendRequest<Full<Bytes>>, JoinHandle<hyper::Result<()>>)>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(io);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (sender, connection) = handshake.await?;
    Ok((sender, tokio::spawn(connection)))
}

/// A request for a server at `url`.
pub(crate) fn hyper_request(url: &str, request: &Request) -> hyper::Request<Full<Bytes>> {
    let mut builder = hyper::Request::builder()
        .method(request.method)
        .uri(format!("{url}{}", request.target));
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let authority = url.split_once("://").unwrap().1;
    if !request.headers.iter().any(|(name, _)| name == "host") {
        builder = builder.header("host", authority);
    }
    let body = Full::new(Bytes::from(request.body.clone()));
    builder.body(body).unwrap()
}

async fn answer(response: hyper::Response<hyper::body::Incoming>) -> Answer {
    let status = response.status().as_u16();
    let named = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    let headers = Headers(response.headers().iter().map(named).collect());
    let body = response.into_body().collect().await;
    Answer {
        status,
        headers,
        whole: body.is_ok(),
        body: body
            .map(|body| body.to_bytes().to_vec())
            .unwrap_or_default(),
    }
}
