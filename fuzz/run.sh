#!/usr/bin/env bash
# Runs each target, or those that are named, for so many seconds under libFuzzer, and prints what each did.
# Usage: ./run.sh SECONDS [TARGET...]
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:?usage: ./run.sh SECONDS [TARGET...]}
shift
[ $# -gt 0 ] || set -- $(cd seeds && echo *)

# A nightly toolchain if there is one; else stable is let use the flags.
if rustup toolchain list 2>/dev/null | grep -q nightly; then
  cargo=(cargo +nightly)
else
  cargo=(cargo)
  export RUSTC_BOOTSTRAP=1
fi
"${cargo[@]}" fuzz build --fuzz-dir libfuzzer -s none >&2

found=0
printf '%-16s %12s %8s %10s  %s\n' target executions seconds a-second findings
for target; do
  corpus=libfuzzer/corpus/$target artifacts=libfuzzer/artifacts/$target
  mkdir -p "$corpus" "$artifacts"
  sources=("$corpus" "seeds/$target")
  case $target in bencode | metainfo) sources+=(../fixtures) ;; esac
  log=$(mktemp)
  ended=0
  "libfuzzer/target/$(rustc -vV | sed -n 's/^host: //p')/release/$target" "${sources[@]}" -artifact_prefix="$artifacts/" \
    -max_total_time="$seconds" -max_len=4096 -timeout=60 -print_final_stats=1 >"$log" 2>&1 || ended=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
  took=$(sed -n 's/^Done .* in \([0-9]*\) second.*/\1/p' "$log")
  if [ "$ended" -eq 0 ]; then
    finding=none
  else
    finding=$(grep -m1 -E 'panicked|ERROR|Test unit written' "$log" || echo "ended with $ended")
    found=1
  fi
  printf '%-16s %12s %8s %10s  %s\n' "$target" "${runs:-?}" "${took:-?}" "${rate:-?}" "$finding"
  [ "$ended" -eq 0 ] && rm "$log" || { tail -30 "$log" >&2; echo "whole log: $log" >&2; }
done
exit "$found"
