//! The operator's settings. Every mistake is reported with its key.

use semel_guest::{Scope, Value, settings};

use crate::api::{self, Endpoint};

/// The default window: few mistaken repeats come later than a month.
const WINDOW_SECONDS: u32 = 30 * 86_400;

/// The default time limit of an attempt: Stripe's own clients give up after 80 seconds.
const ATTEMPT_SECONDS: u32 = 120;

/// The action of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToolMeaning {
    Does(&'static Endpoint),
    Reads,
    Unknown(UnknownTool),
}

/// The treatment of an unknown tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnknownTool {
    Refuse,
    Guard,
    Pass,
}

/// The treatment of a payment, transfer or payout without anything to distinguish it from a second
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WithoutReference {
    Refuse,
    /// Equal ones of one run are one.
    Run,
    /// Equal ones are one until the answer was delivered.
    Delivery,
}

/// The meaning of another refunded amount of the same payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtherAmount {
    Conflict,
    Another,
}

/// The place where a tool takes the key for Stripe's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyAt {
    Header,
    /// At this JSON Pointer: the tool makes the header of it.
    Argument(String),
    Nowhere,
}

/// By which id a refund names its payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefundBy {
    Either,
    One(&'static str),
}

/// The settings, as they are used.
#[derive(Debug)]
pub(crate) struct Settings {
    /// A list: it is short, and another map type would add a twentieth to this guest.
    tools: Vec<(String, ToolMeaning)>,
    unknown: UnknownTool,
    pub(crate) key_at: KeyAt,
    /// JSON Pointers; all of them are needed.
    pub(crate) reference: Vec<String>,
    pub(crate) without_reference: WithoutReference,
    pub(crate) other_amount: OtherAmount,
    pub(crate) refund_by: RefundBy,
    pub(crate) scope: Scope,
    pub(crate) window_seconds: u32,
    pub(crate) attempt_seconds: u32,
}

impl Settings {
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        let mut this = Self {
            tools: Vec::new(),
            unknown: UnknownTool::Refuse,
            key_at: KeyAt::Header,
            reference: Vec::new(),
            without_reference: WithoutReference::Refuse,
            other_amount: OtherAmount::Conflict,
            refund_by: RefundBy::Either,
            scope: Scope::Tenant,
            window_seconds: WINDOW_SECONDS,
            attempt_seconds: ATTEMPT_SECONDS,
        };
        for (key, value) in value.as_object().ok_or("settings: they must be a table")? {
            this.take_setting(key, value)
                .map_err(|mistake| format!("settings: `{key}`: {mistake}"))?;
        }
        if this.window_seconds < this.attempt_seconds {
            return Err("settings: `window`: it is shorter than `attempt`".into());
        }
        Ok(this)
    }

    fn take_setting(&mut self, key: &str, value: &Value) -> Result<(), String> {
        match key {
            "tools" => self.tools = take_tools(value)?,
            "unknown" => self.unknown = take_choice(value, UNKNOWN)?,
            "key" => self.key_at = key_at(value)?,
            "reference" => self.reference = take_pointers(value)?,
            "without_reference" => self.without_reference = take_choice(value, WITHOUT_REFERENCE)?,
            "other_amount" => self.other_amount = take_choice(value, OTHER_AMOUNT)?,
            "refund_by" => self.refund_by = take_choice(value, REFUND_BY)?,
            "scope" => self.scope = take_choice(value, SCOPE)?,
            "window" => self.window_seconds = take_seconds(value)?,
            "attempt" => self.attempt_seconds = take_seconds(value)?,
            _ => return Err(format!("unknown key; the keys are {KEYS}")),
        }
        Ok(())
    }

    /// Returns the action of a tool: by the settings, else by Stripe's own tool of this name.
    pub(crate) fn meaning(&self, tool: &str) -> ToolMeaning {
        if let Some((_, meaning)) = self.tools.iter().find(|(named, _)| named == tool) {
            return *meaning;
        }
        match api::of_tool(tool) {
            Some(endpoint) => ToolMeaning::Does(endpoint),
            None if api::READS.contains(&tool) => ToolMeaning::Reads,
            None => ToolMeaning::Unknown(self.unknown),
        }
    }
}

const KEYS: &str = "`attempt`, `key`, `other_amount`, `reference`, `refund_by`, `scope`, `tools`, `unknown`, \
                    `window`, `without_reference`";

const UNKNOWN: &[(&str, UnknownTool)] = &[
    ("refuse", UnknownTool::Refuse),
    ("guard", UnknownTool::Guard),
    ("pass", UnknownTool::Pass),
];

const WITHOUT_REFERENCE: &[(&str, WithoutReference)] = &[
    ("refuse", WithoutReference::Refuse),
    ("run", WithoutReference::Run),
    ("delivery", WithoutReference::Delivery),
];

const OTHER_AMOUNT: &[(&str, OtherAmount)] = &[
    ("conflict", OtherAmount::Conflict),
    ("another", OtherAmount::Another),
];

const REFUND_BY: &[(&str, RefundBy)] = &[
    ("either", RefundBy::Either),
    ("payment_intent", RefundBy::One("payment_intent")),
    ("charge", RefundBy::One("charge")),
];

const SCOPE: &[(&str, Scope)] = &[("tenant", Scope::Tenant), ("run", Scope::Run)];

fn take_choice<T: Copy>(value: &Value, choices: &[(&'static str, T)]) -> Result<T, String> {
    let chosen = choices
        .iter()
        .find(|(name, _)| value.as_str() == Some(name));
    chosen
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| one_of(&mut choices.iter().map(|(name, _)| *name)))
}

/// ``it must be one of `a` `b` ``
fn one_of(names: &mut dyn Iterator<Item = &'static str>) -> String {
    let mut list = String::from("it must be one of");
    for name in names {
        list.push_str(" `");
        list.push_str(name);
        list.push('`');
    }
    list
}

fn take_seconds(value: &Value) -> Result<u32, String> {
    settings::seconds(value).ok_or_else(|| settings::SECONDS_EXPECTED.into())
}

/// Which tool does what.
fn take_tools(value: &Value) -> Result<Vec<(String, ToolMeaning)>, String> {
    let mut tools = Vec::new();
    for (tool, does) in value.as_object().ok_or("it must be a table of tools")? {
        let meaning = match does.as_str() {
            Some("read") => Some(ToolMeaning::Reads),
            name => name.and_then(api::endpoint_named).map(ToolMeaning::Does),
        };
        let known = || one_of(&mut api::ENDPOINTS.iter().map(|endpoint| endpoint.name));
        let meaning = meaning.ok_or_else(|| format!("`{tool}`: {} `read`", known()))?;
        tools.push((tool.clone(), meaning));
    }
    Ok(tools)
}

/// `header`, `none`, or a JSON Pointer.
fn key_at(value: &Value) -> Result<KeyAt, String> {
    match value.as_str() {
        Some("header") => Ok(KeyAt::Header),
        Some("none") => Ok(KeyAt::Nowhere),
        Some(pointer) if pointer.starts_with('/') => Ok(KeyAt::Argument(pointer.to_owned())),
        _ => {
            Err("it must be `header`, `none`, or a JSON Pointer such as `/idempotency_key`".into())
        }
    }
}

/// A JSON Pointer, or a list of them.
fn take_pointers(value: &Value) -> Result<Vec<String>, String> {
    let mut pointers: Vec<String> = Vec::new();
    for item in value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice)
    {
        let pointer = item
            .as_str()
            .filter(|text| text.starts_with('/') && text.len() > 1);
        let pointer = pointer
            .ok_or("it must be a JSON Pointer such as `/metadata/order_id`, or a list of them")?;
        if pointers.iter().any(|earlier| earlier == pointer) {
            return Err(format!("`{pointer}` is named twice"));
        }
        pointers.push(pointer.to_owned());
    }
    if pointers.is_empty() {
        Err("the list is empty: leave it out".into())
    } else {
        Ok(pointers)
    }
}
