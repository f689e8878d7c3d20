//! A small page against its golden file, and strict parsing of hostile ones.
//!
//! It leaves out the timeline (`timeline_tests.rs`), real runs and real browsers (`tests/page`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node as Element, ParsingOptions};

use super::super::graph::{Edge, Node};
use super::super::sample;
use super::timeline::Stage;
use super::*;
use crate::engine::event::{
    Drift, DriftChange, Drifted, EvidenceEvent, Ignored, ReportEvent, ReportStep, RunEvent, TaskEvent,
    TaskStep, WorkerEvent, WorkerStep,
};
use crate::engine::evidence::{Checked, ChildExit, Verdict};
use crate::engine::state::RunPhase;
use crate::engine::task_table::TaskPhase;
use crate::engine::view::TaskView;

pub(super) fn task(at: u32, id: &str, step: TaskStep) -> (Stamp, Event) {
    (sample::at(at), Event::Task(TaskEvent { task: id.to_owned(), reason: String::new(), step }))
}

fn worker(at: u32, id: &str, step: WorkerStep) -> (Stamp, Event) {
    (sample::at(at), Event::Worker(WorkerEvent { worker: id.to_owned(), reason: String::new(), step }))
}

pub(super) fn claimed(attempt: u32) -> TaskStep {
    TaskStep::Claimed { attempt, recovered_from: None }
}

/// What the sample view's run may have gone through.
fn events() -> Vec<(Stamp, Event)> {
    let checked = |item, checked| {
        let event = EvidenceEvent { task: "build".into(), attempt: 1, item, checked };
        (sample::at(28), Event::Evidence(event))
    };
    let report = |step| (sample::at(27), Event::Report(ReportEvent { worker: "build.1".into(), step }));
    let command = Checked::new("artifact", Verdict::Verified, "a regular file")
        .fact("command", "make <all> && echo `x`")
        .fact("log_sha256", "ab");
    let change = DriftChange { kind: "files".into(), names: vec!["README".into()], more: 0 };
    let drift = Drift { changes: vec![change], unseen: None };
    vec![
        task(0, "build", TaskStep::NeedsMet),
        task(2, "build", claimed(1)),
        worker(
            2,
            "build.1",
            WorkerStep::Provisioning { token: 1, start: "c".repeat(40), nonce_sha256: "d".into() },
        ),
        task(3, "build", TaskStep::Acknowledged),
        task(3, "gone", TaskStep::NeedsMet),
        task(4, "gone", claimed(1)),
        task(5, "gone", TaskStep::Acknowledged),
        worker(
            26,
            "build.1",
            WorkerStep::Ended { exit: ChildExit::Code(0), survivors: Vec::new(), usage: Default::default() },
        ),
        report(ReportStep::Accepted {
            status: "done".into(),
            summary: "built <it>".into(),
            reason: None,
            outputs: Default::default(),
            claims: Vec::new(),
            usage: Default::default(),
            retry_after: None,
            question: None,
            by_shim: false,
            sha256: "e".into(),
        }),
        report(ReportStep::Refused {
            code: "dead_token".into(),
            detail: "token 0".into(),
            sha256: "f".repeat(64),
        }),
        task(28, "build", TaskStep::Worked),
        checked(0, Checked::new("exit", Verdict::Verified, "exit code 0").fact("code", 0)),
        checked(1, command),
        task(30, "build", TaskStep::Replanned),
        task(30, "fix", TaskStep::NeedsMet),
        task(31, "fix", claimed(1)),
        task(32, "fix", TaskStep::Acknowledged),
        (
            sample::at(50),
            Event::Run(RunEvent::Drifted(Box::new(Drifted { workers: vec!["fix.1".into()], drift }))),
        ),
        (
            sample::at(60),
            Event::Ignored(Ignored {
                worker: None,
                input: "a file".into(),
                code: "unknown".into(),
                detail: "nobody knows it".into(),
            }),
        ),
        task(90, "gone", TaskStep::AttemptFailed { again: false }),
        task(95, "docs", TaskStep::NeedsMet),
    ]
}

fn numbered(events: &[(Stamp, Event)]) -> impl Iterator<Item = (u64, Stamp, &Event)> + Clone {
    (1..).zip(events).map(|(seq, (at, event))| (seq, *at, event))
}

fn drawn(view: &RunView) -> Graph {
    let place = |id: &str| view.tasks.iter().position(|task| task.id == id);
    let node = |task: &TaskView| Node {
        id: task.id.clone(),
        kind: task.kind,
        phase: Some(task.phase),
        pruned: false,
        note: String::new(),
        parent: task.parent.as_deref().and_then(place),
        submitted_by: None,
        step: if task.needs.is_empty() { 1 } else { 2 },
    };
    let edge = |from, to| Edge { from, to, when: None, labels: Vec::new(), pruned: false };
    let edges = view.tasks.iter().enumerate().flat_map(|(to, task)| {
        task.needs.iter().filter_map(move |need| place(need)).map(move |from| edge(from, to))
    });
    Graph {
        name: view.workflow.clone(),
        run: Some(view.id.clone()),
        nodes: view.tasks.iter().map(node).collect(),
        edges: edges.collect(),
    }
}

fn made(view: &RunView, events: &[(Stamp, Event)], logs: BTreeMap<String, Tail>) -> String {
    let (beside, graph) = (sample::beside(), drawn(view));
    let page = Page {
        view,
        held: true,
        beside: &beside,
        graph: &graph,
        story: Story::gather(numbered(events)),
        outputs: logs.values().map(|tail| ("ab".to_owned(), tail.clone())).collect(),
        logs,
        made_ms: sample::START_MS + 120_000,
    };
    document(page).unwrap()
}

fn logs(text: &str) -> BTreeMap<String, Tail> {
    BTreeMap::from([("build.1".to_owned(), Tail { text: text.to_owned(), bytes: 4096, whole: false })])
}

fn small() -> String {
    made(&sample::view(), &events(), logs("one\ntwo\n"))
}

/// By a parser that forgives nothing.
fn parsed(page: &str) -> Document<'_> {
    Document::parse_with_options(page, ParsingOptions { allow_dtd: true, ..Default::default() }).unwrap()
}

fn text(element: Element<'_, '_>) -> String {
    element.descendants().filter(Element::is_text).filter_map(|node| node.text()).collect()
}

#[test]
fn a_small_page_is_as_it_was() {
    let page = small();
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, rest) = rest.split_once("</style>").unwrap();
    let digest = base64(&Sha256::digest(STYLE));
    let found = format!("{head}<style></style>{rest}").replace(&digest, "DIGEST");
    let folder: PathBuf = Path::new(file!())
        .ancestors()
        .find(|at| at.join("fixtures/pages").is_dir())
        .unwrap()
        .join("fixtures/pages");
    let path = folder.join("small.html");
    if std::env::var_os("ILCHUL_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&path).unwrap_or_default(), "ILCHUL_BLESS=1 accepts it");
    assert!(is_ours(page.as_bytes()) && !is_ours(b"<!DOCTYPE html>\n<html>"));
}

#[test]
fn the_policy_names_the_style_that_is_there_and_lets_nothing_else_in() {
    let page = small();
    let document = parsed(&page);
    let find = |name: &str| document.descendants().find(|node| node.has_tag_name(name)).unwrap();
    let policy = document
        .descendants()
        .find(|node| node.attribute("http-equiv") == Some("Content-Security-Policy"))
        .and_then(|node| node.attribute("content"))
        .unwrap();
    let digest = base64(&Sha256::digest(find("style").text().unwrap()));
    let expected =
        format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'");
    assert_eq!(policy, expected);
    assert_eq!(document.descendants().filter(|node| node.has_tag_name("style")).count(), 1);
    // Before anything that it is to be held against.
    assert!(page.find("Content-Security-Policy") < page.find("<style>"));
    assert!(!page.contains("http:") && !page.contains("https:") && !STYLE.contains("@import"));
    assert!(STYLE.split("url(").skip(1).all(|rest| rest.starts_with("#p-")));
}

#[test]
fn digests_are_written_as_policies_read_them() {
    let all = [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
    ];
    for (bytes, written) in all {
        assert_eq!(base64(bytes.as_bytes()), written);
    }
    assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
}

#[test]
fn every_link_leads_somewhere_and_every_id_is_one_things() {
    let page = small();
    let document = parsed(&page);
    let ids: Vec<&str> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "{ids:?}");
    let named = |name: &str| -> Vec<String> {
        document.descendants().filter_map(|node| node.attribute(name)).map(str::to_owned).collect()
    };
    let links = named("href");
    assert!(links.len() > 15 && links.iter().all(|link| link.starts_with('#')), "{links:?}");
    let missing: Vec<String> = links
        .iter()
        .map(|link| link[1..].to_owned())
        .chain(named("aria-labelledby"))
        .filter(|id| !unique.contains(id.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    for mark in named("marker-end").iter().chain(&named("fill")) {
        assert!(mark.strip_prefix("url(#").is_some_and(|id| unique.contains(&id[..id.len() - 1])), "{mark}");
    }
}

#[test]
fn a_screen_reader_finds_landmarks_headings_in_order_and_heads_of_columns() {
    let page = small();
    let document = parsed(&page);
    for landmark in ["header", "nav", "main", "footer", "h1"] {
        assert_eq!(
            document.descendants().filter(|node| node.has_tag_name(landmark)).count(),
            1,
            "{landmark}"
        );
    }
    let level =
        |node: Element<'_, '_>| -> Option<u32> { node.tag_name().name().strip_prefix('h')?.parse().ok() };
    let levels: Vec<u32> = document.descendants().filter_map(level).collect();
    assert_eq!(levels[0], 1);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    for table in document.descendants().filter(|node| node.has_tag_name("table")) {
        assert!(table.descendants().any(|node| node.attribute("scope") == Some("col")));
    }
    // What scrolls can be reached by keys, and has a name.
    for scroller in document
        .descendants()
        .filter(|node| node.attribute("class").is_some_and(|class| class.starts_with("scroll")))
    {
        assert_eq!(scroller.attribute("tabindex"), Some("0"));
        assert!(scroller.attribute("aria-label").is_some());
    }
    // The first thing that can be reached leads past the rest.
    let first = document.descendants().find(|node| node.has_tag_name("a")).unwrap();
    assert_eq!(first.attribute("href"), Some("#main"));
    // No state is told by colour alone.
    for state in document
        .descendants()
        .filter(|node| node.attribute("class").is_some_and(|class| class.starts_with("state ")))
    {
        assert!(text(state).chars().any(char::is_alphabetic));
    }
}

/// Every text of the sample that a worker, a workflow or a file name could have chosen.
fn hostile_page(hostile: &str) -> String {
    let mut view = sample::view();
    let bad = hostile.to_owned();
    (view.workflow, view.path, view.base_name, view.interrupted) =
        (bad.clone(), bad.clone(), bad.clone(), bad.clone());
    view.halted =
        Some(crate::engine::halt::Halted { by: crate::engine::halt::Halt::Breaker, reason: bad.clone() });
    for task in &mut view.tasks {
        task.reason = format!("needs_input: {bad}");
        task.waits_for = vec![bad.clone()];
        task.phase = if task.id == "build" { TaskPhase::Failed } else { TaskPhase::Blocked };
        task.declared = Ok(vec!["exit", "artifact"]);
        task.parent = Some(bad.clone());
    }
    view.tasks[5].declared = Err(bad.clone());
    for worker in &mut view.workers {
        let fields = [("path", hostile), ("branch", hostile)];
        worker.workspace = Some(sample::place("worktree", hostile, &fields));
    }
    let mut events = events();
    for (_, event) in &mut events {
        match event {
            Event::Report(event) => match &mut event.step {
                ReportStep::Accepted { status, summary, reason, outputs, .. } => {
                    (*status, *summary, *reason) = (bad.clone(), bad.clone(), Some(bad.clone()));
                    outputs.insert(bad.clone(), bad.clone().into());
                }
                ReportStep::Refused { code, detail, sha256 } => {
                    (*code, *detail, *sha256) = (bad.clone(), bad.clone(), bad.clone());
                }
            },
            Event::Evidence(event) => {
                event.checked = Checked::new(&bad, Verdict::Refuted, bad.clone())
                    .fact("command", hostile)
                    .fact("log_sha256", "ab")
                    .fact(hostile, hostile)
                    .fact("bracket", json!([{"judge": hostile, "left": hostile, "right": hostile}]));
            }
            Event::Ignored(event) => {
                (event.input, event.code, event.detail) = (bad.clone(), bad.clone(), bad.clone());
                event.worker = Some(bad.clone());
            }
            Event::Run(RunEvent::Drifted(drifted)) => {
                drifted.workers = vec![bad.clone()];
                drifted.drift.unseen = Some(bad.clone());
                drifted.drift.changes[0] =
                    DriftChange { kind: bad.clone(), names: vec![bad.clone()], more: 0 };
            }
            Event::Run(_) | Event::Task(_) | Event::Worker(_) | Event::Claim(_) => {}
        }
    }
    made(&view, &events, logs(hostile))
}

#[test]
fn s8_whatever_anybody_wrote_is_text_and_never_markup() {
    let all: String = (0..0x2100_u32).chain([0xfffe, 0xffff, 0x1f600]).filter_map(char::from_u32).collect();
    let plain = small();
    let kinds = |page: &str| -> BTreeSet<String> {
        let document = parsed(page);
        let names = document.descendants().filter(Element::is_element).flat_map(|node| {
            let name = node.tag_name().name().to_owned();
            let attributes: Vec<String> =
                node.attributes().map(|one| format!("{name} {}", one.name())).collect();
            attributes.into_iter().chain([name])
        });
        names.collect()
    };
    let mut known = kinds(&plain);
    // What only a waived item, a played match, a bound or an open question brings.
    known.extend(["strong", "ul class", "details open", "blockquote"].map(str::to_owned));
    for hostile in [
        format!(
            "`\"'/><script>alert(1)</script></style></title><!-- --><img src=x onerror=alert(1)>{{{{7919*7907}}}}]]>&amp; {all}"
        ),
        "</textarea></pre></details></svg><iframe srcdoc='x'>".to_owned(),
        "\" onclick=\"alert(1)\" x=\"".to_owned(),
        "javascript:alert(1)//`<".to_owned(),
    ] {
        let page = hostile_page(&hostile);
        let new: Vec<String> = kinds(&page).difference(&known).cloned().collect();
        assert!(new.is_empty(), "{new:?}");
        let document = parsed(&page);
        assert!(
            document
                .descendants()
                .filter_map(|node| node.attribute("href"))
                .all(|link| link.starts_with('#'))
        );
        let shown = text(document.root_element());
        assert!(shown.contains(hostile.trim_start_matches('`').split([' ', '`']).next().unwrap()), "{shown}");
        assert!(
            !shown.contains("62615533") || !hostile.contains("7919*7907"),
            "a template in a text was filled in"
        );
        assert!(shown.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t')));
        assert!(!page.contains('\u{202e}') && !page.contains('\u{ffff}'));
    }
}

#[test]
fn every_stage_and_state_has_its_look() {
    for class in Stage::ALL.map(Stage::class).iter().chain(&["good", "warn", "bad", "dim", "plain"]) {
        assert!(STYLE.contains(&format!(".{class} {{")), "{class}");
    }
    let marks: BTreeSet<&str> = TaskPhase::ALL.into_iter().map(words::mark).collect();
    assert_eq!(marks.len(), TaskPhase::ALL.len());
}

#[test]
fn two_thousand_tasks_make_a_page_that_can_be_opened() {
    let mut view = sample::view();
    let template = view.tasks[0].clone();
    let mut events = Vec::new();
    view.tasks = (0..2_000_u32)
        .map(|number| {
            let id = format!("t{number}");
            let needs = (number >= 500).then(|| format!("t{}", number - 500)).into_iter().collect();
            for (at, step) in [
                (number / 20, TaskStep::NeedsMet),
                (number / 20 + 1, claimed(1)),
                (number / 20 + 1, TaskStep::Acknowledged),
                (number / 20 + 3, TaskStep::DecidedAccept),
            ] {
                events.push(task(at, &id, step));
            }
            TaskView { id, needs, ..template.clone() }
        })
        .collect();
    view.phase = RunPhase::Ended { success: true };
    let page = made(&view, &events, BTreeMap::new());
    assert!(page.len() < 8 << 20, "{} bytes", page.len());
    let document = parsed(&page);
    let of = |class: &str| {
        document
            .descendants()
            .filter(|node| node.attribute("class").is_some_and(|found| found.starts_with(class)))
            .count()
    };
    assert_eq!((of("task depth"), of("lane depth"), of("dag")), (2_000, 2_000, 0));
    assert!(page.contains("<summary>1850 more tasks</summary>"));
    assert!(page.contains("500 tasks: 500 completed"), "a mark for each, by step");
    // Nothing is in the way of a keyboard that isn't worth a stop.
    assert!(document.descendants().filter(|node| node.attribute("tabindex").is_some()).count() < 2_100);
}
