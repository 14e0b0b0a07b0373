//! Serves a control plane on a Pingora listener of its own.

use async_trait::async_trait;
use bytes::Bytes;
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;

use crate::state::ControlPlane;

/// A control plane as a Pingora application. It takes no request bodies.
pub(super) struct ControlApp {
    control: ControlPlane,
}

impl ControlApp {
    /// Wraps a control plane.
    pub(super) fn new(control: ControlPlane) -> Self {
        Self { control }
    }
}

#[async_trait]
impl ServeHttp for ControlApp {
    async fn response(&self, session: &mut ServerSession) -> http::Response<Vec<u8>> {
        let header = session.req_header();
        let mut request = http::Request::new(Bytes::new());
        *request.method_mut() = header.method.clone();
        *request.uri_mut() = header.uri.clone();
        *request.headers_mut() = header.headers.clone();
        let mut response = (self.control)(request).await.map(|body| body.to_vec());
        let length = response.body().len();
        response
            .headers_mut()
            .insert(http::header::CONTENT_LENGTH, length.into());
        response
    }
}
