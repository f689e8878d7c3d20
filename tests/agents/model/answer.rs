//! The model's answers in each protocol, whole or as server-sent events.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::wire::Wire;

/// What each answer is said to have cost.
pub const TOKENS_IN: u64 = 1200;
/// And the answer itself.
pub const TOKENS_OUT: u64 = 80;

/// What the model says or calls.
pub enum Said {
    /// Text; the turn is over.
    Text(String),
    /// A tool with its arguments.
    Call(String, Value),
}

/// A body with its content type.
pub struct Body {
    /// `Content-Type`.
    pub kind: &'static str,
    /// What is sent.
    pub text: String,
}

/// The answer to `request`, streamed where that was asked for.
pub fn body(wire: Wire, url: &str, request: &Value, said: &Said) -> Body {
    let streamed = request["stream"] == true || url.contains(":streamGenerateContent");
    let (whole, events) = match wire {
        Wire::Messages => messages(request, said),
        Wire::Chat => chat(request, said),
        Wire::Responses => responses(request, said),
        Wire::Gemini => gemini(said),
    };
    if streamed {
        Body { kind: "text/event-stream", text: events.iter().map(event).collect() }
    } else {
        Body { kind: "application/json", text: whole.to_string() }
    }
}

/// A refusal for `seconds`, in the provider's own words.
pub fn refusal(wire: Wire, seconds: u64) -> Body {
    let said = format!("Rate limit reached. Please try again in {seconds}s.");
    let body = match wire {
        Wire::Messages => json!({"type": "error", "error": {"type": "rate_limit_error", "message": said}}),
        Wire::Chat | Wire::Responses => {
            json!({"error": {"type": "requests", "code": "rate_limit_exceeded", "message": said}})
        }
        Wire::Gemini => {
            json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": said, "details": [
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s")}]}})
        }
    };
    Body { kind: "application/json", text: body.to_string() }
}

/// One event: its name where the protocol has one, and its data.
fn event((name, data): &(Option<&str>, Value)) -> String {
    let name = name.map(|name| format!("event: {name}\n")).unwrap_or_default();
    // The end of a chat's stream is a bare word.
    let data = data.as_str().map_or_else(|| data.to_string(), str::to_owned);
    format!("{name}data: {data}\n\n")
}

type Events = Vec<(Option<&'static str>, Value)>;

/// A new id of this kind.
fn id(kind: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{kind}_{:012x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn messages(request: &Value, said: &Said) -> (Value, Events) {
    let (block, start, delta, stop) = match said {
        Said::Text(text) => (
            json!({"type": "text", "text": text}),
            json!({"type": "text", "text": ""}),
            json!({"type": "text_delta", "text": text}),
            "end_turn",
        ),
        Said::Call(name, arguments) => {
            let id = id("toolu");
            (
                json!({"type": "tool_use", "id": id, "name": name, "input": arguments}),
                json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
                json!({"type": "input_json_delta", "partial_json": arguments.to_string()}),
                "tool_use",
            )
        }
    };
    let mut whole = json!({"id": id("msg"), "type": "message", "role": "assistant", "model": request["model"],
        "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": TOKENS_IN, "output_tokens": 1}});
    let named = |name: &'static str, data: Value| (Some(name), data);
    let events = vec![
        named("message_start", json!({"type": "message_start", "message": whole})),
        named(
            "content_block_start",
            json!({"type": "content_block_start", "index": 0, "content_block": start}),
        ),
        named("content_block_delta", json!({"type": "content_block_delta", "index": 0, "delta": delta})),
        named("content_block_stop", json!({"type": "content_block_stop", "index": 0})),
        named(
            "message_delta",
            json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
                "usage": {"output_tokens": TOKENS_OUT}}),
        ),
        named("message_stop", json!({"type": "message_stop"})),
    ];
    whole["content"] = json!([block]);
    whole["stop_reason"] = json!(stop);
    whole["usage"]["output_tokens"] = json!(TOKENS_OUT);
    (whole, events)
}

fn chat(request: &Value, said: &Said) -> (Value, Events) {
    let (message, end) = match said {
        Said::Text(text) => (json!({"role": "assistant", "content": text}), "stop"),
        Said::Call(name, arguments) => {
            let call = json!({"index": 0, "id": id("call"), "type": "function",
                "function": {"name": name, "arguments": arguments.to_string()}});
            (json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls")
        }
    };
    let usage = json!({"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT,
        "total_tokens": TOKENS_IN + TOKENS_OUT});
    let base = json!({"id": id("chatcmpl"), "created": 1, "model": request["model"]});
    let with = |kind: &str, key: &str, choice: Value| {
        let mut one = base.clone();
        one["object"] = json!(kind);
        one["choices"] = if choice.is_null() { json!([]) } else { json!([choice]) };
        if choice.is_null() || key == "message" {
            one["usage"] = usage.clone();
        }
        one
    };
    let piece = |choice: Value| (None, with("chat.completion.chunk", "delta", choice));
    let events = vec![
        piece(json!({"index": 0, "delta": message, "finish_reason": null})),
        piece(json!({"index": 0, "delta": {}, "finish_reason": end})),
        piece(Value::Null),
        (None, json!("[DONE]")),
    ];
    let whole = json!({"index": 0, "message": message, "finish_reason": end});
    (with("chat.completion", "message", whole), events)
}

fn responses(request: &Value, said: &Said) -> (Value, Events) {
    let item = match said {
        Said::Text(text) => json!({"type": "message", "id": id("msg"), "role": "assistant",
            "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]}),
        Said::Call(name, arguments) => json!({"type": "function_call", "id": id("fc"), "call_id": id("call"),
            "name": name, "arguments": arguments.to_string(), "status": "completed"}),
    };
    let mut whole = json!({"id": id("resp"), "object": "response", "created_at": 1,
        "model": request["model"], "status": "in_progress", "output": [], "error": null});
    let mut events: Events = vec![(Some("response.created"), json!({"response": whole}))];
    events.push((Some("response.output_item.added"), json!({"output_index": 0, "item": item})));
    if let Said::Text(text) = said {
        let delta = json!({"item_id": item["id"], "output_index": 0, "content_index": 0, "delta": text});
        events.push((Some("response.output_text.delta"), delta));
    }
    events.push((Some("response.output_item.done"), json!({"output_index": 0, "item": item})));
    whole["status"] = json!("completed");
    whole["output"] = json!([item]);
    whole["usage"] = json!({"input_tokens": TOKENS_IN, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": TOKENS_OUT, "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": TOKENS_IN + TOKENS_OUT});
    events.push((Some("response.completed"), json!({"response": whole})));
    for (number, (name, data)) in events.iter_mut().enumerate() {
        data["type"] = json!(name);
        data["sequence_number"] = json!(number);
    }
    (whole, events)
}

fn gemini(said: &Said) -> (Value, Events) {
    let part = match said {
        Said::Text(text) => json!({"text": text}),
        Said::Call(name, arguments) => json!({"functionCall": {"name": name, "args": arguments}}),
    };
    let whole = json!({"candidates": [
            {"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": TOKENS_IN, "candidatesTokenCount": TOKENS_OUT,
            "totalTokenCount": TOKENS_IN + TOKENS_OUT},
        "modelVersion": "scripted"});
    (whole.clone(), vec![(None, whole)])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Said, body, refusal};
    use crate::model::wire::Wire;

    const ALL: &[Wire] = &[Wire::Messages, Wire::Chat, Wire::Responses, Wire::Gemini];

    fn events(text: &str) -> Vec<Value> {
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    #[test]
    fn a_call_stands_in_every_protocol_with_its_arguments() {
        let said = Said::Call("bash".to_owned(), json!({"command": "ls -l"}));
        for wire in ALL {
            let url = if *wire == Wire::Gemini { "/m:streamGenerateContent" } else { "/" };
            let streamed = body(*wire, url, &json!({"stream": true, "model": "m"}), &said);
            assert_eq!(streamed.kind, "text/event-stream");
            let all = events(&streamed.text);
            assert!(!all.is_empty() && streamed.text.contains("ls -l"), "{wire:?}: {}", streamed.text);
            let whole = body(*wire, "/m:generateContent", &json!({"model": "m"}), &said);
            assert_eq!(whole.kind, "application/json");
            assert!(whole.text.contains("ls -l") && whole.text.contains("1200"), "{wire:?}: {}", whole.text);
        }
    }

    #[test]
    fn a_refusal_says_how_long_to_wait() {
        for wire in ALL {
            assert!(refusal(*wire, 7).text.contains("try again in 7s"), "{wire:?}");
        }
    }
}
