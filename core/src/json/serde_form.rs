//! Values to and from serde, number by number as they are written. Only `serde_json` can do so, by its raw values.

use super::{JsonDocument, JsonNumber, JsonValue, read};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

impl Serialize for JsonNumber {
    /// Writes the number as it was written. Only `serde_json` writes one that is not an integer of 64 bits.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if super::number::is_short_integer(self.as_str())
            && let Ok(number) = self.as_str().parse::<i64>()
        {
            return serializer.serialize_i64(number);
        }
        raw_text(self.as_str().to_owned())?.serialize(serializer)
    }
}

impl Serialize for JsonValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(members) => serializer.collect_map(members),
        }
    }
}

impl<'de> Deserialize<'de> for JsonValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Box<RawValue>>::deserialize(deserializer)?;
        read::parse_trusted(text.get()).map_err(de::Error::custom)
    }
}

impl Serialize for JsonDocument {
    /// Writes the text as it is.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        raw_text(self.text().into_owned())?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Box<RawValue>>::deserialize(deserializer)?;
        let value = read::parse_trusted(text.get()).map_err(de::Error::custom)?;
        Ok(Self::of_parts(value, text.get()))
    }
}

fn raw_text<E: ser::Error>(text: String) -> Result<Box<RawValue>, E> {
    RawValue::from_string(text).map_err(E::custom)
}
