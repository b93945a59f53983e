//! Fixed-size identifiers. None of them means anything to a reader, and none is printed whole.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

macro_rules! bytes {
    ($(#[$doc:meta])* $type:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type([u8; $length]);

        impl $type {
            /// Of these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// As lowercase hexadecimal digits.
            #[must_use]
            pub fn to_hex(&self) -> String {
                to_hex(&self.0)
            }

            /// Read from lowercase or uppercase hexadecimal digits. None if these are not exactly as many as it takes.
            #[must_use]
            pub fn from_hex(digits: &str) -> Option<Self> {
                from_hex(digits).map(Self)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let [first, second, third, fourth, ..] = self.0;
                write!(f, "{}({first:02x}{second:02x}{third:02x}{fourth:02x}…)", stringify!($type))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.to_hex())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let digits = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::from_hex(&digits)
                    .ok_or_else(|| D::Error::custom(concat!("expected ", $length, " bytes as hexadecimal digits")))
            }
        }
    };
}

bytes!(
    /// The key of the record of an operation or of a handle. No policy, tool or agent sees it.
    StoreKey,
    32
);
bytes!(
    /// A digest of what every attempt at an operation must agree on.
    Fingerprint,
    32
);
bytes!(
    /// A digest of a call as it was made: tool, arguments and scope, noise included.
    CallDigest,
    32
);
bytes!(
    /// A digest of a policy's component and settings.
    PolicyDigest,
    32
);
bytes!(
    /// A random value that marks one attempt, probe or write as its maker's own.
    Nonce,
    16
);

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Returns the bytes as lowercase hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| {
        DIGITS
            .get(usize::from(nibble & 15))
            .map_or('0', |digit| char::from(*digit))
    };
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

fn from_hex<const LENGTH: usize>(digits: &str) -> Option<[u8; LENGTH]> {
    let digits = digits.as_bytes();
    if digits.len() != 2 * LENGTH {
        return None;
    }
    let mut bytes = [0; LENGTH];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: &u8| char::from(*digit).to_digit(16);
        let high = value(pair.first()?)?;
        let low = value(pair.last()?)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}
