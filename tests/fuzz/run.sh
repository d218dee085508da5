#!/usr/bin/env bash
# Builds the fuzz targets (preset "sanitize": clang), replays each one's corpus, then fuzzes each for some seconds.
#   tests/fuzz/run.sh [seconds a target, default 5] [target ...]
# MOESIM_FUZZ_BUILT=1 takes the targets as they are. Corpora: tests/fuzz/corpus/<target>, and the golden and import files that the tests use. What a run
# finds lies in build/sanitize/fuzz/found/<target>. Exit code 1 when any target failed.
set -uo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." || exit 1
seconds="${1:-5}"
shift || true
build=build/sanitize
[[ -f $build/build.ninja ]] || cmake --preset sanitize >/dev/null || exit 1
[[ -n ${MOESIM_FUZZ_BUILT:-} ]] || cmake --build "$build" --target fuzz_targets || exit 1

# $1: target; prints the folders and files that its first inputs come from
seeds() {
  case $1 in
    safetensors) echo tests/data/golden/*/expected.safetensors ;;
    benchmark_log) echo tests/calibrate/logs/*.txt ;;
    torch_archive | zip) echo tests/data/imports/* ;;
    model_config) echo workloads/models/*.json tests/data/golden/*/config.json ;;
    json) echo scenarios/*.json workloads/models/*.json ;;
    scenario) echo scenarios/*.json ;;
  esac
}

failed=0
targets=("$@")
((${#targets[@]})) || targets=(tests/fuzz/*.cpp)
for source in "${targets[@]}"; do
  name="$(basename "$source" .cpp)"
  corpus="$build/fuzz/corpus/$name"
  found="$build/fuzz/found/$name"
  mkdir -p "$corpus" "$found"
  [[ -d tests/fuzz/corpus/$name ]] && cp -n tests/fuzz/corpus/"$name"/* "$corpus"/
  for file in $(seeds "$name"); do
    [[ -f $file ]] && cp -n "$file" "$corpus/$(basename "$(dirname "$file")")-$(basename "$file")"
  done
  log="$build/fuzz/$name.log"
  if "$build/fuzz_$name" "$corpus" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 \
    -artifact_prefix="$found/" -print_final_stats=1 >"$log" 2>&1; then
    printf '%-16s %10s inputs run, nothing found\n' "$name" \
      "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  else
    failed=1
    printf '%-16s FAILED; %s and %s\n' "$name" "$log" "$found"
    grep -m 3 -E 'ERROR|SUMMARY|terminate' "$log"
  fi
done
exit "$failed"
