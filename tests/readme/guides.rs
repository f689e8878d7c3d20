//! The guides: every block of shell is run, or says why not; every file in them is valid; every
//! command and option that they name is there.
//!
//! It leaves out whether they are good to read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{World, root, tested_blocks};

/// Why a block isn't run: after these words stands the reason.
const NOT_RUN: &str = "<!-- not run: ";
/// A file of somebody else's form, in which each command of ours is run.
const LINES: &str = "<!-- tested lines -->";

fn guides() -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(root().join("src/docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.chain([root().join("README.md")]).collect();
    found.sort();
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).unwrap());
    found.into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")).map(read).collect()
}

/// Each fenced block: the line before it, its language, its text.
fn blocks(text: &str) -> Vec<(String, String, String)> {
    let (mut found, mut before) = (Vec::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push((before.clone(), language.to_owned(), inside.join("\n")));
        }
        if !line.is_empty() {
            line.trim().clone_into(&mut before);
        }
    }
    found
}

/// The commands of ours in somebody else's file, as a CI would run them.
fn lines(block: &str) -> Vec<String> {
    let strip = |line: &str| {
        let line = line.trim().trim_start_matches("- ");
        line.strip_prefix("run: ").unwrap_or(line).to_owned()
    };
    block.lines().map(strip).filter(|line| line.starts_with("ilchul ")).collect()
}

#[test]
fn every_block_of_a_guide_is_run_or_says_why_it_isn_t() {
    for (path, text) in guides() {
        for (before, language, block) in blocks(&text) {
            if language != "sh" {
                continue;
            }
            let reason = before.strip_prefix(NOT_RUN).and_then(|rest| rest.strip_suffix(" -->"));
            let is_told = before == "<!-- tested -->" || reason.is_some_and(|reason| reason.len() > 10);
            assert!(is_told, "{}: neither tested nor excused:\n{block}", path.display());
        }
    }
}

#[test]
fn what_a_guide_tells_its_readers_to_run_works() {
    for (path, text) in guides() {
        // The README has a test of its own, which also looks at what it leaves behind.
        if path.ends_with("README.md") {
            continue;
        }
        let world = World::new();
        let project = world.path("project");
        let here = blocks(&text).into_iter().filter(|(before, _, _)| before == LINES);
        let foreign: Vec<String> = here.flat_map(|(_, _, block)| lines(&block)).collect();
        assert!(!text.contains(LINES) || foreign.len() >= 2, "{}: {foreign:?}", path.display());
        for block in tested_blocks(&text).into_iter().chain(foreign) {
            let (status, printed) = world.run(&project, &block);
            assert!(status.success(), "{}: {status}\n{block}\n--\n{printed}", path.display());
        }
    }
}

#[test]
fn every_workflow_in_a_guide_is_valid() {
    let world = World::new();
    let mut count = 0;
    for (path, text) in guides() {
        for (_, language, block) in blocks(&text) {
            if language != "yaml" || !block.starts_with("version: 1\n") {
                continue;
            }
            fs::write(world.path("project/guide.yaml"), &block).unwrap();
            let (status, printed) =
                world.run(&world.path("project"), "ilchul validate guide.yaml && ilchul plan guide.yaml");
            assert!(status.success(), "{}: {printed}\n{block}", path.display());
            count += 1;
        }
    }
    assert!(count > 0);
}

/// The options of each command, as its help lists them.
fn options() -> BTreeMap<String, BTreeSet<String>> {
    let help = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ilchul")).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let whole = help(&["--help"]);
    let listed =
        whole.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let flags = |name: &str| {
        let text = help(&[name, "--help"]);
        text.split_whitespace()
            .map(|word| word.trim_end_matches([',', '.', ';', '`', '=']).trim_start_matches('`'))
            .filter(|word| word.starts_with('-'))
            .map(str::to_owned)
            .collect()
    };
    names.filter(|name| *name != "help").map(|name| (name.to_owned(), flags(name))).collect()
}

/// The commands in a text: those between backticks, and those in blocks of shell.
fn commands(text: &str) -> Vec<Vec<String>> {
    let in_blocks = blocks(text)
        .into_iter()
        .filter(|(_, language, _)| ["sh", "console", "yaml"].contains(&language.as_str()));
    let in_blocks = in_blocks.flat_map(|(_, _, block)| block.lines().map(str::to_owned).collect::<Vec<_>>());
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned);
    let said = in_blocks.chain(spans.collect::<Vec<_>>());
    let cut = |line: String| -> Vec<Vec<String>> {
        let parts = line.split(['|', ';', '&', '(', ')', '#']);
        let of = |part: &str| {
            let mut words = part.split_whitespace().skip_while(|word| *word != "ilchul").skip(1).peekable();
            words.peek()?;
            Some(words.map(|word| word.trim_matches(['"', '\'']).to_owned()).collect())
        };
        parts.filter_map(of).collect()
    };
    said.flat_map(cut).collect()
}

#[test]
fn every_command_and_option_that_a_guide_names_is_there() {
    let known = options();
    let sample =
        "`ilchul up --new` and `a | ilchul fly --high`\n```sh\nilchul why x # ilchul not --this\n```\n";
    assert_eq!(commands(sample).len(), 4);
    for (path, text) in guides() {
        for words in commands(&text) {
            let (name, rest) = words.split_first().unwrap();
            if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
                continue;
            }
            let flags = known.get(name).unwrap_or_else(|| panic!("{}: ilchul {name}", path.display()));
            for word in rest.iter().take_while(|word| *word != "--").filter(|word| word.starts_with("--")) {
                let flag = word.split('=').next().unwrap().trim_end_matches([',', '.', ':']);
                assert!(flags.contains(flag), "{}: ilchul {name} {flag}", path.display());
            }
        }
    }
}

/// The codes that a program of ours can fail with, read off the sources of `cli`.
fn codes() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![root().join("src/cli")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for after in text.split("CliError::new(").skip(1).chain(text.split("Self::new(\"").skip(1)) {
            let after = after.trim_start().trim_start_matches('"');
            let code = after.split('"').next().unwrap();
            if !code.is_empty() && code.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                found.insert(code.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_error_code_has_its_cure_in_the_guide_and_no_other_is_there() {
    let text = fs::read_to_string(root().join("src/docs/errors.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let told: BTreeSet<String> = rows
        .flat_map(|row| {
            let cell = row.split(" |").next().unwrap();
            cell.split('`')
                .filter(|word| word.len() > 1 && !word.contains(' '))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    let codes = codes();
    assert!(codes.contains("no_runs") && codes.contains("journal"), "{codes:?}");
    assert_eq!(codes.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new(), "codes without a cure");
    assert_eq!(told.difference(&codes).collect::<Vec<_>>(), Vec::<&String>::new(), "cures without a code");
}
