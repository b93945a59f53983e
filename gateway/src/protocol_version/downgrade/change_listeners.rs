//! Subscriptions of newer clients (`subscriptions/listen`) to changes that an older server reports.

use crate::{
    layer::{Client, RequestContext},
    protocol_version::translation::{self, raw_json, set_member, to_text},
    wire::{JsonMembers, Message, RequestId, meta, method},
};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The most resources of one subscription.
const RESOURCES_MAX: usize = 1_000;

/// The lists whose changes are reported: the member of a subscription, the notification, and the
/// server's capability for it.
const LISTS: [(&str, &str, &str); 3] = [
    ("toolsListChanged", method::TOOLS_CHANGED, "tools"),
    ("promptsListChanged", method::PROMPTS_CHANGED, "prompts"),
    (
        "resourcesListChanged",
        method::RESOURCES_CHANGED,
        "resources",
    ),
];

/// A client that has subscribed to changes.
#[derive(Debug)]
pub(super) struct ChangeListener {
    /// The id of `subscriptions/listen`.
    id: RequestId,
    /// The number of its connection.
    caller: u64,
    client: Arc<dyn Client>,
    methods: Vec<&'static str>,
    pub(super) resources: Vec<String>,
    pub(super) ended: CancellationToken,
}

impl ChangeListener {
    /// Creates a listener for a request, as far as the server can report changes, and the
    /// acknowledgement that lists what is honoured.
    pub(super) fn from_request(
        request: &Message,
        context: &RequestContext,
        capabilities: &Value,
    ) -> Option<(Arc<Self>, Message)> {
        let wanted = request
            .members()
            .object("notifications")
            .unwrap_or_default();
        let has_capability = |list: &str, name: &str| {
            capabilities.pointer(&format!("/{list}/{name}")) == Some(&Value::Bool(true))
        };
        let lists: Vec<_> = LISTS
            .into_iter()
            .filter(|(member, _, list)| {
                wanted.get(member) == Some("true") && has_capability(list, "listChanged")
            })
            .collect();
        let mut resources: Vec<String> = Vec::new();
        if has_capability("resources", "subscribe")
            && let Some(json) = wanted.get("resourceSubscriptions")
        {
            resources = serde_json::from_str(json).unwrap_or_default();
            resources.truncate(RESOURCES_MAX);
        }
        let mut honoured: Map<_, _> = lists
            .iter()
            .map(|(member, ..)| ((*member).to_owned(), Value::Bool(true)))
            .collect();
        if !resources.is_empty() {
            honoured.insert("resourceSubscriptions".to_owned(), json!(resources));
        }
        let listener = Self {
            id: request.id()?.clone(),
            caller: context.caller.number,
            client: Arc::clone(&context.client),
            methods: lists.into_iter().map(|(_, method, _)| method).collect(),
            resources,
            ended: CancellationToken::new(),
        };
        let params = json!({ "notifications": honoured }).to_string();
        let acknowledgement = Message::notification(method::ACKNOWLEDGED, &params);
        let acknowledgement = listener.with_subscription_id(&acknowledgement);
        Some((Arc::new(listener), acknowledgement))
    }

    /// Adds the id of the subscription to a notification.
    fn with_subscription_id(&self, notification: &Message) -> Message {
        let mut params = notification.members();
        let mut own_meta = translation::meta_members(&params);
        if let Some(id) = raw_json(&self.id.to_json()) {
            set_member(&mut own_meta, meta::SUBSCRIPTION, &id);
        }
        set_member(&mut params, "_meta", &own_meta);
        let method = notification.method().unwrap_or_default();
        Message::notification(method, &to_text(&params))
    }

    fn wants_change(&self, notification: &Message, params: &JsonMembers) -> bool {
        let Some(method) = notification.method() else {
            return false;
        };
        if method == method::RESOURCE_UPDATED {
            // A server may report a part of a resource that was subscribed to.
            return params
                .text("uri")
                .is_some_and(|uri| self.resources.iter().any(|own| uri.starts_with(own)));
        }
        self.methods.contains(&method)
    }
}

/// The listeners of one connection.
#[derive(Debug, Default)]
pub(super) struct ChangeListeners(Mutex<Vec<Arc<ChangeListener>>>);

impl ChangeListeners {
    /// Adds a listener. Returns the resources that had no listener before.
    pub(super) fn add(&self, listener: &Arc<ChangeListener>) -> Vec<String> {
        let mut listeners = self.lock();
        let new = without_listener(&listeners, &listener.resources);
        listeners.push(Arc::clone(listener));
        new
    }

    /// Removes a listener. Returns the resources that no longer have a listener.
    pub(super) fn remove(&self, listener: &Arc<ChangeListener>) -> Vec<String> {
        let mut listeners = self.lock();
        listeners.retain(|other| !Arc::ptr_eq(other, listener));
        without_listener(&listeners, &listener.resources)
    }

    /// Ends the subscription of this request.
    pub(super) fn end(&self, caller: u64, id: &RequestId) {
        for listener in self.lock().iter() {
            if listener.caller == caller && listener.id == *id {
                listener.ended.cancel();
            }
        }
    }

    /// Sends a notification to all listeners that have subscribed to it.
    pub(super) async fn notify(&self, notification: &Message) {
        let params = notification.members();
        let subscribed: Vec<_> = self
            .lock()
            .iter()
            .filter(|listener| listener.wants_change(notification, &params))
            .cloned()
            .collect();
        for listener in subscribed {
            // A disconnected client reads nothing, and its subscription ends by itself.
            let _ = listener
                .client
                .send(listener.with_subscription_id(notification))
                .await;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<ChangeListener>>> {
        self.0.lock()
    }
}

/// Returns those of the resources that no listener has subscribed to.
fn without_listener(listeners: &[Arc<ChangeListener>], resources: &[String]) -> Vec<String> {
    let has_listener = |uri: &String| {
        listeners
            .iter()
            .any(|listener| listener.resources.contains(uri))
    };
    resources
        .iter()
        .filter(|uri| !has_listener(uri))
        .cloned()
        .collect()
}
