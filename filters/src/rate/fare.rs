//! Which messages are charged, and for which tool.
//!
//! Whatever wants something done is charged, answered from a cache or not, and so is what nothing here
//! knows, asked or told: its server may do something for it. What only opens or keeps a conversation is
//! free, so that a client that used its limits up can still come back and be told so; answers and
//! notifications of MCP are, too: refusing them would leave its server with half a conversation.

use crate::mcp::call::{Call, Target};
use crate::mcp::method::Method;
use crate::rpc::parse::Body;

/// Whether a message is charged.
#[must_use]
pub fn is_charged(call: &Call<'_>) -> bool {
    if matches!(call.message.body, Body::Response { .. }) {
        return false;
    }
    match call.method {
        Method::Initialize | Method::Ping | Method::ServerDiscover => false,
        // With an id it is something else under this name.
        Method::Cancelled | Method::Notification => call.is_request(),
        Method::ToolsList
        | Method::ToolsCall
        | Method::PromptsList
        | Method::PromptsGet
        | Method::ResourcesList
        | Method::ResourcesTemplatesList
        | Method::ResourcesRead
        | Method::ResourcesSubscribe
        | Method::ResourcesUnsubscribe
        | Method::CompletionComplete
        | Method::LoggingSetLevel
        | Method::SubscriptionsListen
        | Method::Tasks
        | Method::Other => true,
    }
}

/// The tool that is called, as the message spells it.
#[must_use]
pub fn tool<'c>(call: &'c Call<'_>) -> Option<&'c str> {
    match &call.target {
        Some(Target::Tool(name)) => Some(name),
        Some(Target::Prompt(_) | Target::Resource(_) | Target::Task(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::header::Headers;
    use crate::rpc::parse;

    fn check(text: &str) -> (bool, Option<String>) {
        let message = parse::message(text).unwrap();
        let call = Call::classify(message, &Headers::default()).unwrap();
        (is_charged(&call), tool(&call).map(str::to_owned))
    }

    fn request(method: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"name":"n"}}}}"#)
    }

    #[test]
    fn whatever_wants_something_done_is_charged() {
        for method in ["tools/list", "resources/read", "completion/complete", "x/y"] {
            assert_eq!(check(&request(method)), (true, None), "{method}");
        }
        assert_eq!(check(&request("tools/call")), (true, Some("n".into())));
        assert_eq!(check(&request("prompts/get")), (true, None));
    }

    #[test]
    fn what_nothing_here_knows_is_charged_with_an_id_or_without() {
        for text in [
            r#"{"jsonrpc":"2.0","method":"x/y"}"#,
            r#"{"jsonrpc":"2.0","method":"Tools/Call","params":{"name":"n"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"notifications/x"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"notifications/cancelled"}"#,
        ] {
            assert_eq!(check(text), (true, None), "{text}");
        }
    }

    #[test]
    fn what_opens_a_conversation_and_what_mcp_wants_no_answer_to_is_free() {
        for method in ["initialize", "ping", "server/discover"] {
            assert!(!check(&request(method)).0, "{method}");
        }
        for text in [
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        ] {
            assert!(!check(text).0, "{text}");
        }
    }
}
