//! What a command of ours is started through, so that it finds what its worker found on a node:
//! the set-up lines and the file of variables of `slurm`.
//!
//! It leaves out the job's own way to the same end, which is the cluster's (`substrates/slurm`).

use ilchul_substrate::Request;

/// What set-up prints is nobody's evidence: it goes nowhere, and a failure is told in our words.
/// A check that was never reached doesn't pass, whatever the lines did to their shell (law E2): it
/// leaves a mark right before it begins.
const ASIDE: &str = r#"exec 3>&1 4>&2 >/dev/null 2>&1
ilchul_mark=$(mktemp) || exit 73
export ilchul_mark
"$@"
code=$?
[ -s "$ilchul_mark" ] || [ "$code" = 73 ] || { code=73; echo "[ilchul: a set-up line ended its shell]" >&4; }
rm -f "$ilchul_mark"
exit "$code""#;
const BEGIN: &str = r#"ilchul_off() { trap - EXIT; echo "[ilchul: $1]" >&4; exit 73; }
ilchul_step() { ilchul_line=$1; set --; eval "$ilchul_line"; }
trap 'ilchul_off "a set-up line ended its shell"' EXIT
"#;
const END: &str = r#"echo reached > "$ilchul_mark"
unset ilchul_mark ilchul_line
exec "$@" >&3 2>&4 3>&- 4>&-
"#;

/// The words before a command that give it the surroundings of `request`; none where there are
/// none to give.
pub(super) fn words(request: &Request) -> Vec<String> {
    let file = request.env_file.as_deref().and_then(|file| file.to_str());
    if request.setup.is_empty() && file.is_none() {
        return Vec::new();
    }
    let mut text = BEGIN.to_owned();
    if let Some(file) = file.and_then(|file| shlex::try_quote(file).ok()) {
        text.push_str("while IFS= read -r ilchul_line || [ -n \"$ilchul_line\" ]; do\n");
        text.push_str("case $ilchul_line in '' | '#'*) ;; *) export \"$ilchul_line\" ;; esac\n");
        text.push_str(&format!("done < {file} || ilchul_off \"the file of variables can't be read\"\n"));
    }
    for line in request.setup.iter().filter_map(|line| shlex::try_quote(line).ok()) {
        text.push_str(&format!("ilchul_step {line} || "));
        text.push_str("ilchul_off \"the set-up line \\`$ilchul_line\\` failed\"\n");
    }
    text.push_str(END);
    // As in the job: set-up lines are for what a login shell knows.
    let shell: &[&str] =
        if request.setup.is_empty() { &["/bin/sh", "-c"] } else { &["/bin/bash", "-l", "-c"] };
    let words = ["/bin/sh", "-c", ASIDE, "sh"].iter().chain(shell).map(|word| (*word).to_owned());
    words.chain([text, "ilchul".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Output};

    fn run(setup: &[&str], file: Option<&std::path::Path>, command: &str) -> Output {
        let setup = setup.iter().map(|line| (*line).to_owned()).collect();
        let request = Request { setup, env_file: file.map(Into::into), ..Request::default() };
        let mut words = words(&request);
        words.extend(["/bin/sh", "-c", command].map(str::to_owned));
        Command::new(&words[0]).args(&words[1..]).output().unwrap()
    }

    fn said(output: &Output) -> (Option<i32>, String, String) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    #[test]
    fn a_check_finds_what_set_up_lines_and_variables_gave_its_worker_and_nothing_that_they_print() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("it's");
        std::fs::write(&file, "# x\nSECRET=a b\n").unwrap();
        let ran = run(
            &["echo noise; echo more >&2", "export TOOL=\"it's\""],
            Some(&file),
            "echo $TOOL $SECRET; echo e >&2; exit 7",
        );
        assert_eq!(said(&ran), (Some(7), "it's a b\n".to_owned(), "e\n".to_owned()));
        let ran = run(&[], Some(&file), "echo $SECRET");
        assert_eq!(said(&ran), (Some(0), "a b\n".to_owned(), String::new()));
    }

    #[test]
    fn e2_a_check_whose_set_up_fails_or_leaves_doesnt_run_and_doesnt_pass() {
        for (line, why) in [
            ("exit 0", "a set-up line ended its shell"),
            ("trap - EXIT; exit 0", "a set-up line ended its shell"),
            ("exec true", "a set-up line ended its shell"),
            ("no-such-module load", "the set-up line `no-such-module load` failed"),
        ] {
            let ran = run(&[line], None, "echo ran");
            assert_eq!(said(&ran), (Some(73), String::new(), format!("[ilchul: {why}]\n")));
        }
        let gone = run(&[], Some("/nowhere".as_ref()), "echo ran");
        assert_eq!((gone.status.code(), gone.stdout), (Some(73), Vec::new()));
    }

    #[test]
    fn e2_no_set_up_line_can_put_another_command_in_the_place_of_a_check() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("env.sh");
        std::fs::write(&file, "test $# = 0 || export GIVEN=$#\nset -- true\n").unwrap();
        let lines = ["set -- true", &format!(". {}", file.display())];
        let ran = run(&lines, None, "echo ran $GIVEN $ilchul_mark; false");
        assert_eq!(said(&ran), (Some(1), "ran\n".to_owned(), String::new()));
    }

    #[test]
    fn where_nothing_is_asked_for_nothing_stands_before_a_command() {
        assert_eq!(words(&Request::default()), [""; 0]);
    }
}
