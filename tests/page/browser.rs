//! A page in headless Chromium: laid out at the widths of a desk and of a phone, light and dark,
//! with no script allowed and no network there.
//!
//! A frame holds the page and may run nothing; a document around it measures and writes down
//! what it found. It leaves out pictures, which people look at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::rich;

/// How long a browser may take; it takes two seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// The names that it goes by.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// Where nobody listens: whatever asks for an address is refused at once.
const NOWHERE: &str = "--proxy-server=127.0.0.1:9";

/// Chromium; none where it was said that there is none.
fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found =
        NAMES.iter().find_map(|name| places.iter().map(|place| place.join(name)).find(|file| file.exists()));
    if found.is_none() && std::env::var_os("ILCHUL_BROWSER").is_some_and(|word| word == "none") {
        println!("NOT CHECKED: pages in a browser. There is none, as `ILCHUL_BROWSER=none` says.");
        return None;
    }
    Some(found.expect("install chromium, or set ILCHUL_BROWSER=none and have pages unchecked"))
}

/// What the browser says of a document: its tree once loaded, and its console.
fn dump(browser: &Path, document: &Path, dark: bool) -> (String, Vec<String>) {
    let profile = tempfile::tempdir().unwrap();
    let (out, err) = (profile.path().join("out"), profile.path().join("err"));
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.args(["--enable-logging=stderr", "--virtual-time-budget=10000", "--dump-dom", NOWHERE]);
    command.arg(format!("--user-data-dir={}", profile.path().join("profile").display()));
    if dark {
        command.arg("--blink-settings=preferredColorScheme=0");
    }
    command.arg(format!("file://{}", document.display()));
    command.env("HOME", profile.path()).stdin(Stdio::null());
    command.stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
    let mut child = command.spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the browser hangs: {}", fs::read_to_string(&err).unwrap());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = fs::read_to_string(&err).unwrap();
    let console = said.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    (fs::read_to_string(&out).unwrap(), console)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// A document that holds the page in a frame of each width, where no script may run, and writes
/// down what it measured: widths, what sticks out, the background, what was loaded.
fn measuring(page: &str) -> String {
    let frame = |width: u32| {
        format!(
            "<iframe id=\"w{width}\" sandbox=\"allow-same-origin\" style=\"width:{width}px;height:900px;border:0\" srcdoc=\"{}\"></iframe>",
            escaped(page)
        )
    };
    let script = r"
        const look = id => {
            const page = document.getElementById(id).contentDocument, root = page.documentElement;
            const view = page.defaultView;
            page.querySelectorAll('details').forEach(one => one.open = true);
            const inside = one => one.closest('.scroll, pre, .skip, .patterns, thead, svg') !== null;
            const out = [...page.body.querySelectorAll('*')].filter(one => !inside(one)
                && one.getBoundingClientRect().right > root.clientWidth + 1).map(one => one.outerHTML.slice(0, 120));
            const bars = [...page.querySelectorAll('.bars')].map(one => Math.round(one.getBoundingClientRect().width));
            return {asked: root.clientWidth, taken: root.scrollWidth, out, bars: Math.min(...bars),
                ground: view.getComputedStyle(page.body).backgroundColor, color: view.getComputedStyle(page.body).color,
                scripts: page.scripts.length, loaded: view.performance.getEntriesByType('resource').length,
                columns: view.getComputedStyle(page.querySelector('.lane')).gridTemplateColumns.split(' ').length,
                text: page.body.textContent.replace(/\s+/g, ' ')};
        };
        addEventListener('load', () => {
            const found = {w1280: look('w1280'), w360: look('w360')};
            document.body.innerHTML = '<pre></pre>';
            document.querySelector('pre').textContent = 'FOUND' + btoa(unescape(encodeURIComponent(JSON.stringify(found)))) + 'END';
        });";
    format!(
        "<!DOCTYPE html><meta charset=\"utf-8\"><body>{}{}<script>{script}</script>",
        frame(1280),
        frame(360)
    )
}

/// What the measuring document wrote down.
fn found(dom: &str) -> Value {
    let (_, rest) = dom.split_once("<pre>FOUND").unwrap_or_else(|| panic!("{dom}"));
    let letters = rest.split_once("END").unwrap().0;
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for four in letters.trim_end_matches('=').as_bytes().chunks(4) {
        let group = (0..4)
            .fold(0_u32, |all, place| all << 6 | u32::from(four.get(place).map_or(0, |one| value(*one))));
        bytes.extend(group.to_be_bytes()[1..four.len()].iter());
    }
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn a_page_fits_a_desk_and_a_phone_in_light_and_dark_and_runs_and_loads_nothing() {
    let Some(browser) = browser() else { return };
    let world = rich();
    world.ok(&["page", "page.html"]);
    let file = world.repo().join("page.html");
    let page = fs::read_to_string(&file).unwrap();
    let around = world.root().join("around.html");
    fs::write(&around, measuring(&page)).unwrap();
    for (dark, ground) in [(false, "rgb(255, 255, 255)"), (true, "rgb(13, 17, 23)")] {
        let (dom, console) = dump(&browser, &around, dark);
        assert!(console.is_empty(), "{console:?}");
        let found = found(&dom);
        for (name, width) in [("w1280", 1280), ("w360", 360)] {
            let one = &found[name];
            assert!(one["asked"].as_u64().unwrap() <= width && one["asked"].as_u64().unwrap() + 20 >= width);
            assert_eq!(
                (&one["taken"], &one["out"]),
                (&one["asked"], &serde_json::json!([])),
                "{name}: it sticks out"
            );
            assert_eq!(
                (&one["ground"], &one["scripts"], &one["loaded"]),
                (&ground.into(), &0.into(), &0.into())
            );
            assert_ne!(one["ground"], one["color"]);
            assert!(
                one["bars"].as_u64().unwrap() > 200,
                "{name}: bars that nobody can read: {}",
                one["bars"]
            );
            let text = one["text"].as_str().unwrap();
            let parts = [
                "What wants attention",
                "Summary",
                "Critical path",
                "Who waits for whom",
                "Tasks and their evidence",
                "Refused and ignored",
                "Drift",
                "waits for your approval: Ship <it>?",
                "expected exit code 0, found exit code 1",
                "(a claim, no proof)",
                "<b>left</b> & right",
                "bold <img src=x>",
                "Nothing was refused.",
            ];
            for part in parts {
                assert!(text.contains(part), "{name}: no `{part}` in {text}");
            }
        }
        // A phone has one column, a desk two.
        assert_eq!((&found["w1280"]["columns"], &found["w360"]["columns"]), (&2.into(), &1.into()));
    }
    // By itself, as somebody opens it.
    let (dom, console) = dump(&browser, &file, false);
    assert!(console.is_empty(), "{console:?}");
    assert!(dom.contains("id=\"s-timeline\"") && dom.ends_with("</html>\n"), "{dom}");
    assert!(!dom.contains("<img"), "what a worker printed became an element");
}

#[test]
fn a_page_that_was_tampered_with_loads_and_runs_nothing_all_the_same() {
    let Some(browser) = browser() else { return };
    let world = rich();
    let page = world.ok(&["page", "-"]);
    let planted = "<script>document.title = 'ran'</script><style>body { display: none }</style>\
        <img src=\"data:image/png;base64,AA==\" onerror=\"document.title = 'ran'\"><p>planted</p></main>";
    let file = world.root().join("tampered.html");
    fs::write(&file, page.replace("</main>", planted)).unwrap();
    let (dom, console) = dump(&browser, &file, false);
    assert!(dom.contains("<p>planted</p>") && !dom.contains("<title>ran"), "{dom}");
    let refused = |what: &str| {
        console.iter().any(|line| line.contains("Content Security Policy") && line.contains(what))
    };
    assert!(refused("script") && refused("style") && refused("image"), "{console:?}");
}
