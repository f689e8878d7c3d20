//! Bytes to one JSON object, stricter than JSON asks for.
//!
//! Two readers must never see two meanings: a repeated key, a byte order mark, a
//! NUL (which would end an argument or a path early) and anything after the
//! document are refused. It leaves out which fields there should be.

use super::{MAX_BYTES, MAX_DEPTH, Problem};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::fmt;

/// The object in `bytes`.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    if bytes.len() > MAX_BYTES {
        let message = format!("{} bytes, at most {MAX_BYTES} are read", bytes.len());
        return Err(Problem::new("too_large", "", message));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Problem::new("not_utf8", "", format!("not UTF-8 after byte {}", error.valid_up_to()))
    })?;
    if text.starts_with('\u{feff}') {
        return Err(Problem::new("not_json", "", "it starts with a byte order mark"));
    }
    // What no check of ours has named is bad JSON.
    let code = Cell::new("not_json");
    let mut source = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0, code: &code }
        .deserialize(&mut source)
        .and_then(|value| source.end().map(|()| value))
        .map_err(|error| Problem::new(code.get(), "", error.to_string()))?;
    match value {
        Value::Object(fields) => Ok(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Problem::new("not_object", "", "the document is no object"))
        }
    }
}

// `serde_json` alone would keep the last of two equal keys, and its own limit on
// nesting is twice ours; so the value is built here, piece by piece.

/// Builds a value and refuses what `serde_json`'s own `Value` would let pass.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    /// Why it was refused: the error type of serde carries text only.
    code: &'a Cell<&'static str>,
}

impl Strict<'_> {
    fn inside<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            self.code.set("too_deep");
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn text<E: Error>(self, text: &str) -> Result<(), E> {
        if text.contains('\0') {
            self.code.set("nul");
            return Err(E::custom("a text holds the character NUL"));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.text(text)?;
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut fields = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.text(&key)?;
            if fields.contains_key(&key) {
                self.code.set("duplicate_key");
                let shown: String = key.chars().take(60).collect();
                return Err(A::Error::custom(format_args!("the key `{shown}` stands there twice")));
            }
            let value = entries.next_value_seed(inside)?;
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}
