"""P9: how soon a report is acted on, and what waiting costs.

No probe stands inside ilchul. What is seen from outside is the first write to the
journal's write-ahead log after the rename of a report: in it are the wake-up, reading,
deciding, inserting, and the wake-up of the watch that saw the write. That last one is
what the raw side measures by itself, so its median is taken off once.
It leaves out many reports at once.
"""
import json
import os
import subprocess
import time

from common import NULL, Failed, Series, cpu_of, repository, wait_until, workflow

WORKERS = 32
REPORTS = 60
IDLE_SECONDS = 20


def p9(bench):
    bench.say("\nP9: rename of a report to the journal; a supervisor with %d beating workers" % WORKERS)
    top = bench.fresh(bench.disk, "wake")
    plan = workflow(WORKERS, "subprocess", "none", "sleep 3600", WORKERS)
    repo = repository(os.path.join(top, "repo"), 1, {"ilchul.yaml": plan})
    home = os.path.join(top, "h")
    env = bench.environment(top, ILCHUL_HOME=home)
    with open(os.path.join(top, "said"), "wb") as said:
        up = subprocess.Popen([bench.binary, "up", "--session", "subprocess", "--workers", str(WORKERS)],
                              cwd=repo, env=env, stdin=NULL, stdout=said, stderr=said)

    def end():
        if up.returncode is None:
            subprocess.run([bench.binary, "down", "--force"], cwd=repo, env=env, stdin=NULL, stdout=NULL,
                           stderr=NULL, timeout=60, check=False)
            if up.poll() is None:
                up.terminate()
            up.wait()

    bench.enders.append(end)
    mail = wait_until(lambda: mail_of(home, WORKERS), 60, "all workers beat")
    idle(bench, up)
    latency(bench, top, home, mail)
    end()


def mail_of(home, workers):
    """The mail folder of the one run, once `workers` workers have beaten in it."""
    runs = os.path.join(home, "runs")
    for run in os.listdir(runs) if os.path.isdir(runs) else []:
        mail = os.path.join(runs, run, "mail")
        beats = [os.path.join(mail, "t%03d.1" % number, "heartbeat.json") for number in range(workers)]
        if all(os.path.exists(beat) for beat in beats):
            return mail
    return None


def idle(bench, up):
    # Starting 32 workers isn't idleness: let it come to rest first.
    time.sleep(3)
    share = Series("ilchul idle", "% of a core")
    for _ in range(4):
        begun, before = time.monotonic(), cpu_of(up.pid)
        time.sleep(IDLE_SECONDS / 4)
        share.add((cpu_of(up.pid) - before) / (time.monotonic() - begun) * 100)
    if up.poll() is not None:
        raise Failed("the supervisor ended while it was measured")
    bench.limit("P9", share, 1.0, "%")


def latency(bench, top, home, mail):
    argv = [bench.floor, "wake", os.path.join(top, "raw"), os.path.join(mail, "t000.1"),
            os.path.join(home, "journal.db-wal"), str(REPORTS)]
    found = json.loads(subprocess.run(argv, stdin=NULL, stdout=subprocess.PIPE, check=True).stdout)
    raw = Series("raw watch", "us", 0)
    raw.values = found["raw_us"]
    whole = Series("to the log's first write, as seen", "us", 0)
    whole.values = found["journal_us"]
    bench.say("     %s" % whole)
    ours = Series("ilchul to journal", "us", 0)
    ours.values = [value - raw.median for value in whole.values]
    bench.ratio("P9", ours, raw, 3.0)
