//! Who wants to hear what changes.

use crate::{
    layer::{Client, RequestContext},
    protocol_version::translation::{self, raw_json, set_member, text},
    wire::{JsonMembers, Message, RequestId, meta, method},
};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The most resources of which one client wants to hear.
const RESOURCES_MAX: usize = 1_000;

/// The kinds of change notifications: the member of a subscription, the notification, and the server's capability for
/// it.
const LISTS: [(&str, &str, &str); 3] = [
    ("toolsListChanged", method::TOOLS_CHANGED, "tools"),
    ("promptsListChanged", method::PROMPTS_CHANGED, "prompts"),
    (
        "resourcesListChanged",
        method::RESOURCES_CHANGED,
        "resources",
    ),
];

/// A client that wants to hear what changes.
#[derive(Debug)]
pub(super) struct ChangeListener {
    id: RequestId,
    caller: u64,
    client: Arc<dyn Client>,
    methods: Vec<&'static str>,
    pub(super) resources: Vec<String>,
    pub(super) ended: CancellationToken,
}

impl ChangeListener {
    /// A listener as the request has it, as far as the server can do it; and the first word that says how far.
    pub(super) fn of(
        request: &Message,
        context: &RequestContext,
        capabilities: &Value,
    ) -> Option<(Arc<Self>, Message)> {
        let wanted = translation::params(request)
            .object("notifications")
            .unwrap_or_default();
        let can = |what: &str, how: &str| {
            capabilities.pointer(&format!("/{what}/{how}")) == Some(&Value::Bool(true))
        };
        let lists: Vec<_> = LISTS
            .into_iter()
            .filter(|(name, _, what)| wanted.get(name) == Some("true") && can(what, "listChanged"))
            .collect();
        let resources = wanted
            .get("resourceSubscriptions")
            .filter(|_| can("resources", "subscribe"));
        let resources: Vec<String> = resources
            .and_then(|list| serde_json::from_str(list).ok())
            .unwrap_or_default();
        let resources: Vec<_> = resources.into_iter().take(RESOURCES_MAX).collect();
        let mut honoured: serde_json::Map<_, _> = lists
            .iter()
            .map(|(name, ..)| ((*name).to_owned(), Value::Bool(true)))
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
        let first = Message::notification(
            method::ACKNOWLEDGED,
            &json!({ "notifications": honoured }).to_string(),
        );
        let first = listener.with_subscription_id(&first);
        Some((Arc::new(listener), first))
    }

    /// The notification with the id of the request that wants it.
    fn with_subscription_id(&self, notification: &Message) -> Message {
        let mut params = translation::params(notification);
        let mut own = translation::meta_members(&params);
        if let Some(id) = raw_json(&self.id.to_json()) {
            set_member(&mut own, meta::SUBSCRIPTION, &id);
        }
        set_member(&mut params, "_meta", &own);
        Message::notification(notification.method().unwrap_or_default(), &text(&params))
    }

    fn wants_change(&self, notification: &Message, params: &JsonMembers) -> bool {
        let is_updated = notification.method() == Some(method::RESOURCE_UPDATED);
        let of = || {
            params
                .text("uri")
                .is_some_and(|uri| self.resources.iter().any(|own| uri.starts_with(own)))
        };
        notification
            .method()
            .is_some_and(|method| self.methods.contains(&method))
            || is_updated && of()
    }
}

/// All of one connection.
#[derive(Debug, Default)]
pub(super) struct ChangeListeners(Mutex<Vec<Arc<ChangeListener>>>);

impl ChangeListeners {
    /// Adds a listener. Returns the resources that had no listener before.
    pub(super) fn add(&self, listener: &Arc<ChangeListener>) -> Vec<String> {
        let mut all = self.all();
        let new = without_client(&all, &listener.resources);
        all.push(Arc::clone(listener));
        new
    }

    /// Removes a listener. Returns the resources that have no listener any longer.
    pub(super) fn remove(&self, listener: &Arc<ChangeListener>) -> Vec<String> {
        let mut all = self.all();
        all.retain(|other| !Arc::ptr_eq(other, listener));
        without_client(&all, &listener.resources)
    }

    /// Ends the one of this request.
    pub(super) fn end(&self, caller: u64, id: &RequestId) {
        let all = self.all();
        let own = all
            .iter()
            .filter(|listener| listener.caller == caller && listener.id == *id);
        own.for_each(|listener| listener.ended.cancel());
    }

    /// Tells all that want to hear it.
    pub(super) async fn tell(&self, notification: &Message) {
        let params = translation::params(notification);
        let wanting: Vec<_> = self
            .all()
            .iter()
            .filter(|listener| listener.wants_change(notification, &params))
            .cloned()
            .collect();
        for listener in wanting {
            // One that has gone ends for itself.
            // A disconnected client reads nothing.
            let _ = listener
                .client
                .send(listener.with_subscription_id(notification))
                .await;
        }
    }

    /// Returns whether there is no listener.
    pub(super) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<ChangeListener>>> {
        self.0.lock()
    }
}

fn without_client(all: &[Arc<ChangeListener>], resources: &[String]) -> Vec<String> {
    let is_heard = |uri: &&String| all.iter().any(|listener| listener.resources.contains(uri));
    resources
        .iter()
        .filter(|uri| !is_heard(uri))
        .cloned()
        .collect()
}
