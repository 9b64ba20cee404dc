#!/usr/bin/env python3
"""What the journal costs the data path: downloads over loopback with and without it, in turns.

cost.py [--mib N] [--files N] [--pairs N] [--limit RATE] [--keep]

Works on a copy of what is committed (a git worktree within the target folder) in which the journal, the sync of the marker
and the seal are left out where SHOAL_BENCH_WITHOUT is set: so both sides are one program, laid out in memory alike. One seed stays up;
each pair is a download with and one without, in changing order, each into a new folder after a sync of all disks (with more than ten files, these stay until the end).
Prints wall and CPU seconds of the downloads (medians and minima) and the medians of the ratios of the pairs. Exits 1 if
the median ratio of the wall times is over 1.03. Run it on an idle machine: what else runs is measured too.
"""
import argparse
import itertools
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
BAR = 1.03
# ext4 looks long for inodes where many were freed in the last minutes: so many are removed after each run.
FEW = 10
LOCAL = ["--bind", "127.0.0.1", "--port", "0"]
SWITCH = 'if std::env::var_os("SHOAL_BENCH_WITHOUT").is_some() '
# File, text that stands in it exactly once, and what is put before it.
SWITCHES = [
    ("peer/src/torrent_task/start.rs", "    match Journal::begin(storage,", f"    {SWITCH}{{ return Ok(None); }}\n"),
    ("peer/src/disk/mod.rs", "        self.syncer.push_all([SyncJob::Marker(", f"        {SWITCH}{{ return; }}\n"),
    ("peer/src/disk/mod.rs", "        self.syncer.push_all([SyncJob::Seal(", f"        {SWITCH}{{ return; }}\n"),
]

parser = argparse.ArgumentParser()
parser.add_argument("--mib", type=int, default=1024)
parser.add_argument("--files", type=int, default=1)
parser.add_argument("--pairs", type=int, default=20)
parser.add_argument("--limit", help="a limit of the downloads, as --limit-down takes it")
parser.add_argument("--keep", action="store_true", help="use the program that was built the last time")
options = parser.parse_args()

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or TOP / "target").resolve()
TREE = TARGET / "cost"


def git(*args):
    subprocess.run(["git", "-C", TOP, *args], check=True, capture_output=True, text=True)


def build():
    """The program with the switch in it."""
    program = TARGET / "cost-shoal"
    if options.keep and program.exists():
        return program
    shutil.rmtree(TREE, ignore_errors=True)
    git("worktree", "prune")
    git("worktree", "add", "--detach", str(TREE), "HEAD")
    try:
        for name, text, before in SWITCHES:
            path = TREE / name
            code = path.read_text()
            if code.count(text) != 1:
                sys.exit(f"{text!r} is found {code.count(text)} times in {name}: mend this script")
            path.write_text(code.replace(text, before + text))
        environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET), "CARGO_INCREMENTAL": "0"}
        subprocess.run(["cargo", "build", "--release", "--locked", "-p", "shoal"], cwd=TREE, env=environment, check=True)
        shutil.copy(TARGET / "release" / "shoal", program)
    finally:
        shutil.rmtree(TREE, ignore_errors=True)
        git("worktree", "prune")
        # What is found there now is the changed one.
        (TARGET / "release" / "shoal").unlink(missing_ok=True)
    return program


def content(folder):
    each = options.mib * (1 << 20) // options.files
    for number in range(options.files):
        path = folder / f"{number % 10}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(each))


def download(program, torrent, port, target, without):
    os.sync()
    environment = os.environ | ({"SHOAL_BENCH_WITHOUT": "1"} if without else {})
    command = [program, "download", torrent, "--peer", f"127.0.0.1:{port}", "-d", target, *LOCAL, "--quiet"]
    command += ["--state-dir", target / "state"] + (["--limit-down", options.limit] if options.limit else [])
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    took = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"a download ended with {process.returncode}")
    return took, used.ru_utime + used.ru_stime


def main():
    program = build()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        source, torrent = work / "content", work / "content.torrent"
        content(source)
        subprocess.run([program, "create", "-f", source, "-p", "1MiB", "-o", torrent], check=True, capture_output=True)
        seed = subprocess.Popen([program, "seed", torrent, "-d", work, *LOCAL, "--state-dir", work / "state", "--progress", "json"],
                                stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        try:
            said = next((one for one in map(json.loads, seed.stderr) if one.get("event") == "seeding"), None)
            if said is None:
                sys.exit(f"the seed ended with {seed.wait()}")
            port = said["message"].split()[-1]
            # Read on: who writes into a full pipe waits.
            threading.Thread(target=seed.stderr.read, daemon=True).start()
            numbers = itertools.count()

            def run(without):
                target = work / f"to-{next(numbers)}"
                took = download(program, torrent, port, target, without)
                if options.files <= FEW:
                    shutil.rmtree(target)
                return took

            run(False)
            took = {False: [], True: []}
            for pair in range(options.pairs):
                for without in (False, True) if pair % 2 else (True, False):
                    took[without].append(run(without))
        finally:
            seed.terminate()
            seed.wait()
    for without, name in ((False, "with"), (True, "without")):
        for at, what in enumerate(("wall", "CPU")):
            seconds = [one[at] for one in took[without]]
            print(f"{name:8} {what:4} median {statistics.median(seconds):.3f} s, least {min(seconds):.3f} s")
    ratios = [statistics.median(a[at] / b[at] for a, b in zip(took[False], took[True])) for at in (0, 1)]
    print(f"with / without, median of {options.pairs} pairs: wall {ratios[0]:.3f}, CPU {ratios[1]:.3f}")
    return 0 if ratios[0] <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
