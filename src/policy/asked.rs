//! A question, as it is written in a request's body or in a file of cases.

use filters::identity::{Principal, Proof};
use filters::policy::Question;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Who would send what, and what its server would answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    client: Option<String>,
    tenant: Option<String>,
    roles: Vec<String>,
    scopes: Vec<String>,
    server: Option<String>,
    method: Option<String>,
    tool: Option<String>,
    prompt: Option<String>,
    resource: Option<String>,
    arguments: Option<Value>,
    params: Option<Value>,
    message: Option<Value>,
    result: Option<Value>,
}

/// A question that was understood.
#[derive(Clone, Debug)]
pub struct Understood {
    principal: Principal,
    server: Option<String>,
    message: String,
    result: Option<String>,
}

impl Asked {
    /// Makes sense of it. `has_auth` tells whether clients are authenticated at all.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn understand(&self, has_auth: bool) -> Result<Understood, String> {
        if has_auth && self.client.is_none() {
            let why = "`client` is missing: the configuration lets nobody in who is not known";
            return Err(why.to_owned());
        }
        let named = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
        let anonymous = Principal::anonymous();
        Ok(Understood {
            principal: Principal {
                client: self.client.as_deref().map_or(anonymous.client, Into::into),
                tenant: self.tenant.as_deref().map(Into::into),
                roles: named(&self.roles),
                scopes: named(&self.scopes),
                proof: if has_auth { Proof::Jwt } else { Proof::None },
            },
            server: self.server.clone(),
            message: self.message()?.to_string(),
            result: self.result.as_ref().map(Value::to_string),
        })
    }

    /// The message that would be sent.
    fn message(&self) -> Result<Value, String> {
        let items = [
            ("tool", "name", "tools/call", &self.tool),
            ("prompt", "name", "prompts/get", &self.prompt),
            ("resource", "uri", "resources/read", &self.resource),
        ];
        let mut named = items
            .into_iter()
            .filter_map(|(field, member, method, name)| {
                Some((field, member, method, name.as_ref()?))
            });
        let item = named.next();
        if let (Some((one, ..)), Some((other, ..))) = (item, named.next()) {
            return Err(format!("`{one}` and `{other}` cannot both be meant"));
        }
        if let Some(message) = &self.message {
            let is_alone = item.is_none()
                && self.method.is_none()
                && self.params.is_none()
                && self.arguments.is_none();
            return match message {
                Value::Object(_) if is_alone => Ok(message.clone()),
                Value::Object(_) => Err("`message` says it all: leave the others out".to_owned()),
                _ => Err("`message` must be a JSON-RPC message, an object".to_owned()),
            };
        }
        let mut params = match &self.params {
            None => Map::new(),
            Some(Value::Object(params)) => params.clone(),
            Some(_) => return Err("`params` must be an object".to_owned()),
        };
        if let Some((_, member, _, name)) = item {
            params.insert(member.to_owned(), json!(name));
        }
        if let Some(arguments) = &self.arguments {
            params.insert("arguments".to_owned(), arguments.clone());
        }
        let method = self
            .method
            .as_deref()
            .or(item.map(|(_, _, method, _)| method));
        let Some(method) = method else {
            let why = "nothing is asked: say `tool`, `prompt`, `resource`, `method` or `message`";
            return Err(why.to_owned());
        };
        Ok(json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
    }
}

impl Understood {
    /// What the policies are asked.
    #[must_use]
    pub fn question(&self) -> Question<'_> {
        Question {
            principal: &self.principal,
            server: self.server.as_deref(),
            message: &self.message,
            result: self.result.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Result<String, String> {
        let asked: Asked = serde_json::from_str(text).unwrap();
        asked.understand(false).map(|asked| asked.message)
    }

    #[test]
    fn what_is_named_becomes_the_message_that_would_be_sent() {
        for (asked, sent) in [
            (
                r#"{"tool":"t","arguments":{"a":1}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":1}}}"#,
            ),
            (
                r#"{"resource":"x://y"}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"x://y"}}"#,
            ),
            (
                r#"{"method":"resources/subscribe","resource":"x://y"}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"x://y"}}"#,
            ),
            (
                r#"{"message":{"jsonrpc":"2.0","id":7,"method":"ping"}}"#,
                r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#,
            ),
        ] {
            assert_eq!(message(asked).unwrap(), sent, "{asked}");
        }
    }

    #[test]
    fn what_has_no_clear_meaning_is_refused_by_name() {
        for (asked, named) in [
            ("{}", "nothing is asked"),
            (r#"{"tool":"t","prompt":"p"}"#, "`tool` and `prompt`"),
            (r#"{"message":{},"tool":"t"}"#, "leave the others out"),
            (r#"{"message":"ping"}"#, "an object"),
            (r#"{"method":"x","params":[]}"#, "`params`"),
        ] {
            let error = message(asked).unwrap_err();
            assert!(error.contains(named), "{asked}: {error}");
        }
    }

    #[test]
    fn where_clients_are_authenticated_nobody_is_asked_about_without_a_name() {
        let asked: Asked = serde_json::from_str(r#"{"tool":"t"}"#).unwrap();
        assert!(asked.understand(true).unwrap_err().contains("`client`"));
    }
}
