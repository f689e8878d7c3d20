//! What holds of every host, and what of ssh's words and lines alone. The one behind ssh is
//! played by a program that runs the line in some shell: real links are in `tests/host`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

/// An `ssh` that has its login shell run the last argument, after `rc` was run.
fn played(folder: &tempfile::TempDir, rc: &str) -> Ssh {
    let program = folder.path().join("ssh");
    let text = format!("#!/bin/sh\n{rc}\nfor line; do :; done\nexec \"${{LOGIN:-sh}}\" -c \"$line\"\n");
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    Ssh::new((program, folder.path().to_owned()), "host", false)
}

/// Holds `check` against both kinds of host.
fn each(check: impl Fn(&dyn Host, PathBuf)) {
    for rc in [None, Some(":"), Some("echo rubbish; echo ilchul.host.1x; printf 'no newline'; echo loud >&2")]
    {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("there");
        match rc {
            None => check(&Local, there),
            Some(rc) => check(&played(&folder, rc), there),
        }
    }
}

fn argv(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

#[test]
fn a_program_has_its_words_input_and_exit_code_on_every_host() {
    each(|host, _| {
        let odd = "a'b\"c\\d\n$HOME `x` !! *; \u{1b}é % ~";
        let words = argv(&["sh", "-c", "cat; printf %s \"$1\"; echo bad >&2; exit 7", "x", odd]);
        let ran =
            host.run(Call { argv: &words, input: Input::Bytes(b"in ".to_vec()), limit: LIMIT }).unwrap();
        assert_eq!(ran.code, 7);
        assert_eq!(String::from_utf8(ran.stdout).unwrap(), format!("in {odd}"));
        assert_eq!(ran.stderr, b"bad\n");
    });
}

#[test]
fn every_byte_of_a_word_arrives() {
    let all: Vec<u8> = (1..=255).collect();
    each(|host, _| {
        let mut words = argv(&["printf", "%s"]);
        words.push(OsStr::from_bytes(&all).to_owned());
        let ran = host.run(Call { argv: &words, input: Input::Nothing, limit: LIMIT }).unwrap();
        assert_eq!(ran.stdout, all);
    });
}

#[test]
fn a_file_is_written_whole_with_its_mode_and_read_back() {
    each(|host, path| {
        let path = path.join("a folder/it's");
        let name = path.to_str().unwrap();
        assert_eq!(host.read(name, 9).unwrap(), None);
        for text in ["first", "second\0\n"] {
            assert!(host.write(name, Input::Bytes(text.into()), "700").unwrap());
            assert_eq!(host.read(name, 9).unwrap(), Some(text.into()));
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing half made is left");
        assert_eq!(host.read(name, 3).unwrap(), Some(b"sec".to_vec()));
        assert!(!host.write("/proc/none/x", Input::Nothing, "600").unwrap());
    });
}

#[test]
fn a_call_that_hangs_is_given_up_and_pipes_that_stay_open_are_not_waited_for() {
    each(|host, _| {
        let limit = Duration::from_millis(300);
        let began = Instant::now();
        let hangs = argv(&["sleep", "600"]);
        let late = host.run(Call { argv: &hangs, input: Input::Nothing, limit }).unwrap_err();
        assert!(matches!(late, HostError::Late(_)), "{late:?}");
        let forks = argv(&["sh", "-c", "sleep 60 & echo begun"]);
        let ran = host.run(Call { argv: &forks, input: Input::Nothing, limit: LIMIT }).unwrap();
        assert_eq!((ran.code, &ran.stdout[..]), (0, &b"begun\n"[..]));
        assert!(began.elapsed() < Duration::from_secs(50));
    });
}

#[test]
fn what_a_person_runs_is_the_same_program() {
    each(|host, _| {
        let way = host.there(&argv(&["printf", "%s", "a b"])).unwrap();
        let out = std::process::Command::new(&way[0]).args(&way[1..]).output().unwrap();
        assert!(String::from_utf8_lossy(&out.stdout).ends_with("a b"));
    });
}

#[test]
fn the_line_is_the_same_to_every_shell() {
    let script = OsStr::new("printf %s 'it'\\''s \"$((1+1))\" !x\nnext'");
    let line = line(script).unwrap();
    assert!(!line.contains('\n') && !line.contains('!'), "{line}");
    let mut ran = 0;
    for shell in ["sh", "bash", "dash", "zsh", "fish", "tcsh", "csh", "ksh"] {
        let Ok(out) = std::process::Command::new(shell).args(["-c", &line]).output() else { continue };
        assert_eq!(String::from_utf8_lossy(&out.stdout), "it's \"$((1+1))\" !x\nnext", "{shell}");
        ran += 1;
    }
    assert!(ran >= 2);
}

#[test]
fn words_that_no_line_can_hold_are_refused() {
    let long = OsString::from("a".repeat(130 << 10));
    assert!(matches!(line(&long), Err(HostError::Words)));
    assert!(matches!(line(OsStr::from_bytes(b"a\0b")), Err(HostError::Words)));
}

#[test]
fn a_destination_is_never_an_option_or_more_than_a_name() {
    for good in ["login", "me@login.site.org", "ssh://me@host:2222", "10.0.0.1", "fe80::1%eth0"] {
        assert!(is_name(good), "{good}");
    }
    for bad in ["", "-oProxyCommand=x", "a b", "a\nb", "a;b", "$(x)", "a'b", "\u{1b}x"] {
        assert!(!is_name(bad), "{bad:?}");
    }
}

#[test]
fn what_ssh_says_is_told_apart_from_what_the_program_says() {
    let folder = tempfile::tempdir().unwrap();
    for (says, expected) in [
        ("ssh: Could not resolve hostname x: Name or service not known", Trouble::Name),
        ("ssh: connect to host x port 22: Connection refused", Trouble::Silent),
        ("Host key verification failed.", Trouble::Key),
        ("me@x: Permission denied (publickey).", Trouble::Denied),
        ("something new", Trouble::Other),
    ] {
        let host = played(&folder, &format!("echo '{says}' >&2; exit 255"));
        let words = argv(&["true"]);
        match host.run(Call { argv: &words, input: Input::Nothing, limit: LIMIT }) {
            Err(HostError::Unreached(trouble, words)) => {
                assert_eq!((trouble, words.as_str()), (expected, says));
            }
            other => panic!("{other:?}"),
        }
    }
    let host = played(&folder, "exit 1");
    let words = argv(&["true"]);
    let shell = host.run(Call { argv: &words, input: Input::Nothing, limit: LIMIT });
    assert!(matches!(shell, Err(HostError::Unreached(Trouble::Shell, _))), "{shell:?}");
    let host = played(&folder, ":");
    let words = argv(&["sh", "-c", "exit 255"]);
    let lost = host.run(Call { argv: &words, input: Input::Nothing, limit: LIMIT });
    assert!(matches!(lost, Err(HostError::Lost(_))), "{lost:?}");
}

#[test]
fn more_than_is_kept_of_an_output_is_an_error_and_a_file_takes_all_of_it() {
    let words = argv(&["head", "-c", "68000000", "/dev/zero"]);
    let call = || Call { argv: &words, input: Input::Nothing, limit: LIMIT };
    each(|host, _| {
        let long = host.run(call()).unwrap_err();
        assert_eq!(long.to_string(), "it printed more than 64 MiB");
    });
    let folder = tempfile::tempdir().unwrap();
    let (host, path) = (played(&folder, "echo rubbish; echo loud >&2"), folder.path().join("taken"));
    let ran = host.run_into(call(), fs::File::create(&path).unwrap()).unwrap();
    assert_eq!((ran.code, ran.stdout.len(), ran.stderr.len()), (0, 0, 0));
    assert_eq!(fs::metadata(&path).unwrap().len(), 68_000_000);
    let full = host.run_into(call(), fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    assert!(matches!(full, Err(HostError::Keep(_))), "{full:?}");
}

#[test]
fn our_own_mark_is_nobodys_reason() {
    let folder = tempfile::tempdir().unwrap();
    let words = argv(&["sh", "-c", "exit 255"]);
    let cut = |rc: &str| {
        let host = played(&folder, rc);
        host.run(Call { argv: &words, input: Input::Nothing, limit: LIMIT }).unwrap_err().to_string()
    };
    assert_eq!(cut("echo loud >&2"), "it was cut");
    assert_eq!(cut("echo; echo 'ilchul.host.1 run' >&2; exit 255"), "it said nothing");
}

#[test]
fn the_mark_is_found_however_the_stream_is_cut() {
    let whole = format!("rubbish\n{MARK}\nmore{MARK} no\n{MARK} run 1\nours\n{MARK} run 2\n");
    for cut in 0..whole.len() {
        let mut past = Past::default();
        let mut seen = past.feed(&whole.as_bytes()[..cut]).to_vec();
        seen.extend_from_slice(past.feed(&whole.as_bytes()[cut..]));
        assert_eq!(past.said(), Some("run 1"), "{cut}");
        assert_eq!(String::from_utf8(seen).unwrap(), format!("ours\n{MARK} run 2\n"), "{cut}");
    }
    let mut none = Past::default();
    assert_eq!(none.feed(b"nothing of ours\n"), b"");
    assert_eq!(none.said(), None);
}

#[test]
fn the_folder_of_sockets_is_ours_alone() {
    let top = tempfile::Builder::new().prefix("ih").tempdir_in("/tmp").unwrap();
    let uid = nix::unistd::getuid().as_raw();
    let folder = control_folder(Some(top.path()), uid).unwrap();
    assert_eq!(folder, top.path().join("ilchul"));
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(control_folder(Some(top.path()), uid + 1).is_err(), "another's");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(control_folder(Some(top.path()), uid).is_err(), "open to others");
    fs::remove_dir(&folder).unwrap();
    std::os::unix::fs::symlink("/tmp", &folder).unwrap();
    assert!(control_folder(Some(top.path()), uid).is_err(), "a link");
}
