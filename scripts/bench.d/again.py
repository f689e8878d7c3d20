"""P8: going on with a large run, and looking at one.

A run of 10,000 tasks in layers is killed with 500 tasks left. Then, in turns: `ilchul up` in
the same home, timed from its start until it says that the first worker was dispatched, and
killed again there; `ilchul status`; and ninja on the same graph with nothing to do. Every
resume leaves a few more tasks done and uses up some of those that are left. Said is only
what is committed, so the time to the dispatch is that to its commit. It leaves out tmux
and worktrees.
"""
import os
import shutil
import signal
import subprocess
import time

from common import NULL, Failed, Series, repository, wait_until
from dag import JOBS, needs, ninja_file, plan

TASKS = 10000
LEFT = 500
PATIENCE = 600


def p8(bench):
    bench.say("\nP8: %d tasks: resume to the first dispatch, `status`, and ninja with nothing to do" % TASKS)
    if not shutil.which("ninja"):
        raise Failed("ninja isn't installed, and it is the other side")
    graph = list(needs("layered", TASKS))
    top = bench.fresh(bench.disk, "again")
    repo = repository(os.path.join(top, "repo"), 1, {"ilchul.yaml": plan(graph)})
    home = os.path.join(top, "h")
    env = bench.environment(top, ILCHUL_HOME=home)
    folder = os.path.join(top, "ninja")
    os.mkdir(folder)
    ninja_file(folder, graph, ": > $out")
    noop = ["ninja", "-j", str(JOBS)]
    subprocess.run(noop, cwd=folder, stdin=NULL, stdout=NULL, check=True)
    until(bench, repo, env, done=TASKS - LEFT)
    resume = Series("resume to the first dispatch", "ms", 1)
    status = Series("status", "ms", 1)
    ninja = Series("ninja no-op", "ms", 1)
    # One round that isn't counted fills the page cache for all of them.
    for number in range(-1, bench.runs):
        settle(home)
        took = {ninja: ran(noop, folder, None), status: ran([bench.binary, "status"], repo, env),
                resume: until(bench, repo, env, done=None)}
        if number >= 0:
            for series, seconds in took.items():
                series.add(seconds * 1e3)
    bench.ratio("P8", resume, ninja, 3.0)
    bench.ratio("P8", status, ninja, 2.0)


def ran(argv, folder, env):
    begun = time.monotonic()
    done = subprocess.run(argv, cwd=folder, env=env, stdin=NULL, stdout=NULL, check=False)
    wall = time.monotonic() - begun
    if done.returncode != 0:
        raise Failed("%s ended with %d" % (argv[0], done.returncode))
    return wall


def until(bench, repo, env, done):
    """Kills `up` after so many tasks, or after its first dispatch; the seconds that it had."""
    argv = [bench.binary, "up", "--session", "subprocess", "--workers", str(JOBS), "--output", "json"]
    begun = time.monotonic()
    with subprocess.Popen(argv, cwd=repo, env=env, stdin=NULL, stdout=subprocess.PIPE, stderr=NULL) as up:
        try:
            count = 0
            for line in up.stdout:
                if done is None and b'"worker.busy"' in line:
                    return time.monotonic() - begun
                count += b'"task.completed"' in line
                if done is not None and count >= done:
                    return time.monotonic() - begun
                if time.monotonic() - begun > PATIENCE:
                    break
            raise Failed("`ilchul up` ended, or never came so far")
        finally:
            up.send_signal(signal.SIGKILL)


def settle(home):
    """Waits until no worker of the killed life goes on: what it left doesn't share our time."""
    marks = home.encode()

    def alone():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/environ" % pid, "rb") as file:
                    found = b"ILCHUL_MAIL=" + marks in file.read()
            except OSError:
                continue
            # One that waits for its assignment waits for us.
            if found and not waits(home, pid):
                return False
        return True

    wait_until(alone, 30, "the workers of the killed life end", 0.05)


def waits(home, pid):
    with open("/proc/%s/environ" % pid, "rb") as file:
        mail = [word for word in file.read().split(b"\0") if word.startswith(b"ILCHUL_MAIL=")]
    folder = mail[0].partition(b"=")[2].decode()
    return not os.path.exists(os.path.join(folder, "assignment.json"))
