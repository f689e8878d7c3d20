//! Sources as the rules read them: without comments, without tests.
//!
//! A small lexer and no parser: rustfmt gives every source the same shape, and a rule
//! that needs more than names isn't one for this test. It leaves out what the rules are.

use std::path::{Path, PathBuf};

/// One Rust source of this repository.
pub struct Source {
    /// From the repository's root.
    pub path: String,
    /// As written.
    pub text: String,
    /// What is built: comments blanked, strings kept, tests left out, empty in a file of tests.
    pub code: String,
    /// The same without what stands in strings.
    pub bare: String,
}

impl Source {
    /// A source that is made up, for samples.
    pub fn sample(path: &str, text: &str) -> Self {
        let code = if is_test_file(path) { String::new() } else { without_tests(&blank(text, false)) };
        let bare = blank(&code, true);
        Self { path: path.to_owned(), text: text.to_owned(), code, bare }
    }

    /// The room of `src/` that it belongs to: a folder, or the stem of a file.
    pub fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let room = inside.split('/').next()?.trim_end_matches(".rs");
        (!matches!(room, "lib" | "main" | "build")).then_some(room)
    }

    /// All paths that begin with `root` (`crate`, `std`, a crate's name), groups spelled out.
    /// For `crate`, those that climb there by `super` too.
    pub fn names(&self, root: &str) -> Vec<String> {
        let code: Vec<char> = self.bare.chars().collect();
        let mut found = Vec::new();
        for start in words(&code, root) {
            follow(&code, start + root.len(), "", &mut found);
        }
        if root == "crate" {
            let module = module_of(&self.path);
            for start in words(&code, "super") {
                let (mut at, mut depth) = (start + 5, module.len().saturating_sub(1));
                while code[at..].starts_with(&[':', ':', 's', 'u', 'p', 'e', 'r', ':']) {
                    (at, depth) = (at + 7, depth.saturating_sub(1));
                }
                follow(&code, at, &module[..depth].join("::"), &mut found);
            }
        }
        found.retain(|name| !name.is_empty());
        found
    }
}

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All Rust sources, in the order of their paths.
pub fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in ["src", "substrates", "tests"] {
        walk(&root().join(folder), &mut paths);
    }
    paths.sort();
    let sources: Vec<Source> = paths
        .iter()
        .map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned())
        .map(|path| Source::sample(&path, &read(&path)))
        .collect();
    // A walk that finds nothing would keep every promise.
    assert!(sources.len() > 100, "only {} sources were found", sources.len());
    sources
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a whole file is only built for tests.
pub fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
}

/// Whether cargo finds a target's root here by itself.
pub fn is_root(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or_default();
    let (above, last) = folder.rsplit_once('/').unwrap_or(("", folder));
    match last {
        "src" => matches!(name, "lib.rs" | "main.rs" | "build.rs"),
        "tests" => !above.split('/').any(|part| part == "src"),
        _ => name == "main.rs" && (above == "tests" || above.ends_with("/tests")),
    }
}

/// Where the `mod` lines of a source may lead to, from the repository's root.
pub fn declared(source: &Source) -> Vec<String> {
    let (folder, name) = source.path.rsplit_once('/').unwrap_or_default();
    let stem = name.trim_end_matches(".rs");
    let own =
        if is_root(&source.path) || stem == "mod" { folder.to_owned() } else { format!("{folder}/{stem}") };
    let (mut found, mut elsewhere) = (Vec::new(), None);
    for line in blank(&source.text, false).lines().map(str::trim) {
        if let Some(path) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
            elsewhere = Some(beside(folder, path));
        }
        let name =
            line.rsplit_once("mod ").filter(|(before, _)| before.is_empty() || before.starts_with("pub"));
        let Some(name) = name.and_then(|(_, name)| name.strip_suffix(';')) else { continue };
        match elsewhere.take() {
            Some(path) => found.push(path),
            None => found.extend([format!("{own}/{name}.rs"), format!("{own}/{name}/mod.rs")]),
        }
    }
    found
}

/// `path` as it is meant in `folder`: `..` climbs.
fn beside(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in path.split('/') {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

fn module_of(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("src/").unwrap_or_default().trim_end_matches(".rs");
    let parts = inside.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main" | ""));
    parts.map(str::to_owned).collect()
}

/// Where `word` stands as the first part of a path.
fn words(code: &[char], word: &str) -> Vec<usize> {
    let word: Vec<char> = word.chars().collect();
    let part = |at: Option<&char>| at.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '$'));
    (0..code.len().saturating_sub(word.len()))
        .filter(|at| code[*at..].starts_with(&word))
        .filter(|at| !part(at.checked_sub(1).and_then(|before| code.get(before))))
        .filter(|at| code[at + word.len()..].starts_with(&[':', ':']))
        .collect()
}

/// Reads what follows a path's part, and spells groups out.
fn follow(code: &[char], mut at: usize, prefix: &str, found: &mut Vec<String>) -> usize {
    if !code[at..].starts_with(&[':', ':']) {
        found.push(prefix.to_owned());
        return at;
    }
    at += 2;
    if code.get(at) != Some(&'{') {
        let end = (at..code.len()).find(|i| !(code[*i].is_alphanumeric() || code[*i] == '_'));
        let end = end.unwrap_or(code.len());
        let name: String = code[at..end].iter().collect();
        let joined = if prefix.is_empty() { name.clone() } else { format!("{prefix}::{name}") };
        // A glob or a turbofish ends the path.
        return if name.is_empty() {
            found.push(prefix.to_owned());
            at
        } else {
            follow(code, end, &joined, found)
        };
    }
    at += 1;
    while at < code.len() && code[at] != '}' {
        if code[at].is_alphanumeric() || code[at] == '_' {
            // Each member is read as if it followed the prefix alone.
            let member: Vec<char> = [':', ':'].into_iter().chain(code[at..].iter().copied()).collect();
            at += follow(&member, 0, prefix, found) - 2;
            // `as name` is no member.
            while at < code.len() && !matches!(code[at], ',' | '}') {
                at += 1;
            }
        } else {
            at += 1;
        }
    }
    at + 1
}

/// The text with comments blanked, and strings and characters too where asked for; lines stay.
pub fn blank(text: &str, strings: bool) -> String {
    let code: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < code.len() {
        let (end, hide) = match token(&code, at) {
            Token::Comment(end) => (end, true),
            Token::Literal(end) => (end, strings),
            Token::Other => (at + 1, false),
        };
        let shown = |c: &char| if hide && *c != '\n' { ' ' } else { *c };
        out.extend(code[at..end].iter().map(shown));
        at = end;
    }
    out
}

enum Token {
    Comment(usize),
    Literal(usize),
    Other,
}

fn token(code: &[char], at: usize) -> Token {
    let next = code.get(at + 1).copied();
    match code[at] {
        '/' if next == Some('/') => Token::Comment(find(code, at, &['\n']).unwrap_or(code.len())),
        '/' if next == Some('*') => Token::Comment(find(code, at, &['*', '/']).map_or(code.len(), |i| i + 2)),
        '"' => Token::Literal(end_of_quoted(code, at + 1, '"')),
        // A raw string; an identifier that ends in `r` has another letter before it.
        'r' if matches!(next, Some('#' | '"'))
            && !at.checked_sub(1).is_some_and(|i| ident(code[i], code, i)) =>
        {
            let hashes = code[at + 1..].iter().take_while(|c| **c == '#').count();
            if code.get(at + 1 + hashes) != Some(&'"') {
                return Token::Other;
            }
            let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            Token::Literal(find(code, at + 2 + hashes, &close).map_or(code.len(), |i| i + close.len()))
        }
        // A character, not a lifetime.
        '\'' if next == Some('\\') => Token::Literal(end_of_quoted(code, at + 1, '\'')),
        '\'' if code.get(at + 2) == Some(&'\'') => Token::Literal(at + 3),
        _ => Token::Other,
    }
}

/// Whether the letter before an `r` belongs to a word; the `b` of a raw byte string doesn't.
fn ident(c: char, code: &[char], at: usize) -> bool {
    let alone = !at.checked_sub(1).is_some_and(|i| code[i].is_alphanumeric() || code[i] == '_');
    (c.is_alphanumeric() || c == '_') && !(matches!(c, 'b' | 'c') && alone)
}

fn end_of_quoted(code: &[char], mut at: usize, quote: char) -> usize {
    while at < code.len() && code[at] != quote {
        at += if code[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(code.len())
}

fn find(code: &[char], from: usize, what: &[char]) -> Option<usize> {
    (from..code.len()).find(|at| code[*at..].starts_with(what))
}

/// The code without items under `#[cfg(test)]`; other lines keep their order.
pub fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        if line.trim_start() != "#[cfg(test)]" {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let close = format!("{indent}}}");
        let mut item = lines.by_ref().skip_while(|line| line.trim_start().starts_with("#["));
        let one_line = item.next().is_none_or(|line| line.trim_end().ends_with([';', '}']));
        if !one_line {
            for _ in lines.by_ref().take_while(|line| line.trim_end() != close) {}
        }
    }
    kept
}

/// The contents of all string literals.
pub fn literals(code: &str) -> Vec<String> {
    let code: Vec<char> = code.chars().collect();
    let (mut at, mut found) = (0, Vec::new());
    while at < code.len() {
        at = match token(&code, at) {
            Token::Comment(end) => end,
            Token::Literal(end) => {
                let text: String = code[at..end].iter().collect();
                found.push(text.trim_start_matches(['r', '#']).trim_matches(['"', '#']).to_owned());
                end
            }
            Token::Other => at + 1,
        };
    }
    found
}
