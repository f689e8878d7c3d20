//! `attach`: to the one terminal that is meant, or a clear no.

use std::time::Duration;

use ilchul::engine::event::{Place, TaskStep};
use ilchul::engine::named::Named;
use ilchul_substrate::{Handle, Mark, SessionSpec, Substrate, Urgency};
use ilchul_tmux_session::{Server, TmuxSession};
use serde_json::json;

use super::story::Story;
use crate::world::{World, ran};

const RUN: &str = "20231114-221320-ab12";

fn halfway(world: &World) -> Story {
    let mut story = Story::start(world, RUN);
    story.completes("build", 1);
    story.task("fix", "", TaskStep::NeedsMet);
    story
}

#[test]
fn a_process_group_has_no_terminal_and_the_error_says_where_to_look() {
    let world = World::new();
    let mut story = halfway(&world);
    story.works("fix", 1);
    let (code, error) = world.refused(&["attach", "fix"]);
    assert_eq!((code, &error["code"]), (1, &json!("no_terminal")));
    let tree = story.home.scratch(RUN, "fix.1");
    let hint = format!("Run `ilchul logs -f fix` to see its output; its files are in {}", tree.display());
    assert_eq!(error["hint"], hint);
}

/// A tmux server of the test's own, ended with it.
struct Tmux {
    sessions: TmuxSession,
    socket: std::path::PathBuf,
}

impl Tmux {
    fn start(world: &World) -> (Self, Handle) {
        let socket = world.root().join("s");
        let sessions =
            TmuxSession::open(&Server::Socket(socket.clone()), "ilchul-t", RUN, Duration::from_secs(5));
        let sessions = sessions.unwrap().with_config("/dev/null".as_ref());
        let spec = SessionSpec {
            title: "fix.1".to_owned(),
            cwd: world.repo(),
            argv: vec!["sleep".into(), "600".into()],
            env: vec![("PATH".into(), std::env::var_os("PATH").unwrap_or_default())],
            log: world.root().join("log"),
            capture: false,
            request: ilchul_substrate::Request::default(),
        };
        let handle = sessions.ensure(&Mark::new(RUN, "fix", 1).unwrap(), &spec).unwrap();
        (Self { sessions, socket }, handle)
    }

    fn end(&self) {
        let socket = self.socket.to_str().unwrap();
        let _ = std::process::Command::new("tmux").args(["-S", socket, "kill-server"]).output();
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn attach_goes_in_from_outside_and_switches_inside_and_refuses_once_it_is_gone() {
    let world = World::new();
    let mut story = halfway(&world);
    let (tmux, handle) = Tmux::start(&world);
    let field = |name: &str| handle.fields[name].clone();
    let (socket, pane) = (field("socket"), field("pane"));
    let place =
        Place { kind: handle.kind.clone(), id: handle.id.clone(), fields: handle.fields.clone().into() };
    story.works_in("fix", 1, place);

    let data = world.data(&["attach", "fix"]);
    let outside = json!([
        "tmux",
        "-S",
        socket,
        "attach-session",
        "-t",
        field("session"),
        ";",
        "select-window",
        "-t",
        field("window")
    ]);
    assert_eq!((&data["worker"], &data["argv"]), (&json!("fix.1"), &outside));
    let printed = world.ok(&["attach", "fix.1", "--print"]);
    assert!(
        printed.starts_with(&format!("tmux -S {socket} attach-session -t ")) && printed.contains("';'"),
        "{printed}"
    );

    let inside = ran(&world
        .ilchul(&["attach", "fix", "--print"])
        .env("TMUX", format!("{socket},1,0"))
        .output()
        .unwrap());
    assert_eq!(inside.stdout, format!("tmux -S {socket} switch-client -t '{pane}'\n"));
    let other =
        ran(&world.ilchul(&["attach", "fix", "--print"]).env("TMUX", "/tmp/another,1,0").output().unwrap());
    assert_eq!(other.stdout, printed, "in another server this terminal is outside");

    let refused = world.run(&["attach", "fix"]);
    assert_eq!(refused.code, 1);
    let told = &refused.stderr;
    assert!(told.contains("there is no terminal here") && told.contains("--print"), "{told}");

    // The pane is kept when its process ends, and can still be looked at.
    tmux.sessions.release(&handle, Urgency::AtOnce).unwrap();
    let ended = world.run(&["attach", "fix", "--print"]);
    assert_eq!((ended.code, ended.stdout), (0, printed));
    assert!(ended.stderr.contains("has ended; this is what it left"), "{}", ended.stderr);

    tmux.end();
    let (code, error) = world.refused(&["attach", "fix"]);
    assert_eq!((code, &error["code"]), (1, &json!("session_gone")), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("ilchul logs -f fix"), "{error}");
}

#[test]
fn l9_a_place_that_cannot_be_understood_is_an_error_and_no_guess() {
    let world = World::new();
    let mut story = halfway(&world);
    story.works_in("fix", 1, Place { kind: "tmux".into(), id: "%1".into(), fields: Named::default() });
    let (code, error) = world.refused(&["attach", "fix"]);
    assert_eq!((code, &error["code"]), (1, &json!("tmux")));
    assert!(error["message"].as_str().unwrap().contains("socket"), "{error}");
}
