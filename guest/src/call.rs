//! A call as a policy reads it: parsed once, every argument by its JSON Pointer, every mistake named by its path.
//!
//! An extension point: policies outside this repository use it.

use std::collections::BTreeMap;

use crate::{Map, Value};

use crate::bindings::semel::policy::types;

/// One request of an agent to run a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    tool: String,
    arguments: Value,
    facts: BTreeMap<String, Value>,
}

impl Call {
    /// A call as a native test makes it. Arguments that are not an object are refused when they are read.
    #[must_use]
    pub fn new(tool: impl Into<String>, arguments: Value) -> Self {
        Self {
            tool: tool.into(),
            arguments,
            facts: BTreeMap::new(),
        }
    }

    /// The same call with one more fact, such as `run` or `hint.read-only`.
    #[must_use]
    pub fn with_fact(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.facts.insert(name.into(), value.into());
        self
    }

    /// The tool's name, as the agent called it.
    #[must_use]
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// All arguments, by name.
    ///
    /// # Errors
    ///
    /// They are not an object.
    pub fn arguments(&self) -> Result<&Map, String> {
        self.arguments.as_object().ok_or_else(|| {
            format!(
                "the arguments must be an object, found {}",
                describe_value(&self.arguments)
            )
        })
    }

    /// Returns a further fact of the host, such as `tenant`, `run` or `hint.read-only`.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&Value> {
        self.facts.get(name)
    }

    /// Returns true if the fact is present and true: this is how to read the hints of a tool's
    /// server.
    #[must_use]
    pub fn is(&self, fact: &str) -> bool {
        self.fact(fact) == Some(&Value::Bool(true))
    }

    /// Returns the value at a JSON Pointer (RFC 6901); null counts as missing.
    #[must_use]
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        self.arguments
            .pointer(pointer)
            .filter(|value| !value.is_null())
    }

    /// Returns the value at a JSON Pointer, of any kind.
    ///
    /// # Errors
    ///
    /// Nothing stands there, or null.
    pub fn value(&self, pointer: &str) -> Result<&Value, String> {
        self.get(pointer)
            .ok_or_else(|| type_mistake(pointer, "a value", self.arguments.pointer(pointer)))
    }

    /// The text at a JSON Pointer.
    ///
    /// # Errors
    ///
    /// Something else stands there, or nothing.
    pub fn text(&self, pointer: &str) -> Result<&str, String> {
        self.read_member(pointer, "a text", Value::as_str)
    }

    /// The whole number at a JSON Pointer.
    ///
    /// # Errors
    ///
    /// Something else stands there, or nothing, or a number that 64 bits do not hold: read that with
    /// [`normal::integer`](crate::normal::integer), as text.
    pub fn integer(&self, pointer: &str) -> Result<i64, String> {
        self.read_member(pointer, "a whole number", Value::as_i64)
    }

    /// The truth value at a JSON Pointer.
    ///
    /// # Errors
    ///
    /// Something else stands there, or nothing.
    pub fn boolean(&self, pointer: &str) -> Result<bool, String> {
        self.read_member(pointer, "true or false", Value::as_bool)
    }

    /// The list at a JSON Pointer.
    ///
    /// # Errors
    ///
    /// Something else stands there, or nothing.
    pub fn list(&self, pointer: &str) -> Result<&[Value], String> {
        self.read_member(pointer, "a list", |value| {
            value.as_array().map(Vec::as_slice)
        })
    }

    /// Returns the normalised value at a JSON Pointer: `call.normal("/amount", normal::money)`.
    ///
    /// # Errors
    ///
    /// Nothing stands there, or not what the normaliser takes.
    pub fn normal(
        &self,
        pointer: &str,
        normaliser: impl Fn(&Value) -> Result<Value, String>,
    ) -> Result<Value, String> {
        normaliser(self.value(pointer)?).map_err(|mistake| format!("`{pointer}` {mistake}"))
    }

    /// The text at a JSON Pointer, if anything stands there.
    ///
    /// # Errors
    ///
    /// Something other than a text stands there.
    pub fn optional_text(&self, pointer: &str) -> Result<Option<&str>, String> {
        self.present_member(pointer, Self::text)
    }

    /// The whole number at a JSON Pointer, if anything stands there.
    ///
    /// # Errors
    ///
    /// Something other than a whole number stands there.
    pub fn optional_integer(&self, pointer: &str) -> Result<Option<i64>, String> {
        self.present_member(pointer, Self::integer)
    }

    /// The truth value at a JSON Pointer, if anything stands there.
    ///
    /// # Errors
    ///
    /// Something other than a truth value stands there.
    pub fn optional_boolean(&self, pointer: &str) -> Result<Option<bool>, String> {
        self.present_member(pointer, Self::boolean)
    }

    /// The list at a JSON Pointer, if anything stands there.
    ///
    /// # Errors
    ///
    /// Something other than a list stands there.
    pub fn optional_list(&self, pointer: &str) -> Result<Option<&[Value]>, String> {
        self.present_member(pointer, Self::list)
    }

    /// Returns the normalised value at a JSON Pointer, if there is one.
    ///
    /// # Errors
    ///
    /// Not what the normaliser takes stands there.
    pub fn optional_normal(
        &self,
        pointer: &str,
        normaliser: impl Fn(&Value) -> Result<Value, String>,
    ) -> Result<Option<Value>, String> {
        self.get(pointer)
            .map(|_| self.normal(pointer, normaliser))
            .transpose()
    }

    fn read_member<'a, T>(
        &'a self,
        pointer: &str,
        kind: &str,
        take: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T, String> {
        let value = self.arguments.pointer(pointer);
        value
            .and_then(take)
            .ok_or_else(|| type_mistake(pointer, kind, value))
    }

    fn present_member<'a, T>(
        &'a self,
        pointer: &str,
        read: impl Fn(&'a Self, &str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        self.get(pointer).map(|_| read(self, pointer)).transpose()
    }
}

fn type_mistake(pointer: &str, kind: &str, value: Option<&Value>) -> String {
    match value {
        None => format!("`{pointer}` is missing: it must be {kind}"),
        Some(value) => format!(
            "`{pointer}` must be {kind}, found {}",
            describe_value(value)
        ),
    }
}

/// The longest part of a wrong value that an error shows, in characters.
const SHOWN_CHARACTERS: usize = 40;

/// A wrong value as an error shows it: enough to recognise it, never all of a large one.
pub(crate) fn describe_value(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".into(),
        Value::Array(_) => "a list".into(),
        Value::String(text) if text.chars().nth(SHOWN_CHARACTERS).is_some() => {
            let start: String = text.chars().take(SHOWN_CHARACTERS).collect();
            json_text(&Value::String(start)) + "…"
        }
        Value::Number(number) if number.as_str().len() > SHOWN_CHARACTERS => {
            // Its characters are ASCII.
            number
                .as_str()
                .get(..SHOWN_CHARACTERS)
                .unwrap_or_default()
                .to_owned()
                + "…"
        }
        plain => json_text(plain),
    }
}

/// A value as a JSON text.
pub(crate) fn json_text(value: &Value) -> String {
    let mut text = String::new();
    value.put_json(&mut text);
    text
}

impl TryFrom<types::Call> for Call {
    type Error = String;

    fn try_from(call: types::Call) -> Result<Self, String> {
        let arguments = parse_json("arguments", &call.arguments)?;
        // One by one: collecting would bring a whole sorting algorithm into every guest.
        let mut facts = BTreeMap::new();
        for fact in call.facts {
            let value = parse_json(&fact.name, &fact.value)?;
            facts.insert(fact.name, value);
        }
        Ok(Self {
            tool: call.tool,
            arguments,
            facts,
        })
    }
}

fn parse_json(what: &str, json: &str) -> Result<Value, String> {
    Value::parse(json).map_err(|error| format!("`{what}` is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use crate::json;

    use super::*;
    use crate::{Field, normal};

    fn call() -> Call {
        let arguments = json!({ "id": "A1", "amount": "ten", "n": 7, "none": null, "on": true, "to": ["a"], "in": { "a/b": 1 } });
        Call::new("refund", arguments)
            .with_fact("run", "r1")
            .with_fact("hint.read-only", true)
    }

    #[test]
    fn an_argument_is_read_by_its_pointer_and_kind() {
        let call = call();
        assert_eq!(call.text("/id"), Ok("A1"));
        assert_eq!(call.integer("/n"), Ok(7));
        assert_eq!(call.boolean("/on"), Ok(true));
        assert_eq!(call.list("/to"), Ok(&[json!("a")][..]));
        assert_eq!(call.value("/in/a~1b"), Ok(&json!(1)));
        assert_eq!(call.arguments().unwrap().len(), 7);
    }

    #[test]
    fn a_pointer_means_what_it_means_to_others() {
        let theirs = serde_json::json!({ "": 1, "a/b": { "~1": [7, { "x": null }] }, "0": [[2]], "~": 3, "~2": 4 });
        let value = Value::from(theirs.clone());
        for pointer in [
            "",
            "/",
            "a",
            "/a~1b",
            "/a~1b/~01/0",
            "/a~1b/~01/1/x",
            "/a~1b/~01/01",
            "/a~1b/~01/+1",
            "/a~1b/~01/-1",
            "/a~1b/~01/2",
            "/0/0/0",
            "/0/0/0/0",
            "/~0",
            "/~",
            "/~2",
            "/none",
            "//",
            "/a~1b/~01/",
        ] {
            assert_eq!(
                value.pointer(pointer).cloned(),
                theirs.pointer(pointer).cloned().map(Value::from),
                "{pointer}"
            );
        }
    }

    #[test]
    fn a_mistake_names_the_path_and_what_was_found() {
        let call = call();
        assert_eq!(
            call.integer("/amount"),
            Err(r#"`/amount` must be a whole number, found "ten""#.into())
        );
        assert_eq!(
            call.text("/none"),
            Err("`/none` must be a text, found null".into())
        );
        assert_eq!(
            call.text("/gone"),
            Err("`/gone` is missing: it must be a text".into())
        );
        assert_eq!(
            call.boolean("/in"),
            Err("`/in` must be true or false, found an object".into())
        );
        assert_eq!(
            call.normal("/amount", normal::money),
            Err(r#"`/amount` must be an amount such as `10.00`, found "ten""#.into()),
        );
        assert!(Call::new("refund", json!([])).arguments().is_err());
    }

    #[test]
    fn a_whole_number_of_64_bits_has_all_its_digits() {
        let read = |number: &str| {
            Call::new("t", json!({ "n": Value::parse(number).unwrap() })).integer("/n")
        };
        assert_eq!(read("9007199254740993"), Ok(9_007_199_254_740_993));
        assert_eq!(read("7.0"), Ok(7));
        assert_eq!(read("-9223372036854775808"), Ok(i64::MIN));
        assert!(read("9223372036854775808").is_err());
        assert!(read("7.5").is_err());
    }

    #[test]
    fn what_is_null_or_missing_is_optionally_nothing_and_never_of_another_kind() {
        let call = call();
        assert_eq!(call.optional_text("/none"), Ok(None));
        assert_eq!(call.optional_integer("/gone"), Ok(None));
        assert_eq!(call.optional_integer("/n"), Ok(Some(7)));
        assert_eq!(call.optional_normal("/gone", normal::money), Ok(None));
        assert!(call.optional_list("/n").is_err());
        assert!(call.optional_boolean("/n").is_err());
    }

    #[test]
    fn a_large_wrong_value_is_shown_in_part() {
        let call = Call::new("t", json!({ "n": "ü".repeat(1_000_000) }));
        assert!(
            call.integer("/n")
                .is_err_and(|mistake| mistake.len() < 200 && mistake.ends_with('…'))
        );
    }

    #[test]
    fn facts_are_read_by_name() {
        assert_eq!(call().fact("run"), Some(&json!("r1")));
        assert!(call().is("hint.read-only"));
        assert!(!call().is("run"));
        assert!(!call().is("hint.destructive"));
    }

    #[test]
    fn what_the_host_hands_over_is_parsed_or_refused_by_name() {
        let from = |arguments: &str| types::Call {
            tool: "refund".into(),
            arguments: arguments.into(),
            facts: vec![Field::new("run", "r1")],
        };
        let call = Call::try_from(from(r#"{"id":"A1"}"#)).unwrap();
        assert_eq!(
            call,
            Call::new("refund", json!({ "id": "A1" })).with_fact("run", "r1")
        );
        assert!(
            Call::try_from(from("{"))
                .is_err_and(|mistake| mistake.starts_with("`arguments` is not JSON"))
        );
        assert!(Call::try_from(from(&"[".repeat(100_000))).is_err());
    }
}
