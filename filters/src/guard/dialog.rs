//! What a modern client is asked while its call waits for an approval, and the states that it comes back
//! with.
//!
//! **Invariant:** the dialog approves nothing. Whoever accepts it has the call looked at once more;
//! whoever declines takes the request for approval back.
//! **Invariant:** a state says which approval it is about and what that is bound to; a server's own state
//! is in it as it came.

use crate::json::object::Object;
use crate::mcp::input;

/// The key of the gateway's question among the input requests.
pub const KEY: &str = "conduit_approval";
/// What states of approvals are sealed for.
pub const CONTEXT: &[u8] = b"guardrail approval";

/// What a client comes back with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// What the approval is bound to.
    pub fingerprint: [u8; 32],
    /// The approval's id.
    pub approval: String,
    /// Where the call is.
    pub stage: Stage,
}

/// Where a call is that needs an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its client was told that it waits.
    Held,
    /// It was approved, and its server asks something.
    Begun {
        /// What tells this round from all others.
        round: [u8; 16],
        /// `requestState` of the server: the JSON string as it came.
        state: Option<String>,
    },
}

/// What a user did with the dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Wants the call to be tried again.
    Accept,
    /// Wants it no more, or closed the dialog.
    Decline,
}

/// What a user is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What the rule that holds the call says; it names the rule.
    pub message: String,
    /// The approval's id.
    pub approval: String,
    /// Whether it is approved by now.
    pub is_approved: bool,
    /// How long ago it was asked for, in seconds.
    pub age_seconds: u64,
    /// Until when it is good (RFC 3339).
    pub expires_at: String,
}

// === impl State ===

const HELD: u8 = 1;
const BEGUN: u8 = 2;
const BEGUN_WITH_STATE: u8 = 3;

impl State {
    /// As bytes, to be sealed for [`CONTEXT`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.fingerprint);
        // Ids are the gateway's own, and short.
        let id = self.approval.as_bytes();
        bytes.extend_from_slice(&(id.len() as u64).to_be_bytes());
        bytes.extend_from_slice(id);
        match &self.stage {
            Stage::Held => bytes.push(HELD),
            Stage::Begun { round, state } => {
                bytes.push(if state.is_some() {
                    BEGUN_WITH_STATE
                } else {
                    BEGUN
                });
                bytes.extend_from_slice(round);
                bytes.extend_from_slice(state.as_deref().unwrap_or_default().as_bytes());
            }
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (fingerprint, rest) = bytes.split_first_chunk::<32>()?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
        let (approval, rest) = rest.split_at_checked(length)?;
        let (stage, rest) = rest.split_first()?;
        let stage = if *stage == HELD {
            Stage::Held
        } else {
            let (round, state) = rest.split_first_chunk::<16>()?;
            let state = match *stage {
                BEGUN => None,
                BEGUN_WITH_STATE => Some(String::from_utf8(state.to_vec()).ok()?),
                _ => return None,
            };
            Stage::Begun {
                round: *round,
                state,
            }
        };
        Some(Self {
            fingerprint: *fingerprint,
            approval: String::from_utf8(approval.to_vec()).ok()?,
            stage,
        })
    }
}

/// What a user did with the dialog, by a retry's `inputResponses`; nothing where they do not say.
#[must_use]
pub fn choice(responses: &str) -> Option<Choice> {
    let responses = Object::read(responses)?;
    let answer = Object::read(responses.get(KEY)?)?;
    match &*answer.text("action")? {
        "accept" => Some(Choice::Accept),
        "decline" | "cancel" => Some(Choice::Decline),
        _ => None,
    }
}

// === impl Notice ===

impl Notice {
    /// The result that tells it (`InputRequiredResult`), with a form that has no fields. `state` is sealed.
    #[must_use]
    pub fn to_result(&self, state: &str) -> String {
        let mut params = Object::default();
        params.set_text("mode", "form");
        params.set_text("message", &self.text());
        params.set("requestedSchema", r#"{"type":"object","properties":{}}"#);
        let params = params.write();
        input::write_required(&[(KEY, "elicitation/create", &params)], state, None)
    }

    /// The message that it is told in.
    #[must_use]
    pub fn text(&self) -> String {
        let Self {
            message,
            approval,
            is_approved,
            age_seconds,
            expires_at,
        } = self;
        let (stands, accept) = if *is_approved {
            ("is approved", "Accept to make the call")
        } else {
            let accept = "It is somebody else's to approve. Accept to try again once that is done";
            ("is pending", accept)
        };
        format!(
            "{message}. Request for approval {approval} {stands}: it was made \
             {age_seconds} seconds ago and ends at {expires_at}. {accept}, or decline to withdraw the \
             request"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(stage: Stage) -> State {
        State {
            fingerprint: [7; 32],
            approval: "0af1".to_owned(),
            stage,
        }
    }

    fn states() -> [State; 4] {
        let begun = |state: Option<&str>| Stage::Begun {
            round: [9; 16],
            state: state.map(str::to_owned),
        };
        [
            state(Stage::Held),
            state(begun(None)),
            state(begun(Some(r#""""#))),
            state(begun(Some(r#""\u0061\/ü""#))),
        ]
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        for state in states() {
            assert_eq!(State::read(&state.to_bytes()), Some(state));
        }
    }

    #[test]
    fn what_is_cut_short_is_no_state() {
        for state in states() {
            let bytes = state.to_bytes();
            let least = bytes.len()
                - match &state.stage {
                    Stage::Held | Stage::Begun { state: None, .. } => 0,
                    Stage::Begun {
                        state: Some(own), ..
                    } => own.len(),
                };
            for at in 0..least {
                assert_eq!(State::read(&bytes[..at]), None, "{state:?} cut at {at}");
            }
        }
        let mut huge = state(Stage::Held).to_bytes();
        huge[32..40].copy_from_slice(&u64::MAX.to_be_bytes());
        assert_eq!(State::read(&huge), None);
    }

    #[test]
    fn only_an_action_of_the_protocol_is_a_choice() {
        let rows = [
            (
                r#"{"conduit_approval":{"action":"accept"}}"#,
                Some(Choice::Accept),
            ),
            (
                r#"{"x":{"action":"accept"},"conduit_approval":{"action":"decline","content":{}}}"#,
                Some(Choice::Decline),
            ),
            (
                r#"{"conduit_approval":{"action":"cancel"}}"#,
                Some(Choice::Decline),
            ),
            (r#"{"conduit_approval":{"action":"approve"}}"#, None),
            (r#"{"conduit_approval":{"action":true}}"#, None),
            (r#"{"conduit_approval":"accept"}"#, None),
            (r#"{"other":{"action":"accept"}}"#, None),
            ("{}", None),
            ("[]", None),
        ];
        for (responses, expected) in rows {
            assert_eq!(choice(responses), expected, "{responses}");
        }
    }

    #[test]
    fn a_user_is_told_of_the_rule_the_request_and_its_time_in_a_form_without_fields() {
        let notice = Notice {
            message: r#"No (guardrail "ask first")"#.to_owned(),
            approval: "0af1".to_owned(),
            is_approved: false,
            age_seconds: 42,
            expires_at: "2026-11-24T01:00:00Z".to_owned(),
        };
        let result = notice.to_result("sealed");
        let required = input::required(&result).unwrap();
        assert_eq!(required.state, Some(r#""sealed""#));
        let [request] = &required.requests[..] else {
            panic!("{result}");
        };
        assert_eq!(
            (&*request.key, &*request.method),
            (KEY, "elicitation/create")
        );
        let params = Object::read(&request.params).unwrap();
        assert_eq!(params.text("mode").as_deref(), Some("form"));
        let schema = params.get("requestedSchema");
        assert_eq!(schema, Some(r#"{"type":"object","properties":{}}"#));
        let message = params.text("message").unwrap().into_owned();
        let parts = [
            r#"No (guardrail "ask first"). "#,
            "0af1 is pending",
            "42 seconds",
            "2026-11-24T01:00:00Z",
        ];
        for part in parts {
            assert!(message.contains(part), "{part} in {message}");
        }
        let approved = Notice {
            is_approved: true,
            ..notice
        };
        assert!(approved.text().contains("0af1 is approved"));
    }
}
