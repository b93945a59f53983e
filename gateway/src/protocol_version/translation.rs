//! How the two eras say the same: members that one of them has and the other has not.

use crate::wire::{ErrorCode, JsonMembers, Message, MessageKind, ProtocolError, meta, method};
use serde_json::value::RawValue;

/// Metadata in which a newer request describes itself and its client.
const OWN: [&str; 4] = [
    meta::PROTOCOL_VERSION,
    meta::CLIENT_CAPABILITIES,
    meta::CLIENT_INFO,
    meta::LOG_LEVEL,
];

/// Requests that only the older era has.
const ONLY_OLDER: [&str; 5] = [
    method::INITIALIZE,
    method::PING,
    method::SET_LEVEL,
    method::RESOURCES_SUBSCRIBE,
    method::RESOURCES_UNSUBSCRIBE,
];

/// The error with which the older era says that there is no such resource.
const NO_RESOURCE: &str = "-32002";

/// Requests during which a server may ask back.
pub(super) const ASKING_BACK: [&str; 3] = [
    method::TOOLS_CALL,
    method::PROMPTS_GET,
    method::RESOURCES_READ,
];

/// Requests of a server to its client.
pub(super) const ASKED_BACK: [(&str, &str); 3] = [
    (method::ELICIT, "elicitation"),
    (method::SAMPLE, "sampling"),
    (method::ROOTS_LIST, "roots"),
];

/// Returns whether only older versions have the request.
pub(super) fn is_older(request: &Message) -> bool {
    request
        .method()
        .is_some_and(|method| ONLY_OLDER.contains(&method))
}

/// The parameters of a message; empty where it has none.
pub(super) fn params(message: &Message) -> JsonMembers {
    message
        .body()
        .and_then(|params| JsonMembers::read(params).ok())
        .unwrap_or_default()
}

/// The metadata among parameters.
pub(super) fn meta_members(params: &JsonMembers) -> JsonMembers {
    params.object("_meta").unwrap_or_default()
}

/// The request as the older era says it.
pub(super) fn downgrade_request(request: &Message, mut params: JsonMembers) -> Message {
    let mut own = meta_members(&params);
    for name in OWN {
        own.remove(name);
    }
    if own.is_empty() {
        params.remove("_meta");
    } else {
        set_member(&mut params, "_meta", &own);
    }
    params.remove("inputResponses");
    params.remove("requestState");
    request.with_body(&text(&params))
}

/// The response as the newer era says it.
pub(super) fn upgrade_response(request_method: &str, response: &Message) -> Message {
    let Some(mut body) = response
        .body()
        .and_then(|body| JsonMembers::read(body).ok())
    else {
        return response.clone();
    };
    if response.kind() == MessageKind::Error {
        if body.get("code") == Some(NO_RESOURCE) {
            set_member(&mut body, "code", &ErrorCode::InvalidParams.number());
        }
        return response.with_body(&text(&body));
    }
    if body.get("resultType").is_none() {
        set_member(&mut body, "resultType", &"complete");
    }
    let is_kept = request_method.ends_with("/list") || request_method == method::RESOURCES_READ;
    if is_kept && body.get("ttlMs").is_none() {
        set_member(&mut body, "ttlMs", &0);
    }
    if is_kept && body.get("cacheScope").is_none() {
        set_member(&mut body, "cacheScope", &"private");
    }
    response.with_body(&text(&body))
}

/// The request as the newer era says it, with what its client has said once.
pub(super) fn upgrade_request(request: &Message, said: &JsonMembers) -> Message {
    let mut params = params(request);
    let mut own = meta_members(&params);
    for name in OWN {
        if let Some(value) = said
            .get(name)
            .and_then(|json| RawValue::from_string(json.to_owned()).ok())
        {
            set_member(&mut own, name, &value);
        }
    }
    set_member(&mut params, "_meta", &own);
    match (request.body(), request.method(), request.id()) {
        (None, Some(method), Some(id)) => Message::request(id, method, &text(&params)),
        _ => request.with_body(&text(&params)),
    }
}

/// The error of a method that the era does not have.
pub(super) fn unknown_method(request: &Message) -> Message {
    let method = request.method().unwrap_or_default();
    let fault = ProtocolError::new(
        ErrorCode::MethodNotFound,
        format!("this version of the protocol has no `{method}`"),
    );
    fault.response(request.id())
}

/// Puts a member. What has no JSON is left out.
pub(super) fn set_member(members: &mut JsonMembers, name: &str, value: &impl serde::Serialize) {
    members.set(name, value).unwrap_or_default();
}

/// As JSON.
pub(super) fn text(members: &JsonMembers) -> String {
    serde_json::to_string(members).unwrap_or_else(|_| "{}".to_owned())
}

/// A member as it was written, to be put elsewhere.
pub(super) fn raw_json(json: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(json.to_owned()).ok()
}
