//! The tree and the places: what is YAML's own, before any rule about workflows.

use super::super::error::Sink;
use super::super::place::{Path, Source, quote, visible};
use super::super::tree::{Span, Value, parse};
use super::{bad, check, good, good_task, said};

/// The tree of a text, written down: plain scalars bare, others in quotes.
fn written(text: &str) -> String {
    fn write(node: &super::super::tree::Node<'_>, out: &mut String) {
        match &node.value {
            Value::Scalar { text, plain: true } => out.push_str(text),
            Value::Scalar { text, plain: false } => out.push_str(&format!("{text:?}")),
            Value::List(items) => {
                out.push('[');
                items.iter().for_each(|item| {
                    write(item, out);
                    out.push(',');
                });
                out.push(']');
            }
            Value::Map(pairs) => {
                out.push('{');
                pairs.iter().for_each(|(key, value)| {
                    write(key, out);
                    out.push(':');
                    write(value, out);
                    out.push(',');
                });
                out.push('}');
            }
        }
    }
    let mut sink = Sink::new(Source::new(text, 0));
    let mut out = String::new();
    match parse(text, &mut sink) {
        Some(root) => write(&root, &mut out),
        None => out.push_str("nothing"),
    }
    out
}

#[test]
fn a_tree_keeps_order_texts_and_quotes() {
    for (text, expected) in [
        ("b: 1\na: '1'\n", r#"{b:1,a:"1",}"#),
        ("[a, [b], {c: d}]", "[a,[b,],{c:d,},]"),
        ("a:\nb: ~\nc: ''\n", r#"{a:~,b:~,c:"",}"#),
        ("a: |\n  one\n  two\n", r#"{a:"one\ntwo\n",}"#),
        ("a: >-\n  one\n  two\n", r#"{a:"one two",}"#),
        ("a: \"\\u00e9\\n\"\n", r#"{a:"é\n",}"#),
        ("a: 1\na: 2\n", "{a:1,a:2,}"),
        ("a: &x [1]\nb: *x\n", "{a:[1,],b:[1,],}"),
        ("a: &x 1\nb: &x 2\nc: *x\n", "{a:1,b:2,c:2,}"),
        ("? a\n: b\n", "{a:b,}"),
        ("", "nothing"),
        ("a: [", "nothing"),
        ("a\n---\nb\n", "nothing"),
    ] {
        assert_eq!(written(text), expected, "{text:?}");
    }
}

#[test]
fn a_document_may_have_marks_at_its_ends() {
    good("---\nversion: 1\ntasks: { a: { run: x } }\n...\n");
    good("%YAML 1.2\n---\nversion: 1\ntasks: { a: { run: x } }\n");
}

#[test]
fn aliases_of_aliases_are_counted_before_they_are_built() {
    // Two thousand times a thousand is one node too many; the text is 20 KB.
    let items = "x, ".repeat(1_000);
    let uses = "*a, ".repeat(2_000);
    let errors = bad(&format!("a: &a [{items}]\nb: [{uses}]\n"));
    assert_eq!(errors.problems.len(), 1);
    assert!(errors.problems[0].message.starts_with("more than 2000000 values"));
}

#[test]
fn an_alias_to_an_earlier_document_or_to_nothing_is_refused() {
    assert!(said(&bad("version: *one\n"))[0].contains("unknown anchor"));
    assert!(said(&bad("a: &a { b: *a }\n"))[0].contains("stands inside of what it names"));
}

#[test]
fn a_key_is_a_duplicate_however_it_is_quoted() {
    check(
        "version: 1\ntasks: { a: { run: x, 'run': y } }\n",
        &["2:23 tasks.a.run: the key `run` is given twice, on line 2"],
    );
}

#[test]
fn duplicates_are_found_in_large_mappings_too() {
    let env: String = (0..40).map(|index| format!("V{index}: x, ")).collect();
    let errors = bad(&format!("version: 1\ntasks: {{ a: {{ run: x, env: {{ {env} V7: y }} }} }}\n"));
    assert_eq!(errors.problems.len(), 1);
    assert_eq!(errors.problems[0].path, "tasks.a.env.V7");
}

#[test]
fn a_quoted_merge_key_is_a_name_like_any_other() {
    assert!(said(&bad("version: 1\ntasks: { a: { run: x, '<<': y } }\n"))[0].ends_with("unknown key `<<`"));
    assert!(
        said(&bad("version: 1\ntasks: { a: { run: x, <<: {} } }\n"))[0]
            .ends_with("merge keys aren't supported")
    );
}

#[test]
fn a_null_in_quotes_is_text() {
    let workflow = good_task("run: '~', env: { A: 'null', B: '~' }");
    assert_eq!(workflow.tasks[0].env["A"].as_deref(), Some("null"));
    assert_eq!(workflow.tasks[0].env["B"].as_deref(), Some("~"));
    for null in ["", "~", "null", "Null", "NULL"] {
        let text = format!("version: 1\nname: {null}\ntasks: {{ a: {{ run: x }} }}\n");
        assert_eq!(bad(&text).problems[0].message, "found no value: text is allowed here", "{null:?}");
    }
}

#[test]
fn lines_are_counted_from_one_at_every_offset() {
    let source = Source::new("a\nbc\n\nd", 0);
    let lines: Vec<usize> = (0..8).map(|offset| source.line(offset)).collect();
    assert_eq!(lines, [1, 1, 2, 2, 2, 3, 4, 4]);
    assert_eq!(source.slice(Span::new(2, 2)), "bc");
    assert_eq!(source.slice(Span::new(6, 9)), "");
}

#[test]
fn a_path_is_written_with_dots_and_indices() {
    let tasks = Path::ROOT.key("tasks");
    let fix = tasks.key("fix");
    let needs = fix.key("needs");
    assert_eq!(needs.index(0).to_string(), "tasks.fix.needs[0]");
    assert_eq!(needs.index(0).key("task").to_string(), "tasks.fix.needs[0].task");
    assert_eq!(Path::ROOT.to_string(), "");
}

#[test]
fn what_a_terminal_acts_on_is_shown_instead() {
    assert_eq!(visible("a\u{1b}[0m\n\t\u{7f}\u{9b}\u{202e}é"), "a␛[0m␊␉␡\u{fffd}\u{fffd}é");
    assert_eq!(quote("a`b"), "`a`b`");
    assert_eq!(quote(&"x".repeat(60)), format!("`{}`", "x".repeat(60)));
    assert_eq!(quote(&"x".repeat(61)), format!("`{}…`", "x".repeat(60)));
}

#[test]
fn the_stem_of_a_file_is_a_safe_name() {
    let text = b"version: 1\ntasks: { a: { run: x } }\n";
    let name = |file: &str| super::super::load(file, text).expect("a workflow").workflow.name;
    assert_eq!(name("dir/nightly.yaml"), "nightly");
    assert_eq!(name("-"), "-");
    assert_eq!(name("a\u{1b}b.yaml"), "a␛b");
    assert_eq!(name(&"x".repeat(300)).len(), 200);
}

#[test]
fn a_place_far_along_a_line_is_shown_with_what_surrounds_it() {
    let text = format!("version: 1\ntasks: {{ a: {{ run: '{}', nope: 1 }} }}\n", "x".repeat(500));
    let errors = bad(&text);
    assert_eq!(errors.problems[0].column, 524);
    let drawn = super::render(&errors, false, 200);
    assert!(drawn.contains(" 2 │ …xxx") && drawn.contains("xxx', nope: 1 } }\n"), "{drawn}");
}
