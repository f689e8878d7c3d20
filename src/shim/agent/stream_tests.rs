//! Records as real agents print them, and what becomes of each. What goes wrong on purpose is here too.

use super::*;
use serde_json::json;

/// A lens with `rules`, and the file of raw records.
fn lens(rules: Value) -> (tempfile::TempDir, Lens) {
    let dir = tempfile::tempdir().unwrap();
    let raw = Log::append(&dir.path().join("stream.jsonl"), 1 << 20).unwrap();
    (dir, Lens::new("x", Some(serde_json::from_value(rules).unwrap()), raw))
}

/// Each line gives these records, `name` and what is shown of it (or nothing).
fn check(rules: Value, lines: &[(&str, &[(&str, &str)])]) {
    let (_dir, mut lens) = lens(rules);
    for (line, expected) in lines {
        let shown = String::from_utf8(lens.take(format!("{line}\n").as_bytes())).unwrap();
        let records = lens.records();
        let found: Vec<(&str, &str)> = records
            .iter()
            .map(|found| (found.name.as_str(), found.line.as_deref().unwrap_or_default()))
            .collect();
        assert_eq!(found, *expected, "{line}");
        let lines: String = expected
            .iter()
            .filter(|(_, line)| !line.is_empty())
            .map(|(_, line)| format!("x: {line}\n"))
            .collect();
        assert_eq!(shown, lines, "{line}");
    }
}

#[test]
fn codex_exec_json_is_read() {
    let rules = json!({"name": ["type", "item.type"], "show": [
        {"on": "item.completed/error", "line": ""},
        {"on": "item.completed/command_execution", "line": "ran {item.command} (exit {item.exit_code})"},
        {"on": "item.completed/agent_message", "line": "{item.text}"},
        {"on": "turn.failed", "line": "failed: {error.message}"}]});
    check(
        rules,
        &[
            (
                r#"{"type":"thread.started","thread_id":"01a1ff6d-4a13-72f2-b600-8e6f518148c0"}"#,
                &[("thread.started", "")],
            ),
            (
                r#"{"type":"item.completed","item":{"id":"item_0","type":"error","message":"`--dangerously-bypass-hook-trust` is enabled."}}"#,
                &[("item.completed/error", "")],
            ),
            (
                r#"{"type":"item.started","item":{"id":"item_3","type":"command_execution","command":"/bin/bash -lc 'cargo test'","aggregated_output":"","exit_code":null,"status":"in_progress"}}"#,
                &[("item.started/command_execution", "")],
            ),
            (
                r#"{"type":"item.completed","item":{"id":"item_3","type":"command_execution","command":"cargo test","aggregated_output":"","exit_code":0,"status":"completed"}}"#,
                &[("item.completed/command_execution", "ran cargo test (exit 0)")],
            ),
            (
                r#"{"type":"item.completed","item":{"id":"item_6","type":"agent_message","text":"Fixed add()\nin calc.py."}}"#,
                &[("item.completed/agent_message", "Fixed add() in calc.py.")],
            ),
            (
                r#"{"type":"turn.completed","usage":{"input_tokens":4800,"cached_input_tokens":0,"output_tokens":320}}"#,
                &[("turn.completed", "")],
            ),
            (
                r#"{"type":"turn.failed","error":{"message":"exceeded retry limit, last status: 429 Too Many Requests"}}"#,
                &[("turn.failed", "failed: exceeded retry limit, last status: 429 Too Many Requests")],
            ),
        ],
    );
}

#[test]
fn claude_stream_json_is_read_with_what_is_in_a_message() {
    let rules = json!({"name": ["type", "subtype", "is_error"], "each": "message.content", "each_name": ["type"],
        "show": [{"on": "assistant/text", "line": "{text}"},
            {"on": "assistant/tool_use", "line": "{name} {input.command|input.file_path}"},
            {"on": "result/success/is_error", "line": "failed: {result}"}]});
    check(
        rules,
        &[
            (
                r#"{"type":"system","subtype":"init","cwd":"/w","session_id":"a521357a","tools":["Bash"],"model":"m"}"#,
                &[("system/init", "")],
            ),
            (
                r#"{"type":"assistant","message":{"id":"m","role":"assistant","content":[{"type":"text","text":"I test."},{"type":"tool_use","id":"t","name":"Bash","input":{"command":"cargo test"}}],"usage":{}},"session_id":"a"}"#,
                &[
                    ("assistant", ""),
                    ("assistant/text", "I test."),
                    ("assistant/tool_use", "Bash cargo test"),
                ],
            ),
            (
                r#"{"type":"assistant","message":{"content":[{"type":"tool_use","name":"Edit","input":{"file_path":"a.rs"}}]}}"#,
                &[("assistant", ""), ("assistant/tool_use", "Edit a.rs")],
            ),
            (
                r#"{"type":"user","message":{"role":"user","content":[{"tool_use_id":"t","type":"tool_result","content":"..","is_error":false}]}}"#,
                &[("user", ""), ("user/tool_result", "")],
            ),
            (r#"{"type":"user","message":{"role":"user","content":"plain words"}}"#, &[("user", "")]),
            (
                r#"{"type":"result","subtype":"success","is_error":false,"result":"Fixed.","total_cost_usd":0.0048}"#,
                &[("result/success", "")],
            ),
            (
                r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"result":"API Error: Request rejected (429)"}"#,
                &[("result/success/is_error", "failed: API Error: Request rejected (429)")],
            ),
        ],
    );
}

#[test]
fn opencode_format_json_is_read() {
    let rules = json!({"name": ["type", "part.state.status"], "show": [{"on": "text", "line": "{part.text}"},
        {"on": "tool_use", "line": "{part.tool} {part.state.title|part.state.input.command}"}]});
    check(
        rules,
        &[
            (
                r#"{"type":"step_start","timestamp":1,"sessionID":"ses_1","part":{"type":"step-start"}}"#,
                &[("step_start", "")],
            ),
            (
                r#"{"type":"tool_use","timestamp":1,"sessionID":"ses_1","part":{"type":"tool","tool":"bash","callID":"c","state":{"status":"completed","input":{"command":"ls"},"output":"a"}}}"#,
                &[("tool_use/completed", "bash ls")],
            ),
            (
                r#"{"type":"text","timestamp":1,"sessionID":"ses_1","part":{"type":"text","text":"Fixed add()."}}"#,
                &[("text", "Fixed add().")],
            ),
            (
                r#"{"type":"step_finish","sessionID":"ses_1","part":{"reason":"stop","tokens":{"total":1280},"cost":0.00136}}"#,
                &[("step_finish", "")],
            ),
        ],
    );
}

#[test]
fn gemini_stream_json_is_read() {
    let rules = json!({"name": ["type", "status"], "show": [{"on": "message", "line": "{content}"},
        {"on": "tool_use", "line": "{tool_name} {parameters.command}"},
        {"on": "result/error", "line": "failed: {error.message}"}]});
    check(
        rules,
        &[
            (
                r#"{"type":"init","timestamp":"t","session_id":"b7094dde","model":"gemini-2.5-pro"}"#,
                &[("init", "")],
            ),
            (
                r#"{"type":"tool_use","timestamp":"t","tool_name":"run_shell_command","tool_id":"i","parameters":{"command":"make"}}"#,
                &[("tool_use", "run_shell_command make")],
            ),
            (
                r#"{"type":"tool_result","timestamp":"t","tool_id":"i","status":"success","output":""}"#,
                &[("tool_result/success", "")],
            ),
            (
                r#"{"type":"message","timestamp":"t","role":"assistant","content":"Fixed add().","delta":true}"#,
                &[("message", "Fixed add().")],
            ),
            (
                r#"{"type":"result","status":"error","error":{"type":"unknown","message":"[API Error: quota]\nPlease wait and try again later."},"stats":{}}"#,
                &[("result/error", "failed: [API Error: quota] Please wait and try again later.")],
            ),
        ],
    );
}

#[test]
fn pi_mode_json_is_read_without_its_partial_messages() {
    let rules = json!({"name": ["type", "message.stopReason"], "drop": ["message_update", "tool_execution_update"],
        "show": [{"on": "tool_execution_start", "line": "{toolName} {args.command|args.path}"},
            {"on": "turn_end/error", "line": "failed: {message.errorMessage}"},
            {"on": "turn_end", "line": "{message.content.0.text}"}]});
    check(
        rules,
        &[
            (r#"{"type":"session","version":3,"id":"01a1ff6f-4d4f","cwd":"/w"}"#, &[("session", "")]),
            (
                r#"{"type":"message_update","message":{"role":"assistant","content":[{"type":"text","text":"Fi"}]}}"#,
                &[],
            ),
            (
                r#"{"type":"tool_execution_start","toolCallId":"t","toolName":"write","args":{"path":"calc.py","content":".."}}"#,
                &[("tool_execution_start", "write calc.py")],
            ),
            (
                r#"{"type":"turn_end","message":{"role":"assistant","content":[{"type":"text","text":"Fixed."}],"stopReason":"stop"},"toolResults":[]}"#,
                &[("turn_end/stop", "Fixed.")],
            ),
            (
                r#"{"type":"turn_end","message":{"role":"assistant","content":[],"stopReason":"error","errorMessage":"429 {}"},"toolResults":[]}"#,
                &[("turn_end/error", "failed: 429 {}")],
            ),
            (
                r#"{"type":"auto_retry_end","success":false,"attempt":3,"finalError":"429 {}"}"#,
                &[("auto_retry_end", "")],
            ),
        ],
    );
}

#[test]
fn goose_stream_json_is_read() {
    let rules = json!({"name": ["type", "message.role"], "each": "message.content", "each_name": ["type"], "show": [
        {"on": "message/assistant/text", "line": "{text}"},
        {"on": "message/assistant/toolRequest", "line": "{toolCall.value.name} {toolCall.value.arguments.command}"},
        {"on": "error", "line": "failed: {error}"}]});
    check(
        rules,
        &[
            (
                r#"{"type":"message","message":{"id":null,"role":"assistant","created":1,"content":[{"type":"toolRequest","id":"c","toolCall":{"status":"success","value":{"name":"developer__shell","arguments":{"command":"ls"}}}}]}}"#,
                &[("message/assistant", ""), ("message/assistant/toolRequest", "developer__shell ls")],
            ),
            (
                r#"{"type":"message","message":{"role":"user","created":1,"content":[{"type":"toolResponse","id":"c","toolResult":{"status":"success","value":[]}}]}}"#,
                &[("message/user", ""), ("message/user/toolResponse", "")],
            ),
            (
                r#"{"type":"error","error":"Rate limit exceeded"}"#,
                &[("error", "failed: Rate limit exceeded")],
            ),
            (r#"{"type":"complete","total_tokens":1234}"#, &[("complete", "")]),
        ],
    );
}

#[test]
fn what_is_no_record_is_shown_as_it_is_and_its_end_is_kept() {
    let (dir, mut lens) = lens(json!({"name": ["type"], "show": [{"on": "*", "line": "{type}"}]}));
    let mut shown = Vec::new();
    // In pieces that end anywhere.
    for piece in
        "Reading input...\n{\"type\":\"a\"}\n[1]\n{\"no\":\"type\"}\n\n{\"type\":\"b\"}".as_bytes().chunks(3)
    {
        shown.extend(lens.take(piece));
    }
    shown.extend(lens.take_errors(b"warning\n"));
    shown.extend(lens.finish());
    assert_eq!(String::from_utf8(shown).unwrap(), "Reading input...\nx: a\n[1]\nwarning\nx: b\n");
    assert_eq!(lens.tail(), "Reading input...\n[1]\nwarning\n");
    assert_eq!(lens.records().len(), 2);
    let raw = std::fs::read_to_string(dir.path().join("stream.jsonl")).unwrap();
    assert_eq!(raw, "{\"type\":\"a\"}\n{\"no\":\"type\"}\n{\"type\":\"b\"}\n");
}

#[test]
fn s22_neither_a_line_without_end_nor_a_deep_one_nor_a_flood_costs_more_than_a_bound() {
    let (_dir, mut lens) = lens(json!({"name": ["type"], "each": "list", "each_name": ["type"]}));
    let block = vec![b'x'; 1 << 20];
    let mut shown = Vec::new();
    for _ in 0..9 {
        shown.extend(lens.take(&block));
    }
    assert!(lens.line.len() <= MAX_LINE && shown.is_empty());
    shown.extend(lens.take(b"\n{\"type\":\"after\"}\n"));
    assert_eq!(shown, b"[ilchul: a line of more than 4 MiB was passed over]\n");
    lens.take(format!("{}\n", "[".repeat(100_000)).as_bytes());
    let parts = format!("{{\"type\":\"many\",\"list\":[{}{{}}]}}\n", "{},".repeat(50_000));
    lens.take(parts.as_bytes());
    assert_eq!(lens.records().len(), 1 + 1 + MAX_PARTS);
    for _ in 0..2 * MAX_WAITING {
        lens.take(b"{\"type\":\"flood\"}\n");
    }
    assert_eq!(lens.records().len(), MAX_WAITING);
}
