//! The lists of several servers as one.
//!
//! A page merges one page of each server that has more items, so the first page shows items of
//! every server. The cursor encodes the position in each server's list.

use crate::wire::{JsonMembers, Message, method};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::value::RawValue;
use std::collections::HashSet;

/// A list method: its member in the result, and the member that identifies an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListMethod {
    pub(super) member: &'static str,
    identity: &'static str,
    /// True if items have names, which are prefixed.
    has_names: bool,
}

impl ListMethod {
    /// Returns the list of a method, or `None` if the method lists nothing.
    pub(super) fn from_method(method: &str) -> Option<Self> {
        let (member, identity, has_names) = match method {
            method::TOOLS_LIST => ("tools", "name", true),
            method::PROMPTS_LIST => ("prompts", "name", true),
            method::RESOURCES_LIST => ("resources", "uri", false),
            method::RESOURCE_TEMPLATES_LIST => ("resourceTemplates", "uriTemplate", false),
            _ => return None,
        };
        Some(Self {
            member,
            identity,
            has_names,
        })
    }

    /// The capability of servers that have such a list.
    pub(super) fn capability(self) -> &'static str {
        if self.is_of_resources() {
            "resources"
        } else {
            self.member
        }
    }

    pub(super) fn is_of_resources(self) -> bool {
        !self.has_names
    }
}

/// The servers that have another page, each with its own cursor.
pub(super) type ServerCursors = Vec<(usize, String)>;

/// Reads a cursor that the gateway wrote, or returns `None` for another one.
pub(super) fn read_cursor(text: &str) -> Option<ServerCursors> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn write_cursor(cursor: &ServerCursors) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(cursor).unwrap_or_default())
}

/// Returns the request for one server's page that begins at `cursor`.
pub(super) fn with_cursor(
    request: &Message,
    params: &JsonMembers,
    cursor: Option<&str>,
) -> Message {
    let Some(cursor) = cursor else {
        return request.clone();
    };
    let mut params = params.clone();
    let written = params
        .set("cursor", &cursor)
        .and_then(|()| serde_json::to_string(&params));
    written.map_or_else(|_| request.clone(), |params| request.with_body(&params))
}

/// A page that merges a page of each server.
pub(super) struct MergedPage {
    list: ListMethod,
    items: Vec<Box<RawValue>>,
    /// The identities of the items, to find duplicates.
    identities: HashSet<String>,
    next: ServerCursors,
    /// The other members of the first result.
    rest: Option<JsonMembers>,
}

impl MergedPage {
    pub(super) fn new(list: ListMethod) -> Self {
        Self {
            list,
            items: Vec::new(),
            identities: HashSet::new(),
            next: ServerCursors::new(),
            rest: None,
        }
    }

    /// Adds the page of a server, and returns the identities of its items.
    pub(super) fn add_page(
        &mut self,
        server: usize,
        prefix: &str,
        response: &Message,
    ) -> Vec<String> {
        let result = response
            .result()
            .and_then(|json| JsonMembers::read(json).ok());
        let Some(mut result) = result else {
            return Vec::new();
        };
        let items: Vec<Box<RawValue>> = result
            .get(self.list.member)
            .and_then(|items| serde_json::from_str(items).ok())
            .unwrap_or_default();
        if let Some(cursor) = result.text("nextCursor") {
            self.next.push((server, cursor));
        }
        result.remove("nextCursor");
        self.rest.get_or_insert(result);
        items
            .into_iter()
            .filter_map(|item| self.add_item(prefix, item))
            .collect()
    }

    fn add_item(&mut self, prefix: &str, item: Box<RawValue>) -> Option<String> {
        let mut members = JsonMembers::read(item.get()).ok()?;
        let own = members.text(self.list.identity)?;
        let name = if self.list.has_names {
            format!("{prefix}{own}")
        } else {
            own
        };
        if !self.identities.insert(name.clone()) {
            let list = self.list.member;
            tracing::warn!(list, %name, "two servers list this name, and the second is left out: give one a `prefix`");
            return None;
        }
        let item = if self.list.has_names && !prefix.is_empty() {
            members.set("name", &name).ok()?;
            serde_json::value::to_raw_value(&members).ok()?
        } else {
            item
        };
        self.items.push(item);
        Some(name)
    }

    /// Returns the result as JSON, or `None` if no server has one.
    pub(super) fn into_result(self) -> Option<String> {
        let mut result = self.rest?;
        result.set(self.list.member, &self.items).ok()?;
        if !self.next.is_empty() {
            result.set("nextCursor", &write_cursor(&self.next)).ok()?;
        }
        serde_json::to_string(&result).ok()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::wire::RequestId;

    fn response(json: &str) -> Message {
        Message::response(Some(&RequestId::Number(1)), "result", json)
    }

    #[test]
    fn two_lists_are_one_with_prefixes_and_a_cursor() {
        let mut page = MergedPage::new(ListMethod::from_method("tools/list").unwrap());
        page.add_page(
            0,
            "a_",
            &response(r#"{"tools":[{"x":1.0,"name":"t"}],"nextCursor":"p2","ttlMs":5}"#),
        );
        page.add_page(1, "b_", &response(r#"{"tools":[{"name":"t"}]}"#));
        let result = page.into_result().unwrap();
        let (before, cursor) = result.split_once(r#""nextCursor":""#).unwrap();
        assert_eq!(
            before,
            r#"{"tools":[{"x":1.0,"name":"a_t"},{"name":"b_t"}],"ttlMs":5,"#
        );
        assert_eq!(
            read_cursor(cursor.trim_end_matches(r#""}"#)),
            Some(vec![(0, "p2".to_owned())])
        );
    }

    #[test]
    fn of_two_items_with_one_identity_the_first_stays() {
        let mut page = MergedPage::new(ListMethod::from_method("resources/list").unwrap());
        assert_eq!(
            page.add_page(0, "a_", &response(r#"{"resources":[{"uri":"x:1"}]}"#)),
            ["x:1"]
        );
        assert!(
            page.add_page(1, "b_", &response(r#"{"resources":[{"uri":"x:1"}]}"#))
                .is_empty()
        );
        assert_eq!(
            page.into_result().unwrap(),
            r#"{"resources":[{"uri":"x:1"}]}"#
        );
    }
}
