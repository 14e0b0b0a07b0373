//! What a hit is held against: the least that a Pingora server does for a request whose answer it knows.
//!
//! Both read the whole body and write one constant of the workload's size, by the last part of the path.
//! One answers from `request_filter` of a proxy, as the gateway does; the other has no proxy around it.

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Response, StatusCode};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use pingora_core::services::listening::Service;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType};
use pingora_http::ResponseHeader;
use pingora_proxy::{ProxyHttp, Session};

use crate::cli::ConstantKind;
use crate::mcp::{Answer, ID_FIRST};
use crate::workload::Workload;

const JSON: &str = "application/json";

/// The answers, by workload.
struct Constant {
    answers: Vec<(&'static str, Bytes)>,
}

impl Constant {
    fn new() -> Self {
        let whole = |workload| {
            let Answer {
                before_id,
                after_id,
            } = Answer::to_workload(workload);
            let id = ID_FIRST.to_string();
            Bytes::from([before_id, id.as_bytes(), &after_id].concat())
        };
        let answers = Workload::ALL.map(|workload| (workload.name(), whole(workload)));
        Self {
            answers: answers.into(),
        }
    }

    /// Reads the request's body to its end, and finds the answer.
    async fn answer(&self, session: &mut ServerSession) -> pingora_core::Result<Bytes> {
        while session.read_request_body().await?.is_some() {}
        let path = session.req_header().uri.path();
        let found = self
            .answers
            .iter()
            .find(|(name, _)| path.strip_prefix('/') == Some(name));
        match found {
            Some((_, text)) => Ok(text.clone()),
            None => Error::e_explain(ErrorType::HTTPStatus(404), "no such workload"),
        }
    }
}

#[async_trait]
impl ProxyHttp for Constant {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn request_filter(
        &self,
        session: &mut Session,
        _ctx: &mut Self::CTX,
    ) -> pingora_core::Result<bool> {
        let downstream = session.as_downstream_mut();
        let text = self.answer(downstream).await?;
        let mut header = ResponseHeader::build_no_case(StatusCode::OK, Some(2))?;
        header.insert_header(CONTENT_TYPE, JSON)?;
        header.insert_header(CONTENT_LENGTH, text.len())?;
        downstream.write_response_header(Box::new(header)).await?;
        downstream.write_response_body(text, true).await?;
        Ok(true)
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _ctx: &mut Self::CTX,
    ) -> pingora_core::Result<Box<HttpPeer>> {
        Error::e_explain(ErrorType::InternalError, "there is no upstream")
    }
}

#[async_trait]
impl ServeHttp for Constant {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let (status, text) = match self.answer(session).await {
            Ok(text) => (StatusCode::OK, text),
            Err(_) => (StatusCode::NOT_FOUND, Bytes::new()),
        };
        let mut response = Response::new(text.to_vec());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(JSON));
        headers.insert(CONTENT_LENGTH, text.len().into());
        response
    }
}

/// Answers on `port` of the loopback until the process is told to stop.
pub(crate) fn serve(port: u16, threads: usize, kind: ConstantKind) {
    let conf = ServerConf {
        threads,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let address = format!("127.0.0.1:{port}");
    match kind {
        ConstantKind::Proxy => {
            let configuration = &server.configuration;
            let mut service = pingora_proxy::http_proxy_service(configuration, Constant::new());
            service.add_tcp(&address);
            server.add_service(service);
        }
        ConstantKind::Plain => {
            let mut service = Service::new("constant".to_owned(), Constant::new());
            service.add_tcp(&address);
            server.add_service(service);
        }
    }
    server.run(RunArgs::default());
}
