//! What a server lists: one line of text per pane, and who the server is.
//!
//! The parser is total: whatever a user named a session or wrote into an option,
//! a line is a pane, or it isn't one. Fields that programs in a pane can change
//! at will (titles, window names, paths) aren't asked for at all.

use std::collections::BTreeMap;

use ilchul_substrate::{Exit, Mark};

/// The format of one pane. `:` can stand in no name of a session; the fields from
/// the session's name on are text of anybody's, so they come last. From 3.8 on tmux says no
/// pid of a pane whose process has ended, so it is kept in the pane from the start.
pub(crate) const PANE: &str = "#{pane_id}:#{?pane_pid,#{pane_pid},#{@ilchul_pid}}:#{pane_dead}:#{pane_dead_status}:#{pane_dead_signal}:\
    #{window_id}:#{window_index}:#{session_id}:#{session_name}:#{@ilchul_run}:#{@ilchul_start}:#{@ilchul_made}:\
    #{@ilchul_mark}";
/// The format of the server itself.
pub(crate) const SERVER: &str = "server:#{pid}:#{start_time}:#{version}";
const FIELDS: usize = 13;

/// One life of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerId {
    pub(crate) pid: u32,
    /// Seconds since 1970, by the server's own clock.
    pub(crate) started: u64,
}

/// One pane of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pane {
    pub(crate) id: String,
    /// 0 where nobody says any more which process it was.
    pub(crate) pid: u32,
    pub(crate) dead: bool,
    /// How its process ended, where tmux has collected that.
    pub(crate) exit: Option<Exit>,
    pub(crate) window: String,
    pub(crate) window_index: u32,
    pub(crate) session: String,
    pub(crate) session_name: String,
    /// The run that its session belongs to.
    pub(crate) run: String,
    /// Start ticks of the process that we started in it, recorded right after.
    pub(crate) start: Option<String>,
    /// All that belongs to it was set up.
    pub(crate) made: bool,
    pub(crate) mark: Option<Mark>,
}

/// All panes of one server at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) server: ServerId,
    /// By pane id.
    pub(crate) panes: BTreeMap<String, Pane>,
}

impl Listing {
    /// From the lines of `list-panes`.
    pub(crate) fn new<'a>(server: ServerId, lines: impl IntoIterator<Item = &'a str>, run: &str) -> Self {
        let mut panes = BTreeMap::new();
        for pane in lines.into_iter().filter_map(parse_pane) {
            // A window that is linked into several sessions is listed once for each: ours counts.
            if pane.run == run || !panes.contains_key(&pane.id) {
                panes.insert(pane.id.clone(), pane);
            }
        }
        Self { server, panes }
    }

    /// The panes that carry `mark`.
    pub(crate) fn marked(&self, mark: &Mark) -> Vec<&Pane> {
        self.panes.values().filter(|pane| pane.mark.as_ref() == Some(mark)).collect()
    }

    /// The session of `run`, whatever it is called by now.
    pub(crate) fn session_of(&self, run: &str) -> Option<&str> {
        self.panes.values().find(|pane| pane.run == run).map(|pane| pane.session.as_str())
    }

    /// Whether a session has this name.
    pub(crate) fn has_session_named(&self, name: &str) -> bool {
        self.panes.values().any(|pane| pane.session_name == name)
    }

    /// A window index behind all that `session` uses.
    pub(crate) fn free_index(&self, session: &str) -> u32 {
        let used = self.panes.values().filter(|pane| pane.session == session).map(|pane| pane.window_index);
        used.max().map_or(0, |last| last.saturating_add(1))
    }
}

/// The line that [`SERVER`] gives: who it is, and its version.
pub(crate) fn parse_server(line: &str) -> Option<(ServerId, &str)> {
    let mut fields = line.strip_prefix("server:")?.splitn(3, ':');
    let server = ServerId { pid: fields.next()?.parse().ok()?, started: fields.next()?.parse().ok()? };
    Some((server, fields.next()?))
}

/// The line that [`PANE`] gives.
pub(crate) fn parse_pane(line: &str) -> Option<Pane> {
    let fields: Vec<&str> = line.splitn(FIELDS, ':').collect();
    let [id, pid, dead, status, signal, window, index, session, name, run, start, made, mark] = fields[..]
    else {
        return None;
    };
    Some(Pane {
        id: numbered('%', id)?,
        pid: if pid.is_empty() { 0 } else { pid.parse().ok()? },
        dead: dead == "1",
        exit: exit(status, signal),
        window: numbered('@', window)?,
        window_index: index.parse().ok()?,
        session: numbered('$', session)?,
        session_name: name.to_owned(),
        run: run.to_owned(),
        start: (!start.is_empty()).then(|| start.to_owned()),
        made: made == "1",
        mark: mark.parse().ok(),
    })
}

fn numbered(sign: char, text: &str) -> Option<String> {
    let number = text.strip_prefix(sign)?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.to_owned())
}

fn exit(status: &str, signal: &str) -> Option<Exit> {
    if let Ok(code) = status.parse() {
        return Some(Exit::Code(code));
    }
    if let Ok(number) = signal.parse() {
        return Some(Exit::Signal(number));
    }
    // Where the system has `sys_signame`, tmux writes names.
    const NAMES: [(&str, i32); 15] = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("ILL", 4),
        ("TRAP", 5),
        ("ABRT", 6),
        ("BUS", 7),
        ("FPE", 8),
        ("KILL", 9),
        ("USR1", 10),
        ("SEGV", 11),
        ("USR2", 12),
        ("PIPE", 13),
        ("ALRM", 14),
        ("TERM", 15),
    ];
    let name = signal.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| Exit::Signal(*number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    const LIVE: &str = "%5:77:0:::@3:2:$1:ilchul-x-r1:r1:99:1:ilchul.r1.a.1";

    fn listing(lines: &[&str]) -> Listing {
        Listing::new(ServerId { pid: 1, started: 2 }, lines.iter().copied(), "r1")
    }

    #[test]
    fn a_line_is_a_pane() {
        let pane = parse_pane(LIVE).unwrap();
        assert_eq!((pane.id.as_str(), pane.pid, pane.dead, pane.exit), ("%5", 77, false, None));
        assert_eq!((pane.window.as_str(), pane.window_index, pane.session.as_str()), ("@3", 2, "$1"));
        assert_eq!((pane.run.as_str(), pane.start.as_deref(), pane.made), ("r1", Some("99"), true));
        assert_eq!(pane.mark.unwrap().to_string(), "ilchul.r1.a.1");
    }

    #[test]
    fn a_pane_whose_process_nobody_names_any_more_is_a_pane_all_the_same() {
        // As 3.8 lists one that has ended, and that we didn't make.
        let pane = parse_pane("%5::1:0::@3:2:$1:theirs::::").unwrap();
        assert_eq!((pane.pid, pane.dead, pane.exit), (0, true, Some(Exit::Code(0))));
        assert!(parse_pane("%5:x:1:0::@3:2:$1:theirs::::").is_none());
        assert!(listing(&["%5::1:0::@3:2:$1:theirs::::"]).has_session_named("theirs"));
    }

    #[test]
    fn exit_codes_and_signals_are_told_apart() {
        assert_eq!(parse_pane("%1:7:1:3::@1:0:$0:n::::").unwrap().exit, Some(Exit::Code(3)));
        assert_eq!(parse_pane("%1:7:1::9:@1:0:$0:n::::").unwrap().exit, Some(Exit::Signal(9)));
        assert_eq!(parse_pane("%1:7:1::TERM:@1:0:$0:n::::").unwrap().exit, Some(Exit::Signal(15)));
        assert_eq!(parse_pane("%1:7:1:::@1:0:$0:n::::").unwrap().exit, None);
    }

    #[test]
    fn a_foreign_text_in_our_options_hides_no_pane() {
        let pane = parse_pane("%5:77:0:::@3:2:$1:ilchul-x-r1:a:b:c:1:ilchul.r1.a.1").unwrap();
        assert_eq!(pane.mark, None, "the pane is there, but proves nothing");
        assert_eq!(parse_pane("%5:77:0:::@3:2:$1:a session | with #(signs)::::").unwrap().mark, None);
    }

    #[test]
    fn worker_1_is_not_worker_10() {
        let lines = listing(&[LIVE, "%6:78:0:::@4:3:$1:ilchul-x-r1:r1:99:1:ilchul.r1.a.10"]);
        let ids: Vec<_> =
            lines.marked(&"ilchul.r1.a.1".parse().unwrap()).iter().map(|p| p.id.clone()).collect();
        assert_eq!(ids, ["%5"]);
        assert!(lines.has_session_named("ilchul-x-r1"));
        assert!(!lines.has_session_named("ilchul-x-r"));
        assert_eq!((lines.session_of("r1"), lines.session_of("r")), (Some("$1"), None));
        assert_eq!((lines.free_index("$1"), lines.free_index("$9")), (4, 0));
    }

    #[test]
    fn a_linked_window_is_one_pane_and_ours() {
        let foreign = "%5:77:0:::@3:9:$0:theirs::99:1:ilchul.r1.a.1";
        for lines in [[LIVE, foreign], [foreign, LIVE]] {
            let found = listing(&lines);
            assert_eq!(found.panes.len(), 1);
            assert_eq!(found.panes["%5"].session, "$1");
        }
    }

    #[test]
    fn the_server_names_itself() {
        let (server, version) = parse_server("server:12:345:3.3a").unwrap();
        assert_eq!((server, version), (ServerId { pid: 12, started: 345 }, "3.3a"));
        assert!(parse_server("server:12::3.3a").is_none());
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in any::<String>(), tail in ".{0,60}") {
            let _none_or_some = (parse_pane(&text), parse_server(&text));
            let line = format!("%5:77:0:::@3:2:$1:{tail}:::::");
            assert!(parse_pane(&line).is_some(), "{line}");
        }
    }
}
