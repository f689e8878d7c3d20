//! The page of a supervisor, held against the text format as strictly as a reader of it would.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::world::{World, wait_for};

/// One page: what each family is, and the value of each series.
#[derive(Debug, Default)]
struct Page {
    kinds: BTreeMap<String, String>,
    series: BTreeMap<String, f64>,
}

/// Reads a page as the text format 0.0.4 is written down, and refuses everything else.
fn parse(text: &str) -> Result<Page, String> {
    let mut page = Page::default();
    let mut helped = BTreeSet::new();
    let mut family = String::new();
    if !text.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or("no help")?;
            if !helped.insert(name.to_owned()) || help.is_empty() {
                return Err(format!("helped twice, or by nothing: {name}"));
            }
            name.clone_into(&mut family);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or("no type")?;
            if name != family || !["counter", "gauge"].contains(&kind) {
                return Err(format!("a type that doesn't follow its help: {line}"));
            }
            if (kind == "counter") != name.ends_with("_total") {
                return Err(format!("a counter ends in _total, and nothing else does: {name}"));
            }
            page.kinds.insert(name.to_owned(), kind.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').ok_or_else(|| format!("no value: {line}"))?;
            let name = series.split('{').next().unwrap_or_default();
            if name != family || !page.kinds.contains_key(name) {
                return Err(format!("a sample outside of its family: {line}"));
            }
            labels(series.strip_prefix(name).unwrap_or_default())?;
            let value = value.parse().map_err(|_| format!("no number: {line}"))?;
            if page.series.insert(series.to_owned(), value).is_some() {
                return Err(format!("told twice: {series}"));
            }
        }
    }
    Ok(page)
}

fn labels(text: &str) -> Result<(), String> {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).ok_or("no braces")?;
    let mut rest = inner;
    loop {
        let (name, after) = rest.split_once("=\"").ok_or_else(|| format!("no label: {rest}"))?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            return Err(format!("no name of a label: {name}"));
        }
        let mut escaped = false;
        let end = after.char_indices().find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let (end, _) = end.ok_or("a value without an end")?;
        match &after[end + 1..] {
            "" => return Ok(()),
            more => rest = more.strip_prefix(',').ok_or_else(|| format!("no comma: {more}"))?,
        }
    }
}

impl Page {
    #[track_caller]
    fn value(&self, name: &str, label: &str) -> f64 {
        let fits = |series: &&String| series.starts_with(&format!("{name}{{")) && series.contains(label);
        let found: Vec<&String> = self.series.keys().filter(fits).collect();
        assert_eq!(found.len(), 1, "{name} {label}: {found:?}");
        self.series[found[0]]
    }
}

#[test]
fn the_reader_of_pages_refuses_what_prometheus_would() {
    let family = "# HELP a_total x\n# TYPE a_total counter\n";
    assert!(parse(&format!("{family}a_total{{run=\"x,\\\"}}\"}} 1\n")).is_ok());
    for wrong in [
        "a_total{run=\"x\"} 1\n".to_owned(),
        format!("{family}a_total{{run=\"x\"}} one\n"),
        format!("{family}a_total{{run=\"x\"}} 1\na_total{{run=\"x\"}} 1\n"),
        format!("{family}a_total{{run=\"x\"}} 1"),
        format!("{family}a_total{{run=x}} 1\n"),
        format!("{family}b_total{{run=\"x\"}} 1\n"),
        family.replace("counter", "gauge"),
        format!("{family}{family}"),
    ] {
        assert!(parse(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_supervisor_keeps_its_page_while_it_works_and_leaves_the_last_one() {
    let world = World::with(
        "limits: { tokens: 1000 }
tasks:
  one: { run: 'true' }
  long: { run: 'while ! test -e $W/go; do sleep 0.05; done', needs: [one] }
",
    );
    let file = world.root().join("ilchul.prom");
    let up = world.start(&["up", "--session", "subprocess", "--metrics", file.to_str().unwrap()]);
    let page = wait_for("a page of the running task", || {
        let page = parse(&fs::read_to_string(&file).ok()?).unwrap();
        (page.value("ilchul_tasks", "state=\"in_progress\"") > 0.0).then_some(page)
    });
    assert!((page.value("ilchul_run_state", "state=\"running\"") - 1.0).abs() < f64::EPSILON);
    assert!((page.value("ilchul_tasks", "state=\"completed\"") - 1.0).abs() < f64::EPSILON);
    assert!((page.value("ilchul_budget_tokens", "part=\"limit\"") - 1000.0).abs() < f64::EPSILON);
    world.touch("go");
    up.wait().exits(0);
    let last = parse(&fs::read_to_string(&file).unwrap()).unwrap();
    let counts = |name: &str, label: &str| last.value(name, label);
    assert!((counts("ilchul_run_state", "state=\"done\"") - 1.0).abs() < f64::EPSILON);
    assert!((counts("ilchul_tasks", "state=\"completed\"") - 2.0).abs() < f64::EPSILON);
    assert!((counts("ilchul_attempts_total", "run=") - 2.0).abs() < f64::EPSILON);
    assert!((counts("ilchul_supervisor_reports_total", "accepted") - 2.0).abs() < f64::EPSILON);
    assert!(counts("ilchul_supervisor_events_total", "run=") > 10.0);
    let left: Vec<_> = fs::read_dir(world.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".ilchul-")), "{left:?}");
}

#[test]
fn a_page_that_can_t_be_written_is_told_once_and_stops_nothing() {
    let world = World::with("tasks: { one: { run: 'true' } }\n");
    let up = world.run(&["up", "--session", "subprocess", "--metrics", "/no/such/folder/x.prom"]).exits(0);
    assert_eq!(up.stderr.matches("The metrics can't be written").count(), 1, "{}", up.stderr);
}
