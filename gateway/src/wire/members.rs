//! A JSON object as its members in their order, each as it was written. Messages are changed
//! through it alone.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::value::{RawValue, to_raw_value};
use std::fmt;

/// An object whose members keep order and spelling. A duplicate name is an error, because two
/// readers of such an object may see different values.
#[derive(Clone, Default)]
pub(crate) struct JsonMembers(Vec<(String, Box<RawValue>)>);

impl JsonMembers {
    /// Reads an object.
    ///
    /// # Errors
    /// The text is not an object, or has a member twice.
    pub(crate) fn read(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The JSON of a member.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.get())
    }

    /// A member that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name)
            .and_then(|json| serde_json::from_str(json).ok())
    }

    /// A member that is an object; empty if there is no such member.
    ///
    /// # Errors
    /// The member is not an object.
    pub(crate) fn object(&self, name: &str) -> Result<Self, serde_json::Error> {
        self.get(name).map_or(Ok(Self::default()), Self::read)
    }

    /// Sets a member: in place of the one of this name, else at the end.
    ///
    /// # Errors
    /// The value cannot be written as JSON.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: &impl Serialize,
    ) -> Result<(), serde_json::Error> {
        let value = to_raw_value(value)?;
        match self.0.iter_mut().find(|(own, _)| own == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
        Ok(())
    }

    /// Removes a member.
    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(own, _)| own != name);
    }

    /// The names of its members, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Returns true for an object without members.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for JsonMembers {
    /// Writes names only: values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Serialize for JsonMembers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for JsonMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = JsonMembers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonMembers, A::Error> {
                let mut members = JsonMembers::default();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if members.get(&name).is_some() {
                        return Err(serde::de::Error::custom(format_args!(
                            "the member `{name}` occurs twice"
                        )));
                    }
                    members.0.push((name, value));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn unchanged_members_keep_order_spelling_and_digits() {
        let mut members =
            JsonMembers::read(r#"{"z":1.10,"big":123456789012345678901234567890,"a":"\u0041"}"#)
                .unwrap();
        members.set("new", &true).unwrap();
        members.remove("z");
        let written = serde_json::to_string(&members).unwrap();
        assert_eq!(
            written,
            r#"{"big":123456789012345678901234567890,"a":"\u0041","new":true}"#
        );
    }

    #[test]
    fn a_duplicate_member_is_an_error() {
        assert!(JsonMembers::read(r#"{"a":1,"\u0061":2}"#).is_err());
    }
}
