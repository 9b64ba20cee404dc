#!/usr/bin/env python3
"""Kills downloads with SIGKILL at random moments, checks what their journals claim, and has them go on to their end.

run.py [--kills N] [--jobs N] [--seed N] [--program FILE]

Each download is slowed by --limit-down, killed one to three times, and after each kill `check.py` hashes what the
journal claims. Then it goes on: it must complete right, have hashed no more than the last 32 MiB and a sample a file,
and leave nothing but the data. Beside them others of more than 32 MiB and of large pieces are slowed so much that no
piece is whole for many seconds before the kill: the same holds of them. Prints how far the downloads were when they
were killed. The seed reproduces the moments, as far as the machine does.
"""
import argparse
import filecmp
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
CHECK = HERE / "check.py"
MIB = 1 << 20

# Bytes a second while a download may be killed, and bytes in all: about two seconds.
RATE, SIZE = 8 * MIB, 16 * MIB
PIECES = ("32KiB", "128KiB", "1MiB")
# The slow ones: they come this far at the first rate, and then take 16 s a piece.
LARGE, LARGE_SIZE, LARGE_FAR, FAST, SLOW = "8MiB", 128 * MIB, 72 * MIB, 32 * MIB, MIB // 2
# A batch of a journal is 4 MiB or 200 ms; what comes besides is on its way there.
BATCH = 4 * MIB + RATE // 2

parser = argparse.ArgumentParser()
parser.add_argument("--kills", type=int, default=100)
parser.add_argument("--jobs", type=int, default=4)
parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
parser.add_argument("--program", default=str(HERE.parent.parent / "target/release/shoal"))
options = parser.parse_args()
# It is started from other folders than this.
options.program = str(pathlib.Path(options.program).resolve())

lock = threading.Lock()
fractions, hashed, hashed_slow, twice, failures = [], [], [], [], []
apart = 0
left = options.kills


def run(*args, cwd):
    return subprocess.run([options.program, *args], cwd=cwd, check=True, capture_output=True, text=True)


class Source:
    """Files, their torrent, and who seeds them."""

    def __init__(self, folder, piece, rng, sizes):
        self.folder, self.name = folder, f"data-{piece}"
        self.torrent = folder / f"{self.name}.torrent"
        top = folder / self.name
        top.mkdir()
        self.files = dict(zip("abc", sizes))
        for name, size in self.files.items():
            (top / name).write_bytes(rng.randbytes(size))
        run("create", self.name, "-p", piece, cwd=folder)
        self.piece = {"K": 1024, "M": MIB}[piece[-3]] * int(piece[:-3])
        self.seed = subprocess.Popen(
            [options.program, "seed", self.torrent, "--port", "0", "--bind", "127.0.0.1", "--progress", "json"],
            cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        for line in self.seed.stderr:
            event = json.loads(line)
            if event["event"] == "seeding":
                self.port = event["message"].rsplit(" ", 1)[1]
                break
        threading.Thread(target=self.seed.stderr.read, daemon=True).start()

    def download(self, target, *args):
        return subprocess.Popen(
            [options.program, "download", self.torrent, "-d", target, "--peer", f"127.0.0.1:{self.port}",
             "--port", "0", "--bind", "127.0.0.1", "--progress", "json", *args],
            cwd=target, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def check(source, target):
    done = subprocess.run([sys.executable, CHECK, source.torrent, target], capture_output=True, text=True)
    if done.returncode not in (0, 1) or not done.stdout:
        raise AssertionError(f"the checker failed: {done.stderr}")
    return json.loads(done.stdout)


def most_hashed(source):
    """Bytes that a start may hash after a kill: what was written last, and a sample a file."""
    return 32 * MIB + len(source.files) * source.piece


def kill(running, source, target):
    """Kills a download and answers what its journal claims; nothing if it was complete."""
    over = running.poll() is not None
    running.kill()
    running.stderr.read()
    running.wait()
    # One whose marker and journal are gone was complete, and only about to end.
    if over or os.listdir(target) == [source.name]:
        return None
    return check(source, target)


def go_on(source, target):
    """A download that was killed goes on to its end. Answers what was hashed at its start."""
    running = source.download(target)
    events = [json.loads(line) for line in running.stderr]
    assert running.wait() == 0, events[-3:]
    started = [event["hashed_bytes"] for event in events if event["event"] == "started"]
    assert all(n <= most_hashed(source) for n in started), started
    for name in source.files:
        assert filecmp.cmp(source.folder / source.name / name, target / source.name / name, shallow=False), name
    assert os.listdir(target) == [source.name], os.listdir(target)
    return started


def one_slow(source, rng):
    """A large download, killed far on and then once more when no piece was whole for some seconds."""
    global left, apart
    with tempfile.TemporaryDirectory(prefix="shoal-crash-") as target:
        target = pathlib.Path(target)
        with lock:
            left -= 2
        running = source.download(target, "--limit-down", f"{FAST // 1024}KiB")
        for line in running.stderr:
            event = json.loads(line)
            if event["event"] == "progress" and event["done_bytes"] >= LARGE_FAR:
                break
        found = [kill(running, source, target)]
        if found[0]:
            running = source.download(target, "--limit-down", f"{SLOW // 1024}KiB")
            time.sleep(rng.uniform(6, 9))
            found.append(kill(running, source, target))
        with lock:
            fractions.extend(claims["claimed"] / claims["pieces"] if claims else 1.0 for claims in found)
        # On a busy machine it was perhaps complete before anybody looked.
        if not all(found):
            return
        assert not any(claims["wrong"] for claims in found), f"false claims: {found}"
        before, after = found
        started = go_on(source, target)
        with lock:
            # Only such a one tells: no piece came, and more was there than may be hashed.
            apart += before["claimed"] == after["claimed"] and after["claimed"] * source.piece > most_hashed(source)
            hashed_slow.extend(started)


def one(source, rng):
    """One download, killed up to three times."""
    global left
    with tempfile.TemporaryDirectory(prefix="shoal-crash-") as target:
        target = pathlib.Path(target)
        share = 0.0
        for _ in range(rng.randint(1, 3)):
            with lock:
                if left <= 0:
                    return
                left -= 1
            running = source.download(target, "--limit-down", f"{RATE // 1024}KiB")
            time.sleep(rng.uniform(0.05, 0.1 + (1 - share) * SIZE / RATE))
            found = kill(running, source, target)
            if not found:
                with lock:
                    fractions.append(1.0)
                break
            share = found["claimed"] / found["pieces"]
            with lock:
                fractions.append(share)
                twice.append(found["unclaimed"] * source.piece)
            assert not found["wrong"], f"false claims: {found}"
            assert found["unclaimed"] * source.piece <= BATCH + source.piece, f"too much is fetched twice: {found}"
        started = go_on(source, target)
        with lock:
            hashed.extend(started)


def work(download, sources, seed):
    rng = random.Random(seed)
    while left > 0 and not failures:
        source = rng.choice(sources)
        try:
            download(source, rng)
        except AssertionError as error:
            with lock:
                failures.append(f"{source.name}: {error}")


def main():
    rng = random.Random(options.seed)
    print(f"seed {options.seed}, {options.kills} kills")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shoal-crashes-") as folder:
        sizes = (SIZE // 2 + 777, SIZE // 3, SIZE - SIZE // 2 - SIZE // 3)
        sources = [Source(pathlib.Path(folder), piece, rng, sizes) for piece in PIECES]
        large = Source(pathlib.Path(folder), LARGE, rng, (LARGE_SIZE // 2 + 777, LARGE_SIZE // 2))
        try:
            work_of = [(one, sources)] * options.jobs + [(one_slow, [large])]
            threads = [threading.Thread(target=work, args=(*of, rng.random())) for of in work_of]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            for source in [*sources, large]:
                source.seed.kill()
                source.seed.wait()
    inside = sum(0.05 <= share <= 0.95 for share in fractions)
    bars = [sum(int(min(share, 0.999) * 10) == tenth for share in fractions) for tenth in range(10)]
    print(f"{len(fractions)} kills in {time.monotonic() - began:.0f} s, {inside} of them between 5% and 95%; "
          f"by tenths: {bars}")
    print(f"fetched twice, at most: {max(twice, default=0) / MIB:.1f} MiB of {SIZE / MIB:.0f}; "
          f"hashed at a start, at most: {max(hashed, default=0) / MIB:.1f} MiB")
    print(f"slow ones of {LARGE_SIZE / MIB:.0f} MiB in pieces of {LARGE}: {len(hashed_slow)}, of which {apart} were far "
          f"on and had no piece whole for seconds before the kill; "
          f"hashed at a start, at most: {max(hashed_slow, default=0) / MIB:.1f} MiB")
    if inside < 0.6 * len(fractions):
        failures.append("too few kills fell into the middle: the machine is too slow or too fast for these rates")
    if apart == 0 and not failures:
        failures.append("no slow download was far enough, with no piece whole before the kill")
    for failure in failures:
        print(f"FAILED: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
