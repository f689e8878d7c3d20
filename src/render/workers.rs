//! `workers` for people: where each one is, what it holds, how fresh that is.
//!
//! It leaves out tasks.

use super::table::{Screen, Table, Tone};
use super::words::{ago, line, reason};
use super::wrap::columns;
use super::{Beside, branch, close, restore};
use crate::engine::view::{RunView, WorkerView};
use crate::engine::worker_table::WorkerPhase;

/// All of `workers`: a table, then the trees, whose paths stay whole.
#[must_use]
pub fn text(view: &RunView, beside: &Beside, screen: Screen) -> String {
    if view.workers.is_empty() {
        return format!("Run {} has no worker yet.\n", view.id);
    }
    let mut table = Table::new(screen, &["WORKER", "STATE", "SINCE", "HEARD OF", "SESSION", "PID", "REASON"]);
    for worker in &view.workers {
        table.row(row(worker, beside, screen), 1, tone(worker));
    }
    let mut text = table.text();
    let trees = trees(view, beside, screen);
    if !trees.is_empty() {
        text.push('\n');
        text.push_str(&trees);
    }
    let folder = beside.hosts.values().next().and_then(|host| host.folder.parent());
    if let Some(folder) = folder {
        let folder = line(&super::shown(folder));
        text.push_str(&format!("\n`ilchul logs TASK` shows what a worker wrote; what Slurm and its job wrote is in\n{folder}/ilchul.{}.TASK.ATTEMPT/slurm.log\n", view.id));
    }
    if !beside.closes.is_empty() {
        text.push('\n');
        text.push_str(&close::table(&beside.closes, screen));
    }
    for (worker, commands) in &beside.gone {
        text.push('\n');
        text.push_str(&restore(worker, commands));
    }
    text
}

/// Where their files are: a table where there is room for one, else each path on its own line.
/// Either way it stays whole.
fn trees(view: &RunView, beside: &Beside, screen: Screen) -> String {
    let found = |worker: &WorkerView| {
        let branch = branch(worker).map(line).unwrap_or_default();
        Some((worker.id.clone(), line(&beside.tree(worker)?), branch))
    };
    let found: Vec<(String, String, String)> = view.workers.iter().filter_map(found).collect();
    if found.is_empty() {
        return String::new();
    }
    let mut table = Table::new(Screen { width: None, ..screen }, &["WORKER", "TREE", "BRANCH"]);
    for (id, tree, branch) in &found {
        table.row(vec![id.clone(), tree.clone(), branch.clone()], 0, Tone::Plain);
    }
    let text = table.text();
    let fits = |width| text.lines().all(|line| columns(line) <= width);
    if screen.width.is_none_or(fits) {
        return text;
    }
    found.iter().fold(String::new(), |mut out, (id, tree, branch)| {
        out.push_str(&format!("{id}\n  tree    {tree}\n"));
        if !branch.is_empty() {
            out.push_str(&format!("  branch  {branch}\n"));
        }
        out
    })
}

fn row(worker: &WorkerView, beside: &Beside, screen: Screen) -> Vec<String> {
    let node = beside.hosts.get(&worker.id).map(|host| format!(" on {}", line(&host.node)));
    let session = worker
        .session
        .as_ref()
        .map(|place| format!("{} {}{}", line(&place.kind), line(&place.id), node.unwrap_or_default()));
    vec![
        worker.id.clone(),
        worker.phase.word().to_owned(),
        ago(screen.now_ms, worker.since.wall_ms),
        beside.beat_ms(&worker.id).map(|at| ago(screen.now_ms, at)).unwrap_or_default(),
        session.unwrap_or_default(),
        worker.pid.map(|pid| pid.to_string()).unwrap_or_default(),
        reason(&beside.reason(worker)),
    ]
}

fn tone(worker: &WorkerView) -> Tone {
    match worker.phase {
        _ if worker.lost && worker.phase.is_live() => Tone::Bad,
        WorkerPhase::Busy | WorkerPhase::Ready => Tone::Good,
        WorkerPhase::Unhealthy => Tone::Warn,
        WorkerPhase::StaleRegistry => Tone::Bad,
        WorkerPhase::Provisioning | WorkerPhase::CompletedRetained => Tone::Plain,
        WorkerPhase::SafeToClose | WorkerPhase::CleanupReleased | WorkerPhase::Closed => Tone::Dim,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_clusters_worker_is_shown_with_its_job_its_node_and_where_the_jobs_words_are() {
        let (mut view, mut beside) = (sample::view(), sample::beside());
        view.workers[1].session = Some(sample::place("slurm", "4711", &[]));
        let folder = std::path::PathBuf::from("/h/runs/r/slurm/ilchul.r.fix.1");
        beside.hosts.insert("fix.1".to_owned(), super::super::Host { node: "n7".to_owned(), folder });
        let shown = text(&view, &beside, sample::screen());
        assert!(shown.contains("slurm 4711 on n7"), "{shown}");
        assert!(shown.contains("/h/runs/r/slurm/ilchul."), "{shown}");
        let json = super::super::json::worker(&view.workers[1], &beside);
        assert_eq!((&json["session"]["id"], &json["node"]), (&"4711".into(), &"n7".into()));
        let why = super::super::why::Why::new((&view, true), view.task("fix").unwrap(), &beside, false);
        let said = why.text(Screen { width: None, ..sample::screen() });
        assert!(said.contains("Its worker is job 4711 on n7; what Slurm wrote: /h/runs/r/slurm/"), "{said}");
        assert_eq!(why.json()["job"]["node"], "n7");
    }

    #[test]
    fn a_worker_is_shown_with_its_session_its_tree_and_its_last_sign_of_life() {
        insta::assert_snapshot!(text(&sample::view(), &sample::beside(), sample::screen()), @r#"
        WORKER   STATE               SINCE      HEARD OF   SESSION        PID  REASON
        build.1  completed-retained  1 min ago  1 min ago  tmux %3        41   its work is over, its tree and session are kept
        fix.1    busy                1 min ago  3 s ago    subprocess 77  78   works on its task
        docs.2   provisioning        1 min ago  -          -              -    its tree and session are being made

        WORKER   TREE              BRANCH
        build.1  /h/t/build.1      ilchul/r1/build.1
        fix.1    /h/scratch/fix.1  -
        "#);
    }

    #[test]
    fn a_path_stays_whole_on_a_narrow_terminal() {
        let screen = Screen { width: Some(40), ..sample::screen() };
        let text = text(&sample::view(), &sample::beside(), screen);
        assert!(text.contains("\nbuild.1\n  tree    /h/t/build.1\n  branch  ilchul/r1/build.1\n"), "{text}");
        assert!(text.contains("\nfix.1\n  tree    /h/scratch/fix.1\n"), "{text}");
    }

    #[test]
    fn a_run_without_workers_says_so() {
        let mut view = sample::view();
        view.workers.clear();
        assert_eq!(
            text(&view, &Beside::default(), sample::screen()),
            "Run 20231114-221320-ab12 has no worker yet.\n"
        );
    }

    #[test]
    fn what_a_release_saw_is_its_reason() {
        let mut view = sample::view();
        view.workers[0].phase = WorkerPhase::SafeToClose;
        view.workers[0].observations = vec!["clean".to_owned(), "no\u{7} process".to_owned()];
        let text = text(&view, &sample::beside(), sample::screen());
        assert!(text.contains("released: clean and no\\u{7} process"), "{text}");
    }
}
