//! One subscription at several servers: what is acknowledged is what all of them honour together, what they tell comes after
//! that and under the client's id, and it is over when all have ended it.

use crate::{
    layer::Client,
    wire::{JsonMembers, Message, MessageKind, RequestId, meta, method},
};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

/// The time that servers may take to acknowledge. Then the subscription is acknowledged without the silent ones.
pub(super) const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);

/// The most notifications that are kept before all servers have acknowledged.
const HELD_MAX: usize = 1_000;

/// The subscriptions of a client that are not over, by their ids.
#[derive(Debug, Default)]
pub(super) struct SubscriptionRegistry(Mutex<HashMap<RequestId, Arc<MergedSubscription>>>);

/// One of them.
#[derive(Debug)]
pub(super) struct MergedSubscription {
    id: RequestId,
    client: Arc<dyn Client>,
    servers: usize,
    state: Mutex<SubscriptionState>,
}

#[derive(Debug, Default)]
struct SubscriptionState {
    /// The servers that have acknowledged or ended it.
    spoken: BTreeSet<usize>,
    ended: BTreeSet<usize>,
    /// The first acknowledgement, and what all honour.
    acknowledgement: Option<Message>,
    honoured: Map<String, Value>,
    /// True once silent servers are no longer awaited.
    is_late: bool,
    is_acknowledged: bool,
    held: Vec<Message>,
    /// The message that ends it.
    end: Option<Message>,
}

impl SubscriptionRegistry {
    /// Begins one at so many servers.
    pub(super) fn begin(
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
        self.all().insert(id, Arc::clone(&subscription));
        subscription
    }

    /// Its client has cancelled it.
    pub(super) fn cancel(&self, message: &Message) {
        if let Some(id) = cancelled(message) {
            self.all().remove(&id);
        }
    }

    /// The subscription that a server's message is about; none: it is about none.
    pub(super) fn about(&self, message: &Message) -> Option<Arc<MergedSubscription>> {
        let all = self.all();
        // Most messages are not, and most clients have none.
        if all.is_empty() {
            return None;
        }
        let id = match message.kind() {
            MessageKind::Result | MessageKind::Error => message.id().cloned(),
            MessageKind::Notification if message.method() == Some(method::CANCELLED) => {
                cancelled(message)
            }
            MessageKind::Notification => subscription_id(message),
            MessageKind::Request => None,
        };
        all.get(&id?).cloned()
    }

    /// Stops to wait for silent servers.
    pub(super) async fn stop_waiting(&self, subscription: &Arc<MergedSubscription>) {
        let is_open = self
            .all()
            .get(&subscription.id)
            .is_some_and(|open| Arc::ptr_eq(open, subscription));
        if is_open {
            subscription.stop_waiting().await;
        }
    }

    /// Takes in what a server says of a subscription, and says to the client what is to be said now.
    pub(super) async fn receive(
        &self,
        subscription: &MergedSubscription,
        server: usize,
        message: Message,
    ) {
        let say = subscription.receive(server, message);
        if subscription.is_over() {
            self.all().remove(&subscription.id);
        }
        subscription.send_all(say).await;
    }

    fn all(&self) -> MutexGuard<'_, HashMap<RequestId, Arc<MergedSubscription>>> {
        self.0.lock()
    }
}

impl MergedSubscription {
    async fn stop_waiting(&self) {
        let say = {
            let mut state = self.state();
            state.is_late = true;
            self.acknowledge(&mut state)
        };
        self.send_all(say).await;
    }

    fn receive(&self, server: usize, message: Message) -> Vec<Message> {
        let mut state = self.state();
        match message.method() {
            Some(method::ACKNOWLEDGED) => {
                state.spoken.insert(server);
                state.merge_honoured(&message);
                state.acknowledgement.get_or_insert(message);
            }
            Some(method::CANCELLED) => state.end(server, message),
            None => state.end(server, message),
            Some(_) if state.is_acknowledged => return vec![message],
            Some(_) if state.held.len() < HELD_MAX => state.held.push(message),
            // Too many notifications before the acknowledgement: the rest are dropped.
            Some(_) => {}
        }
        let mut say = self.acknowledge(&mut state);
        if state.ended.len() == self.servers {
            say.extend(state.end.take());
        }
        say
    }

    /// Returns the acknowledgement and the kept notifications, once all servers have responded.
    fn acknowledge(&self, state: &mut SubscriptionState) -> Vec<Message> {
        let is_time = state.is_late || state.spoken.len() == self.servers;
        let Some(first) = state
            .acknowledgement
            .clone()
            .filter(|_| is_time && !state.is_acknowledged)
        else {
            return Vec::new();
        };
        state.is_acknowledged = true;
        let mut say = vec![with_honoured(&first, &state.honoured).unwrap_or(first)];
        say.append(&mut state.held);
        say
    }

    fn is_over(&self) -> bool {
        self.state().ended.len() == self.servers
    }

    async fn send_all(&self, messages: Vec<Message>) {
        for message in messages {
            // A client that has gone gets nothing.
            let _ = self.client.send(message).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, SubscriptionState> {
        self.state.lock()
    }
}

impl SubscriptionState {
    /// Adds what one server honours.
    fn merge_honoured(&mut self, acknowledgement: &Message) {
        let params = acknowledgement
            .body()
            .and_then(|params| JsonMembers::read(params).ok())
            .unwrap_or_default();
        let own = params
            .get("notifications")
            .and_then(|json| serde_json::from_str::<Map<_, _>>(json).ok());
        for (kind, value) in own.unwrap_or_default() {
            match (self.honoured.get_mut(&kind), value) {
                (Some(Value::Array(all)), Value::Array(more)) => {
                    for one in more {
                        if !all.contains(&one) {
                            all.push(one);
                        }
                    }
                }
                (Some(is @ Value::Bool(false)), more) => *is = more,
                (Some(_), _) => {}
                (None, value) => {
                    self.honoured.insert(kind, value);
                }
            }
        }
    }

    /// One server has ended it. That one refuses is no end where another one serves.
    fn end(&mut self, server: usize, message: Message) {
        self.spoken.insert(server);
        self.ended.insert(server);
        let is_refusal = message.kind() == MessageKind::Error;
        if self
            .end
            .as_ref()
            .is_none_or(|end| !is_refusal || end.kind() == MessageKind::Error)
        {
            self.end = Some(message);
        }
    }
}

/// The request for a subscription as one server is to see it: without the resources that are another one's.
pub(super) fn without_others(request: &Message, is_others: impl Fn(&str) -> bool) -> Message {
    let changed = || {
        let mut params = JsonMembers::read(request.body()?).ok()?;
        let mut wanted = params.object("notifications").ok()?;
        let mut resources: Vec<String> =
            serde_json::from_str(wanted.get("resourceSubscriptions")?).ok()?;
        resources.retain(|uri| !is_others(uri));
        wanted.set("resourceSubscriptions", &resources).ok()?;
        params.set("notifications", &wanted).ok()?;
        Some(request.with_body(&serde_json::to_string(&params).ok()?))
    };
    changed().unwrap_or_else(|| request.clone())
}

fn with_honoured(acknowledgement: &Message, honoured: &Map<String, Value>) -> Option<Message> {
    let mut params = JsonMembers::read(acknowledgement.body()?).ok()?;
    params.set("notifications", honoured).ok()?;
    Some(acknowledgement.with_body(&serde_json::to_string(&params).ok()?))
}

/// The request that a message cancels.
fn cancelled(message: &Message) -> Option<RequestId> {
    RequestId::read(JsonMembers::read(message.body()?).ok()?.get("requestId")?)
}

/// Returns the subscription id of a notification.
fn subscription_id(message: &Message) -> Option<RequestId> {
    let params = JsonMembers::read(
        message
            .body()
            .filter(|body| body.contains(meta::SUBSCRIPTION))?,
    )
    .ok()?;
    RequestId::read(params.object("_meta").ok()?.get(meta::SUBSCRIPTION)?)
}
