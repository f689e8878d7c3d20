//! The runs that are crashed, and what they come to when nobody disturbs them.
//!
//! Every body runs between two lines in a ledger that lies outside of everything ilchul
//! knows. It leaves out judging: that is the oracle's.

use std::collections::BTreeMap;
use std::fs;

use super::oracle::{self, Outcome};
use super::world::World;

/// Runs its arguments as a task's body, between the lines `<task> <attempt> <token> <pid> start`
/// and `... end`. A body that is killed leaves no end; so whoever begins looks for those of its
/// task that began before it, and a live one is told of by a line `... beside-<pid>`.
const BODY: &str = r#"set -u
token=$(sed 's/.*"token":\([0-9]*\).*/\1/' "$ILCHUL_MAIL/assignment.json")
say() { echo "$ILCHUL_TASK $ILCHUL_ATTEMPT $token $$ $1" >> "$LEDGER"; }
for other in $(sed -n "s/^$ILCHUL_TASK [0-9]* [0-9]* \([0-9]*\) start$/\1/p" "$LEDGER" 2> /dev/null); do
    grep -q "$ILCHUL_TASK .* $other end" "$LEDGER" || ! grep -q body "/proc/$other/cmdline" 2> /dev/null || say "beside-$other"
done
say start
"$@"
code=$?
say end
exit $code
"#;

/// Fails the first time that anybody calls it, and never again.
const ONCE: &str = "test -e \"$1\" || { touch \"$1\"; exit 1; }\n";

/// Quick beats, a grace that no life outlasts, and the ledger; the tasks follow.
const HEAD: &str = "heartbeat: { every: 200ms, unhealthy_after: 5s, lost_after: 20s }\n\
    limits: { workers: 3, grace: 25s }\n\
    defaults: { env: { LEDGER: $W/ledger } }\n\
    tasks:\n";

/// Three tasks: a worktree and a command for evidence, a dependent whose first attempt fails,
/// and one without a worktree.
const THREE: &str = "\
    \x20 a: { run: 'sh $W/body sh -c \"echo x > out.txt\"', evidence: [ { exit: 0 }, { artifact: out.txt }, { command: 'test -e out.txt' } ] }\n\
    \x20 b: { run: 'sh $W/body sh $W/once $W/failed', needs: [a], retries: 1, evidence: [ { exit: 0 } ] }\n\
    \x20 c: { run: 'sh $W/body true', workspace: none, evidence: [ { exit: 0 } ] }\n";

/// A workflow with its worlds, and what it comes to.
pub struct Plan {
    text: String,
    scripts: Vec<(String, String)>,
    /// What hosts the workers.
    pub session: &'static str,
    /// The exit code of an undisturbed run.
    pub code: i32,
    /// Its end.
    pub outcome: Outcome,
    /// How often each task's body ran then.
    pub bodies: BTreeMap<String, usize>,
}

impl Plan {
    /// The three tasks.
    pub fn three(session: &'static str) -> Self {
        Self::of(THREE, session)
    }

    /// Twenty tasks in five layers of four; each needs two of the layer before it.
    pub fn twenty(session: &'static str) -> Self {
        let line = |n: usize| {
            let (layer, place) = (n / 4, n % 4);
            let need = |shift: usize| format!("t{}", (layer - 1) * 4 + (place + shift) % 4);
            let needs =
                if layer == 0 { String::new() } else { format!("needs: [{}, {}], ", need(0), need(1)) };
            // Every other one has a worktree and leaves something in it.
            let (space, proof) =
                if n.is_multiple_of(2) { ("", ", { artifact: out.txt }") } else { ("workspace: none, ", "") };
            format!(
                "  t{n}: {{ run: 'sh $W/body sh -c \"sleep 0.02; echo {n} > out.txt\"', {needs}{space}evidence: [ {{ exit: 0 }}{proof} ] }}\n"
            )
        };
        Self::of(&(0..20).map(line).collect::<String>(), session)
    }

    /// The plan of these tasks, after one run that nobody disturbs.
    pub fn of(tasks: &str, session: &'static str) -> Self {
        Self::of_with(tasks, session, &[])
    }

    /// The same with more scripts beside `$W/body`, each with its name.
    pub fn of_with(tasks: &str, session: &'static str, scripts: &[(&str, &str)]) -> Self {
        let text = format!("{HEAD}{tasks}");
        let scripts = [("body", BODY), ("once", ONCE)].iter().chain(scripts);
        let scripts = scripts.map(|(name, script)| ((*name).to_owned(), (*script).to_owned())).collect();
        let mut plan =
            Self { text, scripts, session, code: 0, outcome: Outcome::new(), bodies: BTreeMap::new() };
        let world = plan.world();
        // What a test lets its bodies wait for is there from the beginning.
        world.touch("go");
        plan.code = world.run(&plan.up()).code;
        assert!([0, 3].contains(&plan.code), "the undisturbed run ended with {}", plan.code);
        plan.outcome = oracle::outcome(&world);
        plan.bodies = oracle::bodies(&world);
        plan
    }

    /// A world in which nothing has happened yet.
    pub fn world(&self) -> World {
        let world = World::new();
        for (name, script) in &self.scripts {
            fs::write(world.root().join(name), script).unwrap();
        }
        world.workflow(&self.text);
        world
    }

    /// The arguments of `up`.
    pub fn up(&self) -> [&'static str; 3] {
        ["up", "--session", self.session]
    }
}
