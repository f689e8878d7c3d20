"""P13: a thousand tasks that do nothing on a Slurm of four nodes, against Slurm's own two ways.

The sides run in turns on one cluster that this starts and ends; so does a chain of tasks, for the
time from a worker's report to the submit that follows from it. What a batch loop and a job array
don't do (claims, terminals, evidence, a journal) is in the ratio: it is the price of these. It
leaves out a busy cluster, where waiting hides everything here.
"""
import glob
import os
import resource
import shutil
import subprocess
import tempfile
import time

from common import Failed, Series, repository, timed, wait_until

TASKS = 1000
CHAIN = 30
CLUSTER = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "slurm-cluster")


def p13(bench):
    if not shutil.which("slurmctld", path=os.environ.get("PATH", "") + ":/usr/sbin"):
        raise Failed("Slurm isn't installed: scripts/slurm-cluster install")
    bench.say("\nP13: %d x true on four nodes of 8 processors" % TASKS)
    folder = tempfile.mkdtemp(prefix="ilsb", dir="/tmp")
    try:
        conf = subprocess.run([CLUSTER, "start", folder], check=True, stdout=subprocess.PIPE, text=True)
        os.environ["SLURM_CONF"] = conf.stdout.strip()
        measure(bench)
    finally:
        subprocess.run([CLUSTER, "stop", folder], check=False)
        os.environ.pop("SLURM_CONF", None)
        shutil.rmtree(folder, ignore_errors=True)


def measure(bench):
    home = bench.fresh(bench.disk, "slurm")
    lines = "".join("  t%d: { run: 'true' }\n" % number for number in range(TASKS))
    plan = (
        "version: 1\ndefaults: { workspace: none }\nslurm: { poll: 2s, submit_every: 5ms }\n"
        "limits: { workers: 32 }\ntasks:\n" + lines
    )
    repo = repository(os.path.join(home, "repo"), 1, {"ilchul.yaml": plan})
    sides = {"ilchul": lambda: ilchul(bench, home, repo), "sbatch loop": loop, "job array": array}
    wall = {name: Series(name, "s") for name in sides}
    own = Series("ilchul's own CPU, with its sbatch and squeue", "ms/task")
    gaps = Series("from a report to the next submit", "ms", 0)
    for _ in range(min(bench.runs, 2)):
        for name, side in sides.items():
            seconds, cpu = side()
            wall[name].add(seconds)
            if name == "ilchul":
                own.add(cpu * 1e3 / TASKS)
        for gap in chain(bench, home):
            gaps.add(gap * 1e3)
    peak = Series("the peak of its memory", "MiB", 1)
    peak.add(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
    bench.ratio("P13", wall["ilchul"], wall["sbatch loop"], 4.0)
    bench.say("     for comparison: %s" % wall["job array"])
    bench.say("     ilchul over the job array: %.2f x" % (wall["ilchul"].median / wall["job array"].median))
    for series in (own, peak, gaps):
        bench.say("     for comparison: %s" % series)


def ilchul(bench, home, repo):
    top = bench.fresh(home, "run")
    env = bench.environment(home, ILCHUL_HOME=os.path.join(top, "h"), SLURM_CONF=os.environ["SLURM_CONF"])
    before = os.times()
    with open(os.path.join(top, "said"), "wb") as said:
        wall, cpu, code = timed([bench.binary, "up", "--session", "slurm"], patience=1200, cwd=repo, env=env,
                                stdout=said, stderr=said)
    if code != 0:
        raise Failed("ilchul up ended with %d" % code)
    after = os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def chain(bench, home):
    """Tasks one after the other: how long after each one's report the next one was submitted."""
    lines = "".join(
        "  t%d: { run: 'true'%s }\n" % (number, ", needs: [t%d]" % (number - 1) if number else "")
        for number in range(CHAIN)
    )
    plan = "version: 1\ndefaults: { workspace: none }\nslurm: { poll: 2s }\ntasks:\n" + lines
    top = bench.fresh(home, "chain")
    repo = repository(os.path.join(top, "repo"), 1, {"ilchul.yaml": plan})
    env = bench.environment(home, ILCHUL_HOME=os.path.join(top, "h"), SLURM_CONF=os.environ["SLURM_CONF"])
    with open(os.path.join(top, "said"), "wb") as said:
        code = timed([bench.binary, "up", "--session", "slurm"], patience=600, cwd=repo, env=env,
                     stdout=said, stderr=said)[2]
    if code != 0:
        raise Failed("the chain ended with %d" % code)
    [run] = glob.glob(os.path.join(top, "h", "runs", "*"))
    name = os.path.basename(run)

    def written(path):
        return os.stat(os.path.join(run, path)).st_mtime_ns / 1e9
    for number in range(CHAIN - 1):
        submitted = written("slurm/ilchul.%s.t%d.1/job" % (name, number + 1))
        yield submitted - written("mail/t%d.1/report.json" % number)


def left(name):
    said = subprocess.run(["squeue", "--me", "-h", "-r", "-n", name, "-o", "%A"], stdout=subprocess.PIPE, text=True)
    return len(said.stdout.split())


def through(name, submit):
    began = time.monotonic()
    submit(["sbatch", "--parsable", "-J", name, "-o", "/dev/null"])
    wait_until(lambda: left(name) == 0, 1200, "the end of all jobs", every=0.2)
    return time.monotonic() - began, 0.0


def loop():
    def submit(command):
        for _ in range(TASKS):
            subprocess.run(command + ["--wrap", "true"], check=True, stdout=subprocess.DEVNULL)
    return through("loop", submit)


def array():
    def submit(command):
        subprocess.run(command + ["--array=0-%d" % (TASKS - 1), "--wrap", "true"], check=True,
                       stdout=subprocess.DEVNULL)
    return through("array", submit)
