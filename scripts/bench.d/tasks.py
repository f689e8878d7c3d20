"""P4 and P5: many tasks that do nothing, so that only the runner's own work is left.

All tools take turns. The supervisor's CPU is read from its own CPU clock between its end
and its reaping, so no child is counted. It leaves out tasks that depend on each other.
"""
import datetime
import json
import os
import shutil
import subprocess
import time

from common import NULL, Failed, Series, cpu_of, repository, timed, wait_until, workflow

TASKS = 200
JOBS = 8


def p4_p5(bench):
    bench.say("\nP4, P5: %d x true, %d at once, FULL journal on the disk" % (TASKS, JOBS))
    home = bench.fresh(bench.disk, "tasks")
    plan = workflow(TASKS, "subprocess", "none", "true", JOBS)
    repo = repository(os.path.join(home, "repo"), 1, {"ilchul.yaml": plan})
    ninja = bench.fresh(bench.disk, "ninja")
    write_ninja(ninja)
    tools = {
        "ilchul": lambda: ilchul(bench, home, repo),
        "ninja": lambda: ran(["ninja", "-j", str(JOBS)], ninja),
        "parallel": lambda: piped("parallel --will-cite -j%d true" % JOBS),
        "make": lambda: ran(["make", "-s", "-j%d" % JOBS, "all"], ninja),
        "xargs": lambda: piped("xargs -P%d -n1 true" % JOBS),
        "pueue": lambda: pueue(bench),
        "floor": lambda: floor(bench),
    }
    missing = [name for name in tools if name not in ("ilchul", "floor") and not shutil.which(name)]
    if "pueue" not in missing and not shutil.which("pueued"):
        missing.append("pueue")
    if missing:
        bench.note("left out, because it isn't installed: " + ", ".join(missing))
    tools = {name: run for name, run in tools.items() if name not in missing}
    wall = {name: Series(name, "s") for name in tools}
    cpu = {name: Series(name + " own CPU", "ms/task") for name in ("ilchul", "floor")}
    # One round that isn't counted fills the page cache for all of them.
    for number in range(-1, bench.runs):
        for name, run in tools.items():
            # It waits for a tick of 0.3 s per free slot: two of its runs say enough.
            if name == "pueue" and number not in (0, 1):
                continue
            seconds, own = run()
            if number >= 0:
                wall[name].add(seconds)
                if name in cpu:
                    cpu[name].add(own * 1e3 / TASKS)
    for name in ("make", "xargs"):
        if name in wall:
            bench.say("     for comparison: %s" % wall[name])
    for name, at_most in (("ninja", 2.0), ("parallel", 0.4), ("pueue", 0.05)):
        if name in wall:
            bench.ratio("P4", wall["ilchul"], wall[name], at_most)
    per_task = {name: Series("%s a task" % name, "ms") for name in ("ilchul", "floor")}
    for name, series in per_task.items():
        series.values = [seconds * 1e3 / TASKS for seconds in wall[name].values]
    bench.ratio("P5", per_task["ilchul"], per_task["floor"], 2.0)
    bench.say("     for comparison: %s" % cpu["floor"])
    bench.limit("P5", cpu["ilchul"], 0.45, "ms")


def ilchul(bench, home, repo):
    top = bench.fresh(home, "run")
    env = bench.environment(home, ILCHUL_HOME=os.path.join(top, "h"))
    with open(os.path.join(top, "said"), "wb") as said:
        wall, cpu, code = timed([bench.binary, "up", "--session", "subprocess", "--workers", str(JOBS)],
                                cwd=repo, env=env, stdout=said, stderr=said)
    if code != 0:
        raise Failed("ilchul up ended with %d:\n%s" % (code, tail(os.path.join(top, "said"))))
    return wall, cpu


def tail(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-15:])


def ran(argv, folder):
    log = os.path.join(folder, ".ninja_log")
    if os.path.exists(log):
        os.unlink(log)
    wall, cpu, code = timed(argv, cwd=folder)
    if code != 0:
        raise Failed("%s ended with %d" % (argv[0], code))
    return wall, cpu


def piped(command):
    wall, cpu, code = timed(["sh", "-c", "seq %d | %s" % (TASKS, command)])
    if code != 0:
        raise Failed("`%s` ended with %d" % (command, code))
    return wall, cpu


def floor(bench):
    folder = bench.fresh(bench.disk, "floor")
    argv = [bench.floor, "loop", folder, str(TASKS), str(JOBS)]
    found = json.loads(subprocess.run(argv, stdin=NULL, stdout=subprocess.PIPE, check=True).stdout)
    return found["wall_s"], found["cpu_us"] / 1e6


def write_ninja(folder):
    names = ["s%d" % number for number in range(TASKS)]
    with open(os.path.join(folder, "build.ninja"), "w", encoding="utf-8") as file:
        file.write("rule r\n  command = true\n")
        file.writelines("build %s: r\n" % name for name in names)
    # Never made, so every target is out of date each time.
    with open(os.path.join(folder, "Makefile"), "w", encoding="utf-8") as file:
        file.write(".PHONY: all %s\nall: %s\n" % (" ".join(names), " ".join(names)))
        file.write("%s:\n\t@/bin/sh -c true\n" % " ".join(names))


def pueue(bench):
    """From the first `add` to the end of the last task, in a daemon of its own."""
    folder = bench.fresh(bench.disk, "pueue")
    config = os.path.join(folder, "pueue.yml")
    with open(config, "w", encoding="utf-8") as file:
        file.write("shared:\n  pueue_directory: %s\n  runtime_directory: %s\n  use_unix_socket: true\n"
                   "  unix_socket_path: %s\nclient: {}\ndaemon: {}\n"
                   % (folder, folder, os.path.join(bench.fresh(bench.short, "q"), "s")))
    daemon = subprocess.Popen(["pueued", "-c", config], stdin=NULL, stdout=NULL, stderr=NULL)

    def client(*words):
        return subprocess.run(["pueue", "-c", config, *words], stdin=NULL, stderr=NULL,
                              stdout=subprocess.PIPE, text=True, check=False)

    try:
        wait_until(lambda: client("status").returncode == 0, 10, "pueued answers", 0.05)
        client("parallel", str(JOBS))
        begun = time.time()
        for _ in range(TASKS):
            if client("add", "--", "true").returncode != 0:
                raise Failed("pueue add failed")
        ends = wait_until(lambda: pueue_ends(client("status", "--json").stdout), 180, "pueue's tasks", 0.5)
        return max(ends) - begun, cpu_of(daemon.pid)
    finally:
        daemon.terminate()
        daemon.wait()


def pueue_ends(status):
    """When each task ended, once all have."""
    states = [task["status"] for task in json.loads(status)["tasks"].values()]
    if len(states) < TASKS or not all(isinstance(state, dict) and "Done" in state for state in states):
        return None
    return [moment(state["Done"]["end"]) for state in states]


def moment(label):
    # Up to nine digits of a second, of which Python reads six.
    main, _, rest = label.partition(".")
    digits = "".join(c for c in rest[:9] if c.isdigit())
    zone = rest[len(digits):].replace("Z", "+00:00")
    return datetime.datetime.fromisoformat("%s.%s%s" % (main, (digits + "000000")[:6], zone)).timestamp()
