"""P6 and P7: graphs of 1,000 and 10,000 tasks that do nothing; time and memory by size.

ninja and ilchul run the same graph in turns. A task's share is the whole run's wall time,
reading the file included, by the number of tasks. The supervisor's peak memory is its own
`ru_maxrss`, the kernel's VmHWM, as `wait4` tells it. Each run leaves some 100,000 small
files, so a round takes minutes; `--runs 1` gives a first look. It leaves out worktrees.
"""
import os
import random
import shutil
import subprocess
import time

from common import NULL, Failed, Series, repository

SIZES = (1000, 10000)
SHAPES = ("chain", "fan-out", "layered")
LAYER = 50
JOBS = 8
# The largest run takes less than a minute; ten mean that it hangs.
PATIENCE = 600


def needs(shape, count):
    """For each task the numbers of those that it needs; the same in every run."""
    chance = random.Random(11)
    for number in range(count):
        if number == 0:
            yield []
        elif shape == "chain":
            yield [number - 1]
        elif shape == "fan-out":
            yield [0] if number < count - 1 else list(range(1, count - 1))
        else:
            above = number // LAYER - 1
            layer = range(above * LAYER, (above + 1) * LAYER)
            yield sorted(chance.sample(layer, 3)) if above >= 0 else []


def plan(graph, last="true"):
    """The graph as a workflow; `last` is what its last task runs."""
    lines = ["version: 1", "name: bench",
             "defaults: { session: subprocess, workspace: none, timeout: 1h }",
             "limits: { workers: %d, tasks: 10000, attempts: 20000 }" % JOBS, "tasks:"]
    for number, needed in enumerate(graph):
        run = last if number == len(graph) - 1 else "true"
        after = ", needs: [%s]" % ", ".join("s%d" % one for one in needed) if needed else ""
        lines.append('  s%d: { run: "%s"%s }' % (number, run, after))
    return "\n".join(lines) + "\n"


def ninja_file(folder, graph, command):
    with open(os.path.join(folder, "build.ninja"), "w", encoding="utf-8") as file:
        file.write("rule r\n  command = %s\n" % command)
        for number, needed in enumerate(graph):
            file.write("build s%d: r%s\n" % (number, "".join(" s%d" % one for one in needed)))


def p6_p7(bench):
    bench.say("\nP6, P7: graphs of %s tasks, %d at once, FULL journal on the disk" % (
        " and ".join("%d" % size for size in SIZES), JOBS))
    has_ninja = shutil.which("ninja") is not None
    if not has_ninja:
        bench.note("ninja isn't installed: P6 lacks its other side")
    cases = [(shape, size) for shape in SHAPES for size in SIZES]
    ours = {case: Series("ilchul %s %d" % case, "ms/task") for case in cases}
    theirs = {case: Series("ninja %s %d" % case, "ms/task") for case in cases}
    peak = {case: Series("peak %s %d" % case, "MiB", 1) for case in cases}
    made = {case: made_of(bench, *case) for case in cases}
    for _ in range(bench.runs):
        for case in cases:
            repo, folder = made[case]
            if has_ninja:
                theirs[case].add(timed_peak(["ninja", "-j", str(JOBS)], folder, fresh(folder))[0] * 1e3 / case[1])
            home = os.path.join(bench.fresh(bench.disk, "graph"), "h")
            env = bench.environment(home, ILCHUL_HOME=home)
            argv = [bench.binary, "up", "--session", "subprocess", "--workers", str(JOBS)]
            wall, mebibytes = timed_peak(argv, repo, env)
            ours[case].add(wall * 1e3 / case[1])
            peak[case].add(mebibytes)
    small, large = SIZES
    for shape in SHAPES:
        bench.ratio("P6", ours[shape, large], ours[shape, small], 1.10)
        bench.ratio("P6", ours[shape, large], theirs[shape, large] if has_ninja else None, 2.5)
    for shape in SHAPES:
        bench.limit("P7", peak[shape, large], 48, "MiB")
        growth = Series("growth %s, %d to %d" % (shape, small, large), "KiB/task", 2)
        growth.values = [(more - less) * 1024 / (large - small)
                         for more, less in zip(peak[shape, large].values, peak[shape, small].values)]
        bench.limit("P7", growth, 4, "KiB")


def made_of(bench, shape, size):
    graph = list(needs(shape, size))
    top = bench.fresh(bench.disk, "shape")
    folder = os.path.join(top, "ninja")
    os.mkdir(folder)
    # No output is ever made, so everything is out of date each time.
    ninja_file(folder, graph, "true")
    return repository(os.path.join(top, "repo"), 1, {"ilchul.yaml": plan(graph)}), folder


def fresh(folder):
    log = os.path.join(folder, ".ninja_log")
    if os.path.exists(log):
        os.unlink(log)
    return None


def timed_peak(argv, folder, env):
    """Wall seconds, and the peak of the process's own memory in MiB."""
    said = os.path.join(folder, "said")
    with open(said, "wb") as out:
        begun = time.monotonic()
        child = subprocess.Popen(argv, cwd=folder, env=env, stdin=NULL, stdout=out, stderr=out)
        try:
            while True:
                pid, status, usage = os.wait4(child.pid, os.WNOHANG)
                if pid:
                    break
                if time.monotonic() - begun > PATIENCE:
                    raise Failed("%s: not within %d s" % (argv[0], PATIENCE))
                time.sleep(0.002)
        finally:
            child.returncode = os.waitstatus_to_exitcode(status) if pid else None
            if not pid:
                child.terminate()
                child.wait()
    if child.returncode != 0:
        raise Failed("%s ended with %d; see %s" % (argv[0], child.returncode, said))
    return time.monotonic() - begun, usage.ru_maxrss / 1024
