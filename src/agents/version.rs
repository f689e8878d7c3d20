//! Which version of an agent's program is there, as far as what it printed says so.

use crate::workflow::Agent;

/// The version in what a program printed: the first word that begins like `1.2`.
#[must_use]
pub fn read(printed: &str) -> Option<String> {
    let mut words =
        printed.split(|c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | ';' | '|' | '│'));
    words.find_map(|word| {
        let word = word.trim_start_matches(['v', 'V']).trim_end_matches(['.', ':']);
        let (major, rest) = word.split_once('.')?;
        let numbers = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_'));
        (numbers(major) && !minor.is_empty() && plain && word.len() <= 60).then(|| word.to_owned())
    })
}

/// The line that a person is told of an agent whose version nobody has tried.
#[must_use]
pub fn degraded(name: &str, agent: &Agent) -> Option<String> {
    let adapter = agent.adapter.as_ref().filter(|_| agent.oneshot)?;
    let found = match &agent.version {
        Some(version) => format!("version {version}"),
        None => "a version that it doesn't say".to_owned(),
    };
    let known = match adapter.verified.as_slice() {
        [] => "none was tried".to_owned(),
        known => format!("tried: {}", known.join(", ")),
    };
    Some(format!(
        "Agent `{name}`: {} has {found} ({known}), so it is launched plainly and once: no hooks, no further turns, \
         its output alone shows that it gets further.",
        adapter.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_print() {
        for (printed, expected) in [
            ("codex-cli 0.169.0", Some("0.169.0")),
            ("2.1.197 (Claude Code)", Some("2.1.197")),
            ("0.61.0\n", Some("0.61.0")),
            ("aider 0.86.2", Some("0.86.2")),
            ("This is mini-swe-agent version v2.4.6.\nCheck the v2 migration", Some("2.4.6")),
            (" 1.50.0-rc.1", Some("1.50.0-rc.1")),
            ("no version here. 12 of them", None),
            ("", None),
        ] {
            assert_eq!(read(printed).as_deref(), expected, "{printed}");
        }
    }
}
