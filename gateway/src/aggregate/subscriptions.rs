//! One subscription at several servers.
//!
//! Its acknowledgement lists what the servers together honour. Notifications follow the
//! acknowledgement, under the client's id. The subscription ends when all servers have ended it.

use crate::{
    layer::Client,
    wire::{Message, MessageKind, RequestId, meta, method},
};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

/// The time that servers may take to acknowledge. Then the subscription is acknowledged without the
/// silent ones.
pub(super) const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(5);

/// The most notifications that are kept before all servers have acknowledged.
const HELD_MAX: usize = 1_000;

/// The open subscriptions of a client, by their ids.
#[derive(Debug, Default)]
pub(super) struct SubscriptionRegistry(Mutex<HashMap<RequestId, Arc<MergedSubscription>>>);

/// An open subscription.
#[derive(Debug)]
pub(super) struct MergedSubscription {
    id: RequestId,
    client: Arc<dyn Client>,
    /// The number of servers.
    servers: usize,
    state: Mutex<SubscriptionState>,
}

#[derive(Debug, Default)]
struct SubscriptionState {
    /// The servers that have acknowledged or ended it.
    responded: BTreeSet<usize>,
    ended: BTreeSet<usize>,
    /// The first acknowledgement.
    acknowledgement: Option<Message>,
    /// The notifications that the servers together honour.
    honoured: Map<String, Value>,
    /// True once silent servers are no longer awaited.
    is_late: bool,
    is_acknowledged: bool,
    /// The notifications before the acknowledgement.
    held: Vec<Message>,
    /// The message that ends it.
    end: Option<Message>,
}

impl SubscriptionRegistry {
    /// Adds a subscription at this number of servers.
    pub(super) fn add_subscription(
        &self,
        id: RequestId,
        client: Arc<dyn Client>,
        servers: usize,
    ) -> Arc<MergedSubscription> {
        let subscription = Arc::new(MergedSubscription {
            id: id.clone(),
            client,
            servers,
            state: Mutex::default(),
        });
        self.open().insert(id, Arc::clone(&subscription));
        subscription
    }

    /// Removes the subscription that a client's cancellation names.
    pub(super) fn remove_cancelled(&self, message: &Message) {
        if let Some(id) = message.cancelled_id() {
            self.open().remove(&id);
        }
    }

    /// Returns the subscription that a server's message belongs to.
    pub(super) fn find_subscription(&self, message: &Message) -> Option<Arc<MergedSubscription>> {
        let open = self.open();
        if open.is_empty() {
            // Most clients have none, and no message is parsed for them.
            return None;
        }
        let id = match message.kind() {
            MessageKind::Result | MessageKind::Error => message.id().cloned(),
            MessageKind::Notification if message.method() == Some(method::CANCELLED) => {
                message.cancelled_id()
            }
            MessageKind::Notification => subscription_id(message),
            MessageKind::Request => None,
        };
        open.get(&id?).cloned()
    }

    /// Acknowledges an open subscription without the servers that are silent.
    pub(super) async fn stop_waiting(&self, subscription: &Arc<MergedSubscription>) {
        let is_open = self
            .open()
            .get(&subscription.id)
            .is_some_and(|open| Arc::ptr_eq(open, subscription));
        if is_open {
            subscription.stop_waiting().await;
        }
    }

    /// Handles a server's message about a subscription.
    pub(super) async fn receive(
        &self,
        subscription: &MergedSubscription,
        server: usize,
        message: Message,
    ) {
        let messages = subscription.receive(server, message);
        if subscription.is_over() {
            self.open().remove(&subscription.id);
        }
        subscription.send_all(messages).await;
    }

    fn open(&self) -> MutexGuard<'_, HashMap<RequestId, Arc<MergedSubscription>>> {
        self.0.lock()
    }
}

impl MergedSubscription {
    async fn stop_waiting(&self) {
        let messages = {
            let mut state = self.state();
            state.is_late = true;
            self.acknowledge(&mut state)
        };
        self.send_all(messages).await;
    }

    /// Returns the messages that the client gets now.
    fn receive(&self, server: usize, message: Message) -> Vec<Message> {
        let mut state = self.state();
        match message.method() {
            Some(method::ACKNOWLEDGED) => {
                state.responded.insert(server);
                state.merge_honoured(&message);
                state.acknowledgement.get_or_insert(message);
            }
            // A cancellation, or the response to `subscriptions/listen`.
            Some(method::CANCELLED) | None => state.end_at(server, message),
            Some(_) if state.is_acknowledged => return vec![message],
            Some(_) if state.held.len() < HELD_MAX => state.held.push(message),
            // Too many notifications before the acknowledgement: the rest are dropped.
            Some(_) => {}
        }
        let mut messages = self.acknowledge(&mut state);
        if state.ended.len() == self.servers {
            messages.extend(state.end.take());
        }
        messages
    }

    /// Returns the acknowledgement and the held notifications, once all servers have responded.
    fn acknowledge(&self, state: &mut SubscriptionState) -> Vec<Message> {
        let is_due = state.is_late || state.responded.len() == self.servers;
        if !is_due || state.is_acknowledged {
            return Vec::new();
        }
        let Some(first) = state.acknowledgement.clone() else {
            return Vec::new();
        };
        state.is_acknowledged = true;
        let merged = first
            .with_changed_members(|params| params.set("notifications", &state.honoured).ok())
            .unwrap_or(first);
        let mut messages = vec![merged];
        messages.append(&mut state.held);
        messages
    }

    fn is_over(&self) -> bool {
        self.state().ended.len() == self.servers
    }

    async fn send_all(&self, messages: Vec<Message>) {
        for message in messages {
            // A disconnected client reads nothing.
            let _ = self.client.send(message).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, SubscriptionState> {
        self.state.lock()
    }
}

impl SubscriptionState {
    /// Adds the notifications that one server honours.
    fn merge_honoured(&mut self, acknowledgement: &Message) {
        let params = acknowledgement.members();
        let honoured = params
            .get("notifications")
            .and_then(|json| serde_json::from_str::<Map<_, _>>(json).ok());
        for (kind, value) in honoured.unwrap_or_default() {
            match (self.honoured.get_mut(&kind), value) {
                (Some(Value::Array(all)), Value::Array(more)) => {
                    for one in more {
                        if !all.contains(&one) {
                            all.push(one);
                        }
                    }
                }
                (Some(flag @ Value::Bool(false)), more) => *flag = more,
                (Some(_), _) => {}
                (None, value) => {
                    self.honoured.insert(kind, value);
                }
            }
        }
    }

    /// Records that a server has ended the subscription. An error of one server is passed on only
    /// if no other server has honoured the subscription.
    fn end_at(&mut self, server: usize, message: Message) {
        self.responded.insert(server);
        self.ended.insert(server);
        let is_refusal = message.kind() == MessageKind::Error;
        let replaces_end = match &self.end {
            Some(end) => !is_refusal || end.kind() == MessageKind::Error,
            None => true,
        };
        if replaces_end {
            self.end = Some(message);
        }
    }
}

/// Returns the request for a subscription at one server, without the resources of other servers.
pub(super) fn without_others(request: &Message, is_others: impl Fn(&str) -> bool) -> Message {
    let changed = request.with_changed_members(|params| {
        let mut wanted = params.object("notifications").ok()?;
        let json = wanted.get("resourceSubscriptions")?;
        let mut resources: Vec<String> = serde_json::from_str(json).ok()?;
        resources.retain(|uri| !is_others(uri));
        wanted.set("resourceSubscriptions", &resources).ok()?;
        params.set("notifications", &wanted).ok()
    });
    changed.unwrap_or_else(|| request.clone())
}

/// Returns the subscription id of a notification.
fn subscription_id(message: &Message) -> Option<RequestId> {
    // Most notifications have none, and are not parsed for it.
    if !message.body()?.contains(meta::SUBSCRIPTION) {
        return None;
    }
    let own_meta = message.members().object("_meta").ok()?;
    RequestId::read(own_meta.get(meta::SUBSCRIPTION)?)
}
