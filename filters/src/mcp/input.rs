//! Input that a server asks of a client in the middle of a call (2026-07-28, "Multi Round-Trip
//! Requests"), read and written.
//!
//! **Invariant:** a state passes as it came. Only the gateway's own is ever read, and that is sealed.

use std::borrow::Cow;

use crate::json::object::{self, Object};
use crate::mcp::capability::{self, Need};
use crate::mcp::translate::{SERVER_INFO, edit_meta};

/// What an `input_required` result asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required<'a> {
    /// The requests, in order.
    pub requests: Vec<Request<'a>>,
    /// `requestState`: the JSON string as it came, to be echoed byte for byte.
    pub state: Option<&'a str>,
}

/// One request for input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The server's name for it.
    pub key: Cow<'a, str>,
    /// `elicitation/create`, `sampling/createMessage` or `roots/list`; empty where the server named
    /// none, which no client can answer.
    pub method: Cow<'a, str>,
    /// Its params as JSON text: `{}` where it has none.
    pub params: Cow<'a, str>,
}

/// What a modern client's retry brings: the answers, each the request's key and the result as JSON
/// text, and `requestState`, unescaped.
pub type Responses<'a> = (Vec<(Cow<'a, str>, Cow<'a, str>)>, Option<Cow<'a, str>>);

/// Reads a result that asks for input; nothing where `resultType` is not `input_required`.
#[must_use]
pub fn required(result: &str) -> Option<Required<'_>> {
    let mut object = Object::read(result)?;
    if object.text("resultType").as_deref() != Some("input_required") {
        return None;
    }
    let asked = object.take("inputRequests").and_then(borrowed);
    let members = asked.and_then(Object::read).unwrap_or_default();
    let requests = members.into_members().map(|(key, request)| {
        let mut request = borrowed(request).and_then(Object::read).unwrap_or_default();
        let method = request.take("method").and_then(borrowed);
        let params = request.take("params").filter(|it| it.starts_with('{'));
        Request {
            key,
            method: method.and_then(object::string).unwrap_or_default(),
            params: params.unwrap_or(Cow::Borrowed("{}")),
        }
    });
    Some(Required {
        requests: requests.collect(),
        state: object
            .take("requestState")
            .and_then(borrowed)
            .filter(|it| it.starts_with('"')),
    })
}

/// The text of a member that was read and not changed.
fn borrowed(text: Cow<'_, str>) -> Option<&str> {
    match text {
        Cow::Borrowed(text) => Some(text),
        Cow::Owned(_) => None,
    }
}

/// A request's params as a legacy client takes them: 2025-11-25 requires an id of a URL elicitation,
/// which the modern era has not. `elicitation_id` is the gateway's to choose, unique in its session.
#[must_use]
pub fn legacy_params(request: &Request<'_>, elicitation_id: &str) -> String {
    let mut params = Object::read(&request.params).unwrap_or_default();
    let needs_id = capability::need(&request.method, &request.params) == Some(Need::ElicitationUrl);
    if needs_id && params.get("elicitationId").is_none() {
        params.set_text("elicitationId", elicitation_id);
    }
    params.write()
}

/// An `InputRequiredResult` around requests (key, method, params as JSON text) that a legacy server
/// sent, without what the modern era has no word for. `state` is plain text, and left out where it is
/// empty; `server_info` is an `Implementation`, JSON text.
#[must_use]
pub fn write_required(
    requests: &[(&str, &str, &str)],
    state: &str,
    server_info: Option<&str>,
) -> String {
    let mut asked = Object::default();
    for (key, method, params) in requests {
        let mut request = Object::default();
        request.set_text("method", method);
        let params = modern_params(params);
        if !(params.is_empty() && *method == "roots/list") {
            request.set("params", params.write());
        }
        asked.set(*key, request.write());
    }
    let mut result = Object::default();
    result.set_text("resultType", "input_required");
    if !asked.is_empty() {
        result.set("inputRequests", asked.write());
    }
    if !state.is_empty() {
        result.set_text("requestState", state);
    }
    if let Some(server) = server_info {
        edit_meta(&mut result, |meta| meta.set(SERVER_INFO, server.to_owned()));
    }
    result.write()
}

/// The params of a legacy server's request less what 2025-11-25 alone has: task augmentation, the id
/// of a URL elicitation; and the progress token, as a result is no request to report on.
fn modern_params(params: &str) -> Object<'_> {
    let mut object = Object::read(params).unwrap_or_default();
    object.retain(|name| name != "task" && name != "elicitationId");
    edit_meta(&mut object, |meta| {
        meta.retain(|key| key != "progressToken" && key != "io.modelcontextprotocol/related-task");
    });
    object
}

/// What -32042 of a legacy server (2025-11-25, "URL Elicitation Required") asks the user to visit:
/// the params of as many `elicitation/create` requests, for [`write_required`]. The server waits for
/// nothing, so the retry is a call like the first and needs no state. Nothing for any other error.
#[must_use]
pub fn url_required(error: &str) -> Option<Vec<String>> {
    let error = Object::read(error)?;
    if error.get("code") != Some("-32042") {
        return None;
    }
    let data = Object::read(error.get("data")?)?;
    let elicitations = object::elements(data.get("elicitations")?)?;
    let params = elicitations.into_iter().map(|text| {
        let mut params = Object::read(text)?;
        params.text("url")?;
        params.set_text("mode", "url");
        Some(params.write())
    });
    let params: Vec<String> = params.collect::<Option<_>>()?;
    (!params.is_empty()).then_some(params)
}

/// Reads the answers out of a retry's params; nothing where these are no retry's. A state that is no
/// string reads as the empty one, which opens nothing.
#[must_use]
pub fn responses(params: &str) -> Option<Responses<'_>> {
    let mut object = Object::read(params)?;
    let answers = object.take("inputResponses");
    let state = object.take("requestState");
    if answers.is_none() && state.is_none() {
        return None;
    }
    let answers = answers.and_then(borrowed).and_then(Object::read);
    let results = answers.unwrap_or_default().into_members().collect();
    let state = state.map(|text| borrowed(text).and_then(object::string).unwrap_or_default());
    Some((results, state))
}

/// The params less what changes between a call and its retry, to bind a sealed state to by digest:
/// without `_meta`, `inputResponses` and `requestState`, the rest sorted by name with its text as it
/// came.
#[must_use]
pub fn bare_params(params: &str) -> String {
    let object = Object::read(params).unwrap_or_default();
    let mut members: Vec<_> = object
        .into_members()
        .filter(|(name, _)| !matches!(&**name, "_meta" | "inputResponses" | "requestState"))
        .collect();
    // Stable, so that of two members with one name the last still counts.
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut bare = Object::default();
    for (name, value) in members {
        bare.set(name, value);
    }
    bare.write()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_result_that_says_so_asks_for_input() {
        for result in [
            "{}",
            "[]",
            r#"{"resultType":"complete","inputRequests":{}}"#,
            r#"{"resultType":7,"inputRequests":{}}"#,
        ] {
            assert_eq!(required(result), None, "{result}");
        }
        let empty = Required {
            requests: Vec::new(),
            state: None,
        };
        assert_eq!(
            required(r#"{"resultType":"input\u005frequired"}"#),
            Some(empty)
        );
    }

    #[test]
    fn requests_are_read_in_order_and_the_state_as_it_came() {
        let result = r#"{"resultType":"input_required","requestState":"\u0061\/","inputRequests":{"k\n":{"method":"roots/list"},"b":{"method":"elicitation\/create","params":{ "message":"m"}},"c":7,"d":{"method":"x","params":[]}}}"#;
        let required = required(result).unwrap();
        let requests: Vec<_> = required
            .requests
            .iter()
            .map(|it| (&*it.key, &*it.method, &*it.params))
            .collect();
        assert_eq!(
            requests,
            [
                ("k\n", "roots/list", "{}"),
                ("b", "elicitation/create", r#"{ "message":"m"}"#),
                ("c", "", "{}"),
                ("d", "x", "{}"),
            ]
        );
        assert_eq!(required.state, Some(r#""\u0061\/""#));
    }

    #[test]
    fn a_legacy_request_is_asked_in_modern_words() {
        let url = r#"{"mode":"url","message":"m","url":"https:\/\/a","elicitationId":"e","task":{"ttl":1},"_meta":{"progressToken":1,"io.modelcontextprotocol/related-task":{},"v":1}}"#;
        let text = write_required(
            &[("1", "elicitation/create", url), ("2", "roots/list", "{}")],
            "s\"",
            Some("{}"),
        );
        assert_eq!(
            text,
            r#"{"resultType":"input_required","inputRequests":{"1":{"method":"elicitation/create","params":{"mode":"url","message":"m","url":"https:\/\/a","_meta":{"v":1}}},"2":{"method":"roots/list"}},"requestState":"s\"","_meta":{"io.modelcontextprotocol/serverInfo":{}}}"#
        );
        let read = required(&text).unwrap();
        assert_eq!(read.requests.len(), 2);
        assert_eq!(
            write_required(&[("1", "sampling/createMessage", "nonsense")], "", None),
            r#"{"resultType":"input_required","inputRequests":{"1":{"method":"sampling/createMessage","params":{}}}}"#
        );
    }

    #[test]
    fn a_url_elicitation_has_an_id_for_a_legacy_client_and_nothing_else_has() {
        let rows = [
            (
                "elicitation/create",
                r#"{"mode":"url","url":"u"}"#,
                r#"{"mode":"url","url":"u","elicitationId":"e1"}"#,
            ),
            (
                "elicitation/create",
                r#"{"mode":"url","elicitationId":"own"}"#,
                r#"{"mode":"url","elicitationId":"own"}"#,
            ),
            (
                "elicitation/create",
                r#"{"message":"m"}"#,
                r#"{"message":"m"}"#,
            ),
            ("roots/list", "{}", "{}"),
        ];
        for (method, params, expected) in rows {
            let request = Request {
                key: "k".into(),
                method: method.into(),
                params: params.into(),
            };
            assert_eq!(legacy_params(&request, "e1"), expected);
        }
    }

    #[test]
    fn a_demand_to_visit_urls_becomes_requests() {
        let error = r#"{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","url":"https://a","elicitationId":"e","message":"m"},{"url":"https://b"}]}}"#;
        assert_eq!(
            url_required(error).unwrap(),
            [
                r#"{"mode":"url","url":"https://a","elicitationId":"e","message":"m"}"#,
                r#"{"url":"https://b","mode":"url"}"#,
            ]
        );
        for other in [
            r#"{"code":-32602,"data":{"elicitations":[{"url":"u"}]}}"#,
            r#"{"code":-32042,"data":{"elicitations":[]}}"#,
            r#"{"code":-32042,"data":{"elicitations":[{"message":"m"}]}}"#,
            r#"{"code":-32042}"#,
        ] {
            assert_eq!(url_required(other), None, "{other}");
        }
    }

    #[test]
    fn only_a_retry_has_answers() {
        assert_eq!(responses(r#"{"name":"t"}"#), None);
        assert_eq!(responses("[]"), None);
        let (results, state) = responses(
            r#"{"inputResponses":{"a\u0062":{ "action":"accept"},"c":1},"requestState":"\u0061"}"#,
        )
        .unwrap();
        assert_eq!(
            results,
            [
                ("ab".into(), r#"{ "action":"accept"}"#.into()),
                ("c".into(), Cow::Borrowed("1")),
            ]
        );
        assert_eq!(state.as_deref(), Some("a"));
        assert_eq!(
            responses(r#"{"requestState":null}"#),
            Some((Vec::new(), Some("".into())))
        );
        assert_eq!(
            responses(r#"{"inputResponses":[]}"#),
            Some((Vec::new(), None))
        );
    }

    #[test]
    fn a_call_and_its_retry_have_the_same_bare_params_and_no_other_call_has() {
        let call = r#"{"name":"t","arguments":{"b":1.0, "a":2},"_meta":{"progressToken":1}}"#;
        let retry = r#"{"requestState":"s","arguments":{"b":1.0, "a":2},"inputResponses":{},"_meta":{"progressToken":2},"n\u0061me":"t"}"#;
        assert_eq!(
            bare_params(call),
            r#"{"arguments":{"b":1.0, "a":2},"name":"t"}"#
        );
        assert_eq!(bare_params(retry), bare_params(call));
        assert_ne!(bare_params(&call.replace("1.0", "1")), bare_params(call));
        assert_eq!(bare_params("nonsense"), "{}");
        assert_eq!(bare_params(r#"{"a":1,"a":2}"#), r#"{"a":2}"#);
    }
}
