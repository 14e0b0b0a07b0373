//! Which revisions the server speaks, and how it refuses the others.
//!
//! A dual-era server is what `rmcp` makes by itself. One era alone is the same server with less: a
//! modern-only one refuses `initialize` by naming its versions, as `rmcp` does; a legacy-only one
//! behaves as if 2026-07-28 had never been written, which `rmcp` does not do by itself.

use std::borrow::Cow;

use clap::ValueEnum;
use http::HeaderMap;
use rmcp::{
    ErrorData, RoleServer, Service,
    model::{
        ClientNotification, ClientRequest, ErrorCode, ProtocolVersion, ServerInfo, ServerResult,
    },
    service::{NotificationContext, RequestContext},
};

const VERSION_HEADER: &str = "mcp-protocol-version";

/// The revisions a server speaks.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Era {
    /// Every one.
    Dual,
    /// 2026-07-28 only.
    Modern,
    /// Up to 2025-11-25.
    Legacy,
}

impl Era {
    pub(crate) fn versions(self) -> Cow<'static, [ProtocolVersion]> {
        match self {
            Self::Dual => Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS),
            Self::Modern => Cow::Borrowed(&[ProtocolVersion::V_2026_07_28]),
            Self::Legacy => {
                Cow::Borrowed(ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25))
            }
        }
    }

    /// Whether a legacy server would refuse a request by its version header alone.
    pub(crate) fn refuses(self, headers: &HeaderMap) -> bool {
        let known = |named: &[u8]| {
            self.versions()
                .iter()
                .any(|version| version.as_str().as_bytes() == named)
        };
        self == Self::Legacy
            && headers
                .get(VERSION_HEADER)
                .is_some_and(|value| !known(value.as_bytes()))
    }
}

/// A server that has not heard of methods newer than its era. Over HTTP, [`Era::refuses`] does it.
pub(crate) struct Bounded<S> {
    pub(crate) server: S,
    pub(crate) era: Era,
}

impl<S: Service<RoleServer>> Service<RoleServer> for Bounded<S> {
    async fn handle_request(
        &self,
        request: ClientRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        if self.era == Era::Legacy && matches!(request, ClientRequest::DiscoverRequest(_)) {
            return Err(ErrorData::new(
                ErrorCode::METHOD_NOT_FOUND,
                "Method not found",
                None,
            ));
        }
        self.server.handle_request(request, context).await
    }

    async fn handle_notification(
        &self,
        notification: ClientNotification,
        context: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.server.handle_notification(notification, context).await
    }

    fn get_info(&self) -> ServerInfo {
        self.server.get_info()
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.server.supported_protocol_versions()
    }
}
