#!/usr/bin/env python3
"""What a start hashes, and how long it takes until it serves: complete data, and a download that had come half way.

restart.py [--gib N] [--runs N] [--program FILE]

1. A seed of --gib GiB (a tenth data, the rest holes) is hashed once, ended, and started again: seconds from the start to the first block in
   a peer's hands, and bytes hashed.
2. A download is ended in order half way, and started again: bytes hashed.
3. The same, killed.

Fails if a peer has nothing a second after a second start of the seed, if anything is hashed again after an end in order, or more than
32 MiB and a piece a file after a kill.
"""
import argparse
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
MIB = 1 << 20

parser = argparse.ArgumentParser()
parser.add_argument("--gib", type=int, default=10)
parser.add_argument("--runs", type=int, default=3)
parser.add_argument("--program", default=str(HERE.parent.parent / "target/release/shoal"))
options = parser.parse_args()
# It is started from other folders than this.
program = str(pathlib.Path(options.program).resolve())
LOCAL = ["--bind", "127.0.0.1", "--progress", "json"]
right = True


def start(*args):
    return subprocess.Popen([program, *map(str, args), *LOCAL], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def event(process, *names):
    for line in process.stderr:
        said = json.loads(line)
        if said.get("event") in names:
            return said
    sys.exit(f"{process.args} ended with {process.wait()}")


def end(process, number):
    process.send_signal(number)
    process.stderr.close()
    return process.wait()


def judge(what, is_right):
    global right
    right = right and is_right
    print(f"{what}{'' if is_right else '   <-- NOT SO'}", flush=True)


def create(folder, name, piece):
    subprocess.run([program, "create", "-f", str(folder / name), "-p", piece, "-o", str(folder / f"{name}.torrent")], check=True,
                   capture_output=True)


def complete(folder):
    with open(folder / "large", "wb") as file:
        # Holes cost a start next to nothing: a tenth is data.
        for _ in range(options.gib * 100):
            file.write(random.randbytes(MIB))
        file.truncate(options.gib << 30)
    create(folder, "large", "4MiB")
    for run in range(options.runs + 1):
        begun = time.monotonic()
        seed = start("seed", folder / "large.torrent", "-d", folder, "--port", "0", "--state-dir", folder / "state")
        said = event(seed, "seeding")
        port = said["message"].split()[-1]
        offered = time.monotonic() - begun
        peer = start("download", folder / "large.torrent", "-d", folder / f"peer-{run}", "--port", "0", "--peer",
                     f"127.0.0.1:{port}", "--state-dir", folder / "state-of-peer", "--limit-down", "8MiB")
        file = folder / f"peer-{run}" / "large"
        while not file.exists() or file.stat().st_blocks == 0:
            time.sleep(0.001)
        served = time.monotonic() - begun
        end(peer, signal.SIGKILL)
        end(seed, signal.SIGINT)
        what = f"{options.gib} GiB, start {run + 1}: {said['hashed_bytes']} bytes hashed, offered after {offered:.2f} s, a peer has some after {served:.2f} s"
        # The first start hashes all of it.
        judge(what, run == 0 or (said["hashed_bytes"] == 0 and served < 1))


def half(folder, number):
    files = 40
    (folder / "many").mkdir(exist_ok=True)
    for file in range(files):
        (folder / "many" / f"{file:02}").write_bytes(random.Random(file).randbytes(5 * MIB + file))
    create(folder, "many", "256KiB")
    seed = start("seed", folder / "many.torrent", "-d", folder, "--port", "0", "--state-dir", folder / "state")
    port = event(seed, "seeding")["message"].split()[-1]
    target = folder / f"half-{number}"
    args = ("download", folder / "many.torrent", "-d", target, "--port", "0", "--peer", f"127.0.0.1:{port}", "--state-dir",
            folder / "state-of-peer")
    peer = start(*args, "--limit-down", "32MiB")
    event(peer, "started")
    while event(peer, "progress")["done_bytes"] < 100 * MIB:
        pass
    end(peer, number)
    peer = start(*args)
    said = event(peer, "started")
    there = float(said["message"].split("/")[0])
    event(peer, "complete")
    end(seed, signal.SIGINT)
    most = 0 if number == signal.SIGINT else 32 * MIB + files * 256 * 1024
    what = f"half of 200 MiB, {signal.Signals(number).name}: {said['hashed_bytes'] / MIB:.1f} MiB hashed, {there} are there"
    judge(what, said["hashed_bytes"] <= most and there >= 90)


with tempfile.TemporaryDirectory(prefix="shoal-restart-") as folder:
    complete(pathlib.Path(folder))
    half(pathlib.Path(folder), signal.SIGINT)
    half(pathlib.Path(folder), signal.SIGKILL)
sys.exit(0 if right else 1)
