//! JSON text (RFC 8259) into a value.

use std::fmt;

use super::{Map, Number, Value};

/// The deepest nesting of lists and objects.
const DEPTH_MAX: usize = 128;

/// The mistake in a JSON text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InvalidJson {
    /// The offset of the byte that cannot stand where it does.
    offset: usize,
}

impl fmt::Display for InvalidJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unexpected text at byte {}", self.offset)
    }
}

impl std::error::Error for InvalidJson {}

pub(super) fn read(text: &str) -> Result<Value, InvalidJson> {
    let mut reader = Reader { text, offset: 0 };
    let value = reader.value(0)?;
    reader.skip_blanks();
    if reader.offset == text.len() {
        Ok(value)
    } else {
        Err(reader.mistake())
    }
}

struct Reader<'t> {
    text: &'t str,
    offset: usize,
}

impl<'t> Reader<'t> {
    fn mistake(&self) -> InvalidJson {
        InvalidJson {
            offset: self.offset,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.offset).copied()
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.offset += 1;
        }
    }

    /// Steps over this byte, if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.offset += usize::from(is_next);
        is_next
    }

    fn need(&mut self, byte: u8) -> Result<(), InvalidJson> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.mistake())
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, InvalidJson> {
        self.skip_blanks();
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'{') if depth < DEPTH_MAX => self.object(depth + 1).map(Value::Object),
            Some(b'[') if depth < DEPTH_MAX => self.list(depth + 1).map(Value::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value, InvalidJson> {
        let rest = self.rest();
        for (word, value) in [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
        ] {
            if rest.starts_with(word) {
                self.offset += word.len();
                return Ok(value);
            }
        }
        Err(self.mistake())
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>, InvalidJson> {
        self.need(b'[')?;
        let mut items = Vec::new();
        self.skip_blanks();
        if self.take(b']') {
            return Ok(items);
        }
        loop {
            items.push(self.value(depth)?);
            self.skip_blanks();
            if !self.take(b',') {
                self.need(b']')?;
                return Ok(items);
            }
        }
    }

    /// The last of several members of one name counts, as in most readers.
    fn object(&mut self, depth: usize) -> Result<Map, InvalidJson> {
        self.need(b'{')?;
        let mut members = Map::new();
        self.skip_blanks();
        if self.take(b'}') {
            return Ok(members);
        }
        loop {
            self.skip_blanks();
            let name = self.string()?;
            self.skip_blanks();
            self.need(b':')?;
            let member = self.value(depth)?;
            members.insert(name, member);
            self.skip_blanks();
            if !self.take(b',') {
                self.need(b'}')?;
                return Ok(members);
            }
        }
    }

    fn number(&mut self) -> Result<Number, InvalidJson> {
        let start = self.offset;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let text = self.text.get(start..self.offset).unwrap_or_default();
        Ok(Number::of_checked(text))
    }

    fn digits(&mut self) -> Result<(), InvalidJson> {
        let start = self.offset;
        while let Some(b'0'..=b'9') = self.peek() {
            self.offset += 1;
        }
        if self.offset == start {
            return Err(self.mistake());
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, InvalidJson> {
        self.need(b'"')?;
        let mut string = String::new();
        loop {
            let rest = self.rest();
            let plain = rest
                .bytes()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
                .ok_or(self.mistake())?;
            string.push_str(rest.get(..plain).unwrap_or_default());
            self.offset += plain;
            if self.take(b'"') {
                return Ok(string);
            }
            self.need(b'\\')?;
            string.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, InvalidJson> {
        let letter = self.peek().ok_or(self.mistake())?;
        self.offset += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.mistake()),
        })
    }

    /// The character of one escape with four digits, or of two that are a surrogate pair.
    fn unicode(&mut self) -> Result<char, InvalidJson> {
        let first = self.unit()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            self.need(b'\\')?;
            self.need(b'u')?;
            let second = self.unit()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.mistake());
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or(self.mistake())
    }

    fn unit(&mut self) -> Result<u32, InvalidJson> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit * 16 + digit.ok_or(self.mistake())?;
            self.offset += 1;
        }
        Ok(unit)
    }
}
