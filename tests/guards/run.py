#!/usr/bin/env python3
"""Takes guards out one at a time and demands that the test that is named for each fails then.

run.py [--only WORD] [--list FILE] [--texts]

Works on a copy of what is committed (a git worktree within the target folder), so nothing of this tree is touched. Each
test must pass as things are; with its guard's text replaced it must be compiled, run and fail. A guard whose text is not
found exactly once is an error: the list (guards.toml) has fallen behind the code. Prints a table; exits 1 unless all is so.
Takes some minutes: each guard has its package compiled anew. With --texts it is only seen whether all texts are there.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
# Longer than any of these tests takes together with its compilation. One that hangs has not failed: it says nothing.
PATIENCE = 900

parser = argparse.ArgumentParser()
parser.add_argument("--only", default="", help="guards whose name or file has this in it")
parser.add_argument("--list", default=HERE / "guards.toml", type=pathlib.Path)
parser.add_argument("--texts", action="store_true", help="run nothing, only look for the texts")
options = parser.parse_args()

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or TOP / "target").resolve()
TREE = TARGET / "guards"


def git(*args):
    subprocess.run(["git", "-C", TOP, *args], check=True, capture_output=True, text=True)


def remove_tree():
    shutil.rmtree(TREE, ignore_errors=True)
    git("worktree", "prune")


def cargo_test(package, tests):
    """Runs these tests of a package; the end of its output, and what became of each that was run."""
    # Unoptimized: it is compiled for each guard and run once.
    fast = [f"profile.dev.package.{package}.opt-level=0", f"profile.dev.package.{package}.debug=false"]
    command = ["cargo", "test", "--locked", "-p", package, "--lib", *sum((["--config", one] for one in fast), []),
               "--", "--exact", *tests]
    environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET), "CARGO_INCREMENTAL": "0"}
    done = subprocess.run(command, cwd=TREE, env=environment, timeout=PATIENCE, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    # What a test prints may come between its name and its end.
    ended = dict(re.findall(r"^test (\S+)(?: - should panic)? \.\.\. .*?(ok|FAILED)$", done.stdout, re.M))
    for failed in re.findall(r"^    (\S+)$", done.stdout.rpartition("\nfailures:\n")[2], re.M):
        ended[failed] = "FAILED"
    return done.stdout, ended


def replaced(guard):
    path = TREE / guard["file"]
    text = path.read_text() if path.exists() else ""
    found = text.count(guard["text"])
    if found != 1:
        raise LookupError(f"its text is found {found} times in {guard['file']}: mend {options.list.name}")
    return path, text, text.replace(guard["text"], guard["without"])


def without(guard):
    """Whether its test fails without it, and what there is to say of it."""
    path, text, changed = replaced(guard)
    path.write_text(changed)
    try:
        output, ended = cargo_test(guard["package"], [guard["test"]])
    except subprocess.TimeoutExpired:
        return False, "hangs"
    finally:
        path.write_text(text)
    verdict = ended.get(guard["test"])
    if verdict is None:
        errors = [line for line in output.splitlines() if line.startswith("error")]
        return False, f"not run: {'; '.join(errors[:2]) or output[-300:]}"
    return verdict == "FAILED", "fails" if verdict == "FAILED" else "STILL PASSES"


def main():
    guards = tomllib.loads(options.list.read_text())["guard"]
    guards = [guard for guard in guards if options.only in guard["name"] + guard["file"]]
    remove_tree()
    git("worktree", "add", "--detach", str(TREE), "HEAD")
    good = bool(guards)
    try:
        for guard in guards:
            replaced(guard)
        if options.texts:
            print(f"{len(guards)} guards are where they should be")
            return 0 if good else 1
        passes = {}
        for package in dict.fromkeys(guard["package"] for guard in guards):
            _, ended = cargo_test(package, [guard["test"] for guard in guards if guard["package"] == package])
            passes |= {(package, test): verdict for test, verdict in ended.items()}
        print("| guard | in | without it, its test | seconds |\n|---|---|---|---|", flush=True)
        for guard in guards:
            began = time.monotonic()
            if passes.get((guard["package"], guard["test"])) == "ok":
                fails, said = without(guard)
            else:
                fails, said = False, "DOES NOT PASS WITH IT"
            good &= fails
            test = guard["test"].rpartition("::")[2]
            print(f"| {guard['name']} | `{guard['file']}` | `{test}` {said} | {time.monotonic() - began:.0f} |", flush=True)
    except LookupError as error:
        print(f"{guard['name']}: {error}", file=sys.stderr)
        good = False
    finally:
        remove_tree()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
