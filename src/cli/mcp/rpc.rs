//! JSON-RPC 2.0, as far as a server of tools needs it: total, whatever the bytes.
//!
//! It leaves out what the methods do.

use serde_json::{Value, json};

/// Messages that one batch may have.
const BATCH_MAX: usize = 64;
/// The deepest nesting that is read.
const DEPTH_MAX: usize = 64;

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// A string or a number, given back as it came.
    pub id: Value,
    /// What is asked for.
    pub method: String,
    /// With what; an empty object where nothing was said.
    pub params: Value,
}

/// What came in.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// Somebody wants an answer.
    Call(Call),
    /// Nobody wants the answer to this call any more; the text of its id.
    Cancelled(String),
    /// A notification, or an answer to what we never asked: nothing follows.
    Nothing,
    /// No message at all; the id that it may have had.
    Wrong(Value, Fault),
}

/// What was wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    code: i32,
    message: String,
}

impl Fault {
    /// The message isn't a request.
    pub fn invalid(message: String) -> Self {
        Self { code: -32600, message }
    }

    /// There is no such method.
    pub fn unknown(message: String) -> Self {
        Self { code: -32601, message }
    }

    /// Its parameters are wrong.
    pub fn bad(message: String) -> Self {
        Self { code: -32602, message }
    }
}

/// Reads one line.
///
/// # Errors
/// When it is no JSON, or a batch that is empty or too long.
pub fn read(bytes: &[u8]) -> Result<Vec<Incoming>, Fault> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Fault { code: -32700, message: format!("this isn't JSON: {error}") })?;
    if is_deeper(&value, DEPTH_MAX) {
        return Err(Fault::invalid(format!("it is nested more than {DEPTH_MAX} deep")));
    }
    match value {
        Value::Array(all) if all.is_empty() => Err(Fault::invalid("an empty batch".to_owned())),
        Value::Array(all) if all.len() > BATCH_MAX => {
            Err(Fault::invalid(format!("a batch of {}, at most {BATCH_MAX} are read", all.len())))
        }
        Value::Array(all) => Ok(all.into_iter().map(one).collect()),
        one_alone => Ok(vec![one(one_alone)]),
    }
}

fn one(value: Value) -> Incoming {
    let Value::Object(mut message) = value else {
        return Incoming::Wrong(Value::Null, Fault::invalid("a message is an object".to_owned()));
    };
    let id = message.remove("id").filter(|id| id.is_string() || id.is_number());
    let wrong = |id: Option<Value>, why: &str| {
        Incoming::Wrong(id.unwrap_or(Value::Null), Fault::invalid(why.to_owned()))
    };
    if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return wrong(id, "`jsonrpc` isn't \"2.0\"");
    }
    let method = match message.remove("method") {
        Some(Value::String(method)) => method,
        // An answer to a request that we never made.
        None if message.contains_key("result") || message.contains_key("error") => return Incoming::Nothing,
        Some(_) | None => return wrong(id, "`method` isn't a text"),
    };
    let params = message.remove("params").unwrap_or_else(|| json!({}));
    let Some(id) = id else {
        let cancelled = params.get("requestId").filter(|_| method == "notifications/cancelled");
        return cancelled.map_or(Incoming::Nothing, |id| Incoming::Cancelled(id.to_string()));
    };
    if !params.is_object() {
        return Incoming::Wrong(id, Fault::bad("`params` isn't an object".to_owned()));
    }
    Incoming::Call(Call { id, method, params })
}

fn is_deeper(value: &Value, left: usize) -> bool {
    match value {
        Value::Array(items) => left == 0 || items.iter().any(|item| is_deeper(item, left - 1)),
        Value::Object(fields) => left == 0 || fields.values().any(|item| is_deeper(item, left - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The answer to a call.
#[must_use]
pub fn done(id: &Value, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

/// What was wrong with a call.
#[must_use]
pub fn failed(id: &Value, fault: &Fault) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": fault.code, "message": fault.message}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<i32> {
        let code = |incoming: Incoming| match incoming {
            Incoming::Wrong(_, fault) => fault.code,
            Incoming::Nothing => 0,
            Incoming::Cancelled(_) => 1,
            Incoming::Call(_) => 2,
        };
        match read(text.as_bytes()) {
            Ok(all) => all.into_iter().map(code).collect(),
            Err(fault) => vec![fault.code],
        }
    }

    #[test]
    fn whatever_comes_in_has_one_meaning() {
        for (text, expected) in [
            ("", vec![-32700]),
            ("{", vec![-32700]),
            ("\u{0}", vec![-32700]),
            ("7", vec![-32600]),
            ("null", vec![-32600]),
            ("[]", vec![-32600]),
            ("{}", vec![-32600]),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, vec![-32600]),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, vec![-32600]),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#, vec![-32602]),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, vec![2]),
            (r#"{"jsonrpc":"2.0","id":"a","method":"ping","params":{}}"#, vec![2]),
            (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, vec![0]),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, vec![0]),
            (r#"{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}"#, vec![0]),
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, vec![0]),
            (r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#, vec![1]),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},7]"#, vec![2, -32600]),
        ] {
            assert_eq!(codes(text), expected, "{text}");
        }
        assert_eq!(codes(&format!("[{}7]", "7,".repeat(64))), [-32600]);
        assert_eq!(codes(&format!("{}{}", "[".repeat(100), "]".repeat(100))), [-32600]);
        assert_eq!(codes(&"[".repeat(100_000)), [-32700]);
    }

    #[test]
    fn an_id_is_given_back_as_it_came() {
        for id in [json!(1), json!("a"), json!(-1.5), json!("")] {
            assert_eq!(done(&id, &json!({}))["id"], id);
        }
    }
}
