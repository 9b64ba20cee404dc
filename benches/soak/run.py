#!/usr/bin/env python3
"""Has peers come and go for an hour, and tells whether memory and descriptors of those that stay are flat.

run.py [--minutes N] [--peers N] [--seed N] [--program FILE] [--csv FILE]

Who stays: a tracker, a seed of four torrents, a peer that has downloaded three of them and seeds on, and one that
downloads the fourth, a large one, all the time. Who comes and goes: `--peers` at a time, each downloads one of the
three at its own rate; it ends by itself, or is interrupted or killed on the way and goes on, or seeds a while. What
they downloaded is compared with the source.

Every ten seconds the memory (anonymous, and resident), descriptors and threads of those who stay are noted. The first
quarter is for warming up. Flat means: the median of the last quarter is at most a tenth and 2 MiB above that of the
second, in anonymous memory, and two above it in descriptors and threads.
"""
import argparse
import collections
import csv
import filecmp
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
MIB = 1 << 20
SMALL = {"few": [20 * MIB], "many": [40_000] * 300, "mixed": [7 * MIB, 1, 0, 3 * MIB + 5, 100]}
# So large that it outlasts the longest run at the rate at which it is downloaded.
LARGE, LARGE_RATE = 6 << 30, 512 << 10
EVERY = 10.0

parser = argparse.ArgumentParser()
parser.add_argument("--minutes", type=float, default=60)
parser.add_argument("--peers", type=int, default=10)
parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
parser.add_argument("--program", default=str(HERE.parent.parent / "target/release/shoal"))
parser.add_argument("--csv", help="write each reading into this file")
options = parser.parse_args()
# It is started from other folders than this.
program = str(pathlib.Path(options.program).resolve())

lock = threading.Lock()
counts, failures = collections.Counter(), []
over = threading.Event()


def start(name, folder, *args):
    """A process that stays, and the first line of its output that says where it listens."""
    log = folder / f"{name}.log"
    process = subprocess.Popen(
        [program, *map(str, args), "--progress", "json", "--log-file", log],
        cwd=folder, stdout=open(folder / f"{name}.out", "w"), stderr=subprocess.STDOUT, text=True)
    return process


def wait_for(file, pattern):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = re.search(pattern, file.read_text()) if file.exists() else None
        if found:
            return found[1]
        time.sleep(0.05)
    sys.exit(f"{file} does not say {pattern}:\n{file.read_text()[-2000:]}")


def reading(pid):
    """Anonymous and resident memory in KiB, descriptors, threads."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    field = lambda name: int(re.search(rf"^{name}:\s*(\d+)", status, re.M)[1])
    return field("RssAnon"), field("VmRSS"), len(os.listdir(f"/proc/{pid}/fd")), field("Threads")


def same(one, other):
    left = {p.relative_to(one): p for p in one.rglob("*") if p.is_file()} if one.is_dir() else {"": one}
    return all(filecmp.cmp(p, other / name if name else other, shallow=False) for name, p in left.items())


def come_and_go(number, folder, source, torrents):
    rng = random.Random(options.seed * 1000 + number)
    while not over.is_set():
        name = rng.choice(list(torrents))
        target = folder / f"peer-{number}"
        way = rng.choice(("complete", "complete", "interrupted", "killed", "seeding"))
        rate = rng.choice(("512KiB", "1MiB", "2MiB"))
        args = [program, "download", torrents[name], "-d", target, "--bind", "127.0.0.1", "--port", "0",
                "--limit-down", rate, "--quiet", "--state-dir", folder / f"state-{number}"]
        if way == "seeding":
            args += ["--seed-time", f"{rng.randrange(2, 40)}s", "--seed"]
        if way in ("interrupted", "killed"):
            process = subprocess.Popen(list(map(str, args)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            over.wait(rng.uniform(0.2, 8))
            process.send_signal(signal.SIGINT if way == "interrupted" else signal.SIGKILL)
            process.communicate()
        done = subprocess.run(list(map(str, args)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        right = done.returncode == 0 and same(source / name, target / name)
        with lock:
            counts[way] += 1
            if not right:
                failures.append(f"peer {number}, {name}, {way}: exit {done.returncode}: {done.stdout[-500:]}")
                over.set()
                return
        shutil.rmtree(target)
        over.wait(rng.uniform(0, 5))


def verdict(name, rows):
    """Prints a line a process; whether it is flat."""
    quarter = max(1, len(rows) // 4)
    second, last = rows[quarter:2 * quarter], rows[-quarter:]
    flat, parts = True, []
    for column, what, room in ((0, "anonymous KiB", 2048), (2, "descriptors", 2), (3, "threads", 2)):
        before, after = (statistics.median(row[column] for row in part) for part in (second, last))
        limit = before + room + (before / 10 if column == 0 else 0)
        flat = flat and after <= limit
        parts.append(f"{what} {before:.0f} -> {after:.0f} (most {max(row[column] for row in rows)})")
    print(f"{name}: {'flat' if flat else 'NOT FLAT'}: {'; '.join(parts)}")
    return flat


def main():
    print(f"seed {options.seed}, {options.minutes:g} minutes, {options.peers} peers", flush=True)
    with tempfile.TemporaryDirectory(prefix="shoal-soak-") as top:
        top = pathlib.Path(top)
        source, rng = top / "source", random.Random(options.seed)
        source.mkdir()
        stay = {"tracker": start("tracker", top, "tracker", "--http", "127.0.0.1:0")}
        announce = f"http://{wait_for(top / 'tracker.out', r'(127.0.0.1:[1-9][0-9]*)')}/announce"
        torrents = {}
        for name, sizes in {**SMALL, "large": None}.items():
            data = source / name
            if sizes is None:
                with open(data, "wb") as file:
                    file.truncate(LARGE)
            else:
                data.mkdir()
                for number, size in enumerate(sizes):
                    (data / f"{number}").write_bytes(rng.randbytes(size))
            torrents[name] = top / f"{name}.torrent"
            subprocess.run([program, "create", str(data), "-a", announce, "-o", str(torrents[name])],
                           check=True, capture_output=True)
        local = ("--bind", "127.0.0.1", "--port", "0")
        stay["seed"] = start("seed", top, "seed", *torrents.values(), "-d", source, *local, "--state-dir", top / "s1")
        wait_for(top / "seed.out", r'("seeding")')
        large = torrents.pop("large")
        stay["peer"] = start("peer", top, "download", *torrents.values(), "-d", top / "kept", "--seed", *local,
                             "--state-dir", top / "s2")
        stay["download"] = start("download", top, "download", large, "-d", top / "slow", *local, "--limit-down", LARGE_RATE,
                                 "--state-dir", top / "s3")
        threads = [threading.Thread(target=come_and_go, args=(n, top, source, torrents)) for n in range(options.peers)]
        rows = {name: [] for name in stay}
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        try:
            while time.monotonic() - begun < options.minutes * 60 and not over.wait(EVERY):
                for name, process in stay.items():
                    if process.poll() is not None:
                        failures.append(f"{name} ended with {process.returncode}: {(top / f'{name}.out').read_text()[-800:]}")
                        over.set()
                        break
                    rows[name].append(reading(process.pid))
        finally:
            over.set()
            for thread in threads:
                thread.join()
        for name, process in stay.items():
            process.send_signal(signal.SIGINT)
        for name, process in stay.items():
            code = process.wait(timeout=30)
            if code not in (0, 130):
                failures.append(f"{name} ended with {code}")
        took = time.monotonic() - begun
        print(f"{sum(counts.values())} came and went in {took:.0f} s: {dict(counts)}")
        if options.csv:
            with open(options.csv, "w", newline="") as file:
                out = csv.writer(file)
                out.writerow(("process", "seconds", "anonymous_kib", "resident_kib", "descriptors", "threads"))
                for name, list_ in rows.items():
                    out.writerows((name, round(EVERY * (n + 1)), *row) for n, row in enumerate(list_))
        flat = [verdict(name, list_) for name, list_ in rows.items() if list_]
        for failure in failures:
            print(failure)
        sys.exit(0 if all(flat) and flat and not failures else 1)


main()
