#!/usr/bin/env python3
"""Power cuts and disks that fail, as far as one machine can play them. Takes root, strace and loop devices.

disk.py power [--rounds N] [--program FILE]
    A download onto a filesystem in a file. At a random moment that file is copied, while nothing is being written to
    it, as the disk would be found after a power cut. The copy is mounted: nothing that the journal claims as synced may
    be wrong. With another boot id the download goes on from there, and must complete right.
disk.py sync [--rounds N] [--program FILE]
    From a random one on, every fdatasync fails (strace). The download must end with 5 and claim nothing that was to be
    synced. Then it goes on without that, and must complete right.
"""
import argparse
import filecmp
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid

HERE = pathlib.Path(__file__).resolve().parent
CHECK = HERE / "check.py"
MIB = 1 << 20
RATE, SIZE = 4 * MIB, 40 * MIB

parser = argparse.ArgumentParser()
parser.add_argument("kind", choices=("power", "sync"))
parser.add_argument("--rounds", type=int, default=20)
parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
parser.add_argument("--program", default=str(HERE.parent.parent / "target/release/shoal"))
options = parser.parse_args()
# It is started from other folders than this.
options.program = str(pathlib.Path(options.program).resolve())
rng = random.Random(options.seed)


def run(*args):
    return subprocess.run([str(arg) for arg in args], check=True, capture_output=True, text=True)


def check(torrent, target):
    done = subprocess.run([sys.executable, CHECK, torrent, target], capture_output=True, text=True)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


class Source:
    def __init__(self, folder):
        self.folder, self.top = folder, folder / "data"
        self.top.mkdir()
        for name in "abc":
            (self.top / name).write_bytes(rng.randbytes(SIZE // 3))
        self.torrent = folder / "data.torrent"
        run(options.program, "create", self.top, "-p", "64KiB", "-o", self.torrent)
        self.seed = subprocess.Popen(
            [options.program, "seed", self.torrent, "-d", folder, "--port", "0", "--bind", "127.0.0.1",
             "--state-dir", folder / "state", "--progress", "json"], stderr=subprocess.PIPE, text=True)
        event = next(e for e in map(json.loads, self.seed.stderr) if e["event"] == "seeding")
        # Read on: who writes into a full pipe waits.
        threading.Thread(target=self.seed.stderr.read, daemon=True).start()
        self.port = event["message"].rsplit(" ", 1)[1]

    def command(self, target, *args):
        return [options.program, "download", str(self.torrent), "-d", str(target), "--peer", f"127.0.0.1:{self.port}",
                "--port", "0", "--bind", "127.0.0.1", "--state-dir", str(self.folder / "state"),
                "--progress", "json", *args]

    def finish(self, target, boot=None):
        """Lets a download go on to its end, in another boot if one is given; what it hashed."""
        command = self.command(target)
        if boot:
            script = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
            command = ["unshare", "-m", "sh", "-c", script, boot, *command]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        for name in "abc":
            assert filecmp.cmp(self.top / name, target / "data" / name, shallow=False), name
        started = [e for e in map(json.loads, done.stderr.splitlines()) if e["event"] == "started"]
        return started[0]["hashed_bytes"]


def written(device):
    """Writes that a block device has completed, and those under way."""
    fields = pathlib.Path(f"/sys/block/{device}/stat").read_text().split()
    return fields[4], fields[8]


def power(source, folder):
    image, copy, at = folder / "image", folder / "copy", folder / "mounted"
    boot = folder / "boot"
    boot.write_text(f"{uuid.uuid4()}\n")
    at.mkdir(exist_ok=True)
    with open(image, "wb") as file:
        file.truncate(96 * MIB)
    run("mkfs.ext4", "-q", "-F", image)
    run("mount", "-o", "loop,commit=1", image, at)
    running = None
    try:
        device = pathlib.Path(run("findmnt", "-no", "SOURCE", at).stdout.strip()).name
        running = subprocess.Popen(source.command(at, "--limit-down", f"{RATE // MIB}MiB"), stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.5, SIZE / RATE - 0.5))
        while True:
            before = written(device)
            shutil.copyfile(image, copy)
            if before == written(device) and before[1] == "0":
                break
    finally:
        if running:
            running.kill()
            running.wait()
        run("umount", at)
    run("mount", "-o", "loop", copy, at)
    try:
        found = check(source.torrent, at)
        assert not found["wrong_synced"], found
        hashed = source.finish(at, str(boot))
    finally:
        run("umount", at)
    return f"{found['synced']} of {found['pieces']} pieces synced, {hashed / MIB:.1f} MiB hashed"


def sync(source, folder):
    target = folder / "target"
    target.mkdir()
    # The first ones are of the journal's own beginning and of the first sync.
    first = rng.randint(1, 4)
    inject = f"inject=fdatasync,fsync:error=EIO:when={first}+"
    command = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e", inject]
    done = subprocess.run(command + source.command(target, "--limit-down", "3MiB"), capture_output=True, text=True)
    assert done.returncode == 5, (done.returncode, done.stderr[-2000:])
    found = check(source.torrent, target)
    assert not found["wrong"] and found["claimed"] == found["synced"], found
    hashed = source.finish(target)
    shutil.rmtree(target)
    return f"from the {first}. on: {found['synced']} of {found['pieces']} pieces claimed, {hashed / MIB:.1f} MiB hashed"


def main():
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="shoal-disk-") as folder:
        folder = pathlib.Path(folder)
        source = Source(folder)
        try:
            for number in range(options.rounds):
                print(f"{number + 1}: {(power if options.kind == 'power' else sync)(source, folder)}", flush=True)
        finally:
            source.seed.kill()
            source.seed.wait()


if __name__ == "__main__":
    os.environ.pop("XDG_STATE_HOME", None)
    main()
