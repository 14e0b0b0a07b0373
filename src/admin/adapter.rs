//! Serves an axum router on a Pingora listener.

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;

use crate::admin::{answer, whole};

/// A router as a Pingora application. It takes no request bodies.
pub struct RouterApp {
    router: Router,
}

impl RouterApp {
    /// Wraps a router.
    #[must_use]
    pub fn new(router: Router) -> Self {
        Self { router }
    }
}

#[async_trait]
impl ServeHttp for RouterApp {
    async fn response(&self, session: &mut ServerSession) -> http::Response<Vec<u8>> {
        let header = session.req_header();
        let mut request = http::Request::new(Bytes::new());
        *request.method_mut() = header.method.clone();
        *request.uri_mut() = header.uri.clone();
        *request.headers_mut() = header.headers.clone();
        let response = whole(answer(self.router.clone(), request).await).await;
        let length = response.body().len();
        let mut response = response.map(|body| body.to_vec());
        response
            .headers_mut()
            .insert(http::header::CONTENT_LENGTH, length.into());
        response
    }
}
