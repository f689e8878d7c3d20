//! The small languages, value by value.

use std::time::Duration;

use proptest::prelude::{any, proptest};

use super::super::scalar::{
    amount, commitish, duration, glob, inside_tree, integer, is_slug, nearest, size, slug, variable,
};

fn millis(text: &str) -> Option<u128> {
    duration(text).ok().map(|value: Duration| value.as_millis())
}

#[test]
fn durations_are_whole_numbers_with_units_from_large_to_small() {
    for (text, expected) in [
        ("30m", 1_800_000),
        ("2s", 2_000),
        ("1h30m", 5_400_000),
        ("500ms", 500),
        ("1m500ms", 60_500),
        ("90s", 90_000),
        ("2d", 172_800_000),
        ("3650d", 315_360_000_000),
        ("01s", 1_000),
    ] {
        assert_eq!(millis(text), Some(expected), "{text}");
    }
    for text in [
        "", "0", "0s", "0h0m", "5", "s", "5 s", " 5s", "5s ", "-5s", "+5s", "1.5h", "1e3s", "5x", "5S",
        "1s1m", "1s1s",
    ] {
        assert_eq!(millis(text), None, "{text:?}");
    }
}

#[test]
fn a_bare_number_is_refused_with_the_unit_to_write() {
    assert_eq!(
        duration("5").expect_err("refused").help.as_deref(),
        Some("write 5s for seconds, 5m for minutes")
    );
    assert!(duration("0").expect_err("refused").message.contains("longer than zero"));
}

#[test]
fn durations_of_more_than_ten_years_are_refused() {
    for text in
        ["3651d", "3650d1ms", "1000000000000000s", "99999999999999999999999999d", "18446744073709551615d"]
    {
        assert!(duration(text).expect_err(text).message.contains("ten years"), "{text}");
    }
}

#[test]
fn sizes_are_bytes_or_have_a_unit() {
    for (text, expected) in [
        ("1", 1),
        ("4096", 4096),
        ("10B", 10),
        ("500MB", 500_000_000),
        ("3kB", 3_000),
        ("3KiB", 3_072),
        ("2GiB", 2 << 30),
        ("1TB", 1_000_000_000_000),
    ] {
        assert_eq!(size(text).ok(), Some(expected), "{text}");
    }
    for text in
        ["", "0", "0GiB", "-1", "1.5GiB", "2 GiB", "2gb", "2G", "GiB", "99999999999999999999", "1001TB"]
    {
        assert!(size(text).is_err(), "{text:?}");
    }
}

#[test]
fn whole_numbers_are_plain_decimals_within_bounds() {
    for (text, expected) in [("0", Some(0)), ("7", Some(7)), ("100", Some(100)), ("101", None), ("-0", None)]
    {
        assert_eq!(integer(text, 0, 100).ok(), expected, "{text}");
    }
    for text in ["", "-", "-1", "+1", "1e3", "1.0", "0x10", "0o7", "1_000", " 1", "4294967296", "٣"] {
        assert!(integer(text, 0, 100).is_err(), "{text:?}");
    }
    assert_eq!(integer("010", 0, 100).expect_err("refused").help.as_deref(), Some("write 10"));
    assert_eq!(integer("00", 0, 100).expect_err("refused").help.as_deref(), Some("write 0"));
}

#[test]
fn amounts_are_positive_and_finite() {
    assert_eq!(amount("20").ok(), Some(20.0));
    assert_eq!(amount("0.5").ok(), Some(0.5));
    for text in ["", "0", "0.0", "-1", "+1", ".5", "1e3", "nan", "inf", ".inf", "9999999999999", "1.2.3"] {
        assert!(amount(text).is_err(), "{text:?}");
    }
}

#[test]
fn ids_are_slugs() {
    for text in ["a", "0", "no", "1e3", "a-b_c", "2026-11-21", &"x".repeat(63)] {
        assert!(slug(text).is_ok(), "{text}");
    }
    for text in [
        "",
        ".",
        "..",
        "a/b",
        "x.lock",
        "-x",
        "_x",
        "@{",
        "HEAD",
        "a b",
        " a",
        "a\n",
        "ä",
        "\u{1b}",
        "a:b",
        "a~b",
        &"x".repeat(64),
    ] {
        assert!(slug(text).is_err(), "{text:?}");
    }
    assert_eq!(slug("Fix It!").expect_err("refused").help.as_deref(), Some("write `fix-it`"));
    assert_eq!(slug("..").expect_err("refused").help, None);
}

#[test]
fn variables_that_steer_ilchul_git_tmux_or_the_loader_are_refused() {
    for name in ["A", "RUST_LOG", "a.b", "lower", "PATHS", "MY_PATH", "LDX", "GITHUB_TOKEN"] {
        assert!(variable(name).is_ok(), "{name}");
    }
    for name in [
        "",
        "A=B",
        "A B",
        "A\0",
        "A\n",
        "ä",
        "PATH",
        "GIT_DIR",
        "TMUX",
        "TMUX_PANE",
        "LD_PRELOAD",
        "ILCHUL_TASK",
    ] {
        assert!(variable(name).is_err(), "{name:?}");
    }
}

#[test]
fn paths_stay_inside_of_the_tree() {
    for path in ["a", "a/b.txt", "./a", "a..b", "...", ".github/x", ".gitignore", "a/.git", "src/**"] {
        assert!(inside_tree(path).is_ok(), "{path}");
    }
    for path in [
        "",
        "/",
        "/etc",
        "..",
        "../x",
        "a/..",
        "a/../b",
        "~",
        "~/x",
        "~root",
        "a\0",
        ".git",
        ".git/x",
        "./.ilchul",
    ] {
        assert!(inside_tree(path).is_err(), "{path:?}");
    }
}

#[test]
fn globs_compile() {
    for text in ["src/**", "*.rs", "a/{b,c}/[a-z]?.txt", "NOTES.md"] {
        assert!(glob(text).is_ok(), "{text}");
    }
    let deep = format!("{}a{}", "{".repeat(400), "}".repeat(400));
    for text in ["[", "{a", "a/**/../b", "/abs/**", &"x".repeat(1025), &deep] {
        assert!(glob(text).is_err(), "{text}");
    }
}

#[test]
fn a_base_is_one_commit_and_no_option() {
    for text in ["main", "HEAD~1", "v1.0", "origin/main", "main@{yesterday}", ":/fix it", "0123456789abcdef"]
    {
        assert!(commitish(text).is_ok(), "{text}");
    }
    for text in ["", "  ", "-x", "--all", "a..b", "a...b", "a\nb", "a\0"] {
        assert!(commitish(text).is_err(), "{text:?}");
    }
}

#[test]
fn the_nearest_name_is_a_slip_of_the_hand_away() {
    let known = ["needs", "when", "base", "timeout"];
    for (found, expected) in [
        ("neds", Some("needs")),
        ("nedes", Some("needs")),
        ("Needs", Some("needs")),
        ("tiemout", Some("timeout")),
        ("bsae", Some("base")),
        ("colour", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(nearest(found, known), expected, "{found}");
    }
    // The closest one wins, not the first.
    assert_eq!(nearest("tests", ["texts", "test", "tester"]), Some("texts"));
    assert_eq!(nearest("d", ["a", "b"]), None);
    assert_eq!(nearest(&"x".repeat(10_000), [&*"x".repeat(10_001)]), None);
}

proptest! {
    #[test]
    fn no_text_makes_a_small_language_panic(text in any::<String>()) {
        let _ = (duration(&text), size(&text), integer(&text, 0, 9), amount(&text));
        let _ = (slug(&text), variable(&text), glob(&text), commitish(&text));
        let _ = nearest(&text, ["needs", "when"]);
    }

    #[test]
    fn a_suggested_id_is_an_id(text in any::<String>()) {
        if let Err(fault) = slug(&text)
            && let Some(help) = fault.help
        {
            let suggested = help.trim_start_matches("write `").trim_end_matches('`');
            proptest::prop_assert!(is_slug(suggested), "{suggested:?}");
        }
    }

    #[test]
    fn whole_seconds_are_read_back(seconds in 1_u64..315_360_000) {
        proptest::prop_assert_eq!(millis(&format!("{seconds}s")), Some(u128::from(seconds) * 1000));
    }
}
