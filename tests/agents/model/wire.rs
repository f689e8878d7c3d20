//! Four protocols in which agents ask a model: what a request holds, as one conversation.
//!
//! Only what a script needs is read. What an agent sends besides (system prompts, images,
//! caches, thoughts) is passed over.

use serde_json::{Map, Value, json};

use super::script::Line;

/// How an agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Anthropic Messages.
    Messages,
    /// OpenAI Chat Completions.
    Chat,
    /// OpenAI Responses.
    Responses,
    /// Gemini's `generateContent`.
    Gemini,
}

impl Wire {
    /// By the path that is asked for; none for whatever isn't a question to the model.
    pub fn of(url: &str) -> Option<Self> {
        let path = url.split('?').next().unwrap_or(url);
        if path.ends_with("/messages") {
            Some(Self::Messages)
        } else if path.ends_with("/chat/completions") {
            Some(Self::Chat)
        } else if path.ends_with("/responses") {
            Some(Self::Responses)
        } else if path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent") {
            Some(Self::Gemini)
        } else {
            None
        }
    }

    /// The conversation so far, oldest first.
    pub fn lines(self, body: &Value) -> Vec<Line> {
        let list = match self {
            Self::Messages | Self::Chat => &body["messages"],
            Self::Responses => &body["input"],
            Self::Gemini => &body["contents"],
        };
        let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().flat_map(|item| if self == Self::Gemini { turn(item) } else { message(item) }).collect()
    }

    /// The shell tool that is offered, with its arguments for this command.
    pub fn shell(body: &Value, command: &str) -> Option<(String, Value)> {
        let tools = body["tools"].as_array()?;
        let declared = |tool: &Value| {
            let several = tool["functionDeclarations"].as_array().cloned();
            several.unwrap_or_else(|| vec![tool.get("function").unwrap_or(tool).clone()])
        };
        let tools: Vec<Value> = tools.iter().flat_map(declared).collect();
        let named = |name: &str| tools.iter().find(|tool| tool["name"] == *name);
        let tool = SHELLS.iter().find_map(|name| named(name))?;
        let schema =
            ["input_schema", "parametersJsonSchema", "parameters"].iter().find_map(|key| tool.get(key))?;
        Some((tool["name"].as_str()?.to_owned(), arguments(schema, command)))
    }
}

/// What agents call their shell.
const SHELLS: &[&str] =
    &["bash", "Bash", "exec_command", "shell", "shell_command", "run_shell_command", "developer__shell"];

/// The command where the schema wants it, and something neutral for what it requires besides.
fn arguments(schema: &Value, command: &str) -> Value {
    let properties = schema["properties"].as_object();
    let kind = |name: &str| {
        properties.and_then(|all| all.get(name)?["type"].as_str()).unwrap_or("string").to_lowercase()
    };
    let mut filled = Map::new();
    for name in ["command", "cmd", "script"] {
        if properties.is_some_and(|all| all.contains_key(name)) {
            let words = json!(["bash", "-c", command]);
            filled.insert(name.to_owned(), if kind(name) == "array" { words } else { json!(command) });
            break;
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let neutral = match kind(name).as_str() {
            "number" | "integer" => json!(0),
            "boolean" => json!(false),
            _ => json!("a step"),
        };
        filled.entry(name.to_owned()).or_insert(neutral);
    }
    Value::Object(filled)
}

/// A message of Anthropic's or OpenAI's, or an item of OpenAI's newer list.
fn message(item: &Value) -> Vec<Line> {
    let is_result = |kind: &Value| kind.as_str().is_some_and(|kind| kind.ends_with("_output"));
    if item["role"] == "tool" || is_result(&item["type"]) {
        let output = if item["output"].is_null() { &item["content"] } else { &item["output"] };
        return vec![Line::Result(text(output))];
    }
    let of = |text: String| match item["role"].as_str() {
        Some("user") => Some(Line::User(text)),
        Some("assistant") => Some(Line::Model(text)),
        _ => None,
    };
    match &item["content"] {
        Value::String(whole) => of(whole.clone()).into_iter().collect(),
        Value::Array(parts) => parts.iter().filter_map(|part| block(part, of)).collect(),
        _ => Vec::new(),
    }
}

fn block(part: &Value, of: impl Fn(String) -> Option<Line>) -> Option<Line> {
    if part["type"] == "tool_result" {
        return Some(Line::Result(text(&part["content"])));
    }
    of(part["text"].as_str()?.to_owned())
}

/// A turn of Gemini's.
fn turn(item: &Value) -> Vec<Line> {
    let parts = item["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |part: &Value| {
        if let Some(result) = part.get("functionResponse") {
            return Some(Line::Result(result["response"].to_string()));
        }
        let text = part["text"].as_str()?.to_owned();
        Some(if item["role"] == "model" { Line::Model(text) } else { Line::User(text) })
    };
    parts.iter().filter_map(line).collect()
}

/// The text of a tool's result, however it is wrapped.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text).collect::<Vec<_>>().join("\n"),
        Value::Object(object) => object.get("text").map_or_else(|| value.to_string(), text),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::script::Line::{Model, Result, User};
    use super::Wire;

    #[test]
    fn a_path_says_which_protocol_it_is() {
        assert_eq!(Wire::of("/v1/messages?beta=true"), Some(Wire::Messages));
        assert_eq!(Wire::of("/v1/messages/count_tokens"), None);
        assert_eq!(Wire::of("/v1/chat/completions"), Some(Wire::Chat));
        assert_eq!(Wire::of("/v1/responses"), Some(Wire::Responses));
        let gemini = "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse";
        assert_eq!(Wire::of(gemini), Some(Wire::Gemini));
        assert_eq!(Wire::of("/v1/models"), None);
    }

    #[test]
    fn the_same_conversation_is_read_from_every_protocol() {
        let said = [User("fix it".into()), Model("so".into()), Result("done".into())];
        let messages = json!({"messages": [
            {"role": "user", "content": "fix it"},
            {"role": "assistant", "content": [{"type": "text", "text": "so"}, {"type": "tool_use", "id": "t"}]},
            {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "done"}]}]},
        ]});
        assert_eq!(Wire::Messages.lines(&messages), said);
        let chat = json!({"messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": [{"type": "text", "text": "fix it"}]},
            {"role": "assistant", "content": "so", "tool_calls": []},
            {"role": "tool", "content": "done"},
        ]});
        assert_eq!(Wire::Chat.lines(&chat), said);
        let responses = json!({"input": [
            {"role": "developer", "content": [{"type": "input_text", "text": "be kind"}]},
            {"role": "user", "content": [{"type": "input_text", "text": "fix it"}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "so"}]},
            {"type": "function_call", "call_id": "c"},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
        ]});
        assert_eq!(Wire::Responses.lines(&responses), said);
        let gemini = json!({"contents": [
            {"role": "user", "parts": [{"text": "fix it"}]},
            {"role": "model", "parts": [{"text": "so"}, {"functionCall": {"name": "x"}}]},
            {"role": "user", "parts": [{"functionResponse": {"response": "done"}}]},
        ]});
        assert_eq!(Wire::Gemini.lines(&gemini)[..2], said[..2]);
        assert_eq!(Wire::Gemini.lines(&gemini).len(), 3);
    }

    #[test]
    fn the_shell_is_called_as_its_schema_wants() {
        let schema = json!({"properties": {"cmd": {"type": "string"}, "why": {"type": "string"}, "n": {"type": "number"}},
            "required": ["cmd", "why", "n"]});
        let body = json!({"tools": [{"type": "function", "name": "exec_command", "parameters": schema}]});
        let filled = json!({"cmd": "ls", "why": "a step", "n": 0});
        assert_eq!(Wire::shell(&body, "ls"), Some(("exec_command".to_owned(), filled)));
        let schema = json!({"properties": {"command": {"type": "STRING"}}});
        let body = json!({"tools": [{"functionDeclarations": [{"name": "run_shell_command", "parameters": schema}]}]});
        assert_eq!(
            Wire::shell(&body, "ls"),
            Some(("run_shell_command".to_owned(), json!({"command": "ls"})))
        );
        assert_eq!(Wire::shell(&json!({"tools": [{"name": "Read", "input_schema": {}}]}), "ls"), None);
    }
}
