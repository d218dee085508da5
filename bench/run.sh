#!/usr/bin/env bash
# Builds the benchmarks, runs them and prints the figures of docs/performance.md. Everything is warm:
# each command runs before it is timed. Anonymous memory (RssAnon) is read in a run of its own.
#   bench/run.sh [output folder, default build/bench]
# MOESIM_BUILD names a configured build folder to take instead of build/release.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
out="${1:-build/bench}"
mkdir -p "$out"

./moesim setup develop
build="${MOESIM_BUILD:-build/release}"
[[ -n ${MOESIM_BUILD:-} ]] || cmake --preset release >/dev/null
programs=()
for source in bench/*.cpp; do programs+=("bench_$(basename "$source" .cpp)"); done
ninja -C "$build" moesim "${programs[@]}"

# 320 ranks x 128 tokens of 58 MoE layers with 256 experts, top-8, Zipf exponent 0.5.
export MOESIM_BENCH_TRACE="$out/trace.safetensors"
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1  # as `moesim run` starts its workers
[[ -s $MOESIM_BENCH_TRACE ]] || "$build"/bench_make_trace "$MOESIM_BENCH_TRACE" 40960 58 256 8 0.5 1
cp bench/decode_320.json "$out"

most_anonymous_memory() {  # of the command given, in the process it forks for the point: kB, sampled every 2 ms
  local most=0 key value
  "$@" <"$out/work.json" >/dev/null &
  local pid=$! child
  while kill -0 "$pid" 2>/dev/null; do
    for child in "$pid" $(cat "/proc/$pid/task/$pid/children"); do
      while read -r key value _; do
        if [[ $key == RssAnon: ]] && ((value > most)); then most=$value; fi
      done <"/proc/$child/status" || break
    done
    sleep 0.002
  done 2>/dev/null
  wait "$pid"
  echo "$most"
}

whole_process() {  # $1: what, the rest: settings; prints one row
  local what="$1" times memory
  shift
  # A point's file is named by its key: one run makes it, then a worker is told to make it again.
  rm -rf "$out/run"
  "$build"/moesim run "$out/decode_320.json" "$@" --jobs 1 --out "$out/run" >/dev/null 2>&1
  printf '{"point": 0, "trace": "%s", "out": "%s"}\n' "$MOESIM_BENCH_TRACE" "$(find "$out/run/points" -name '*.json' ! -name '*.wall.json')" >"$out/work.json"
  set -- "$build"/moesim worker "$out/decode_320.json" "$@"
  hyperfine --warmup 1 --runs "${runs:-10}" --style none --export-csv "$out/times.csv" "$* <$out/work.json" >/dev/null
  times="$(tail -n 1 "$out/times.csv" | awk -F, '{ printf "%.3f s (%.3f to %.3f)", $4, $7, $8 }')"
  memory="$(most_anonymous_memory "$@")"
  printf '| %s | %s | %s MB |\n' "$what" "$times" "$((memory / 1000))"
}

printf '\n%s, %s cores\n\n' "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)"
printf '| whole process | median (least to most) | RssAnon |\n|---|---|---|\n'
whole_process "one decode step, 61 layers, 320 ranks, \`bound\`"
whole_process "the same with EPLB" --set plan.placement=eplb
whole_process "the same with \`links\`" --set fidelity=links
whole_process "the same with \`auto\`" --set fidelity=auto
whole_process "the same with \`deepep_normal\`" --set plan.all_to_all=deepep_normal
whole_process "144 ranks, \`auto\`" --set cluster.nodes=18 --set plan.expert_parallel=144 --set plan.redundant_experts=32 --set fidelity=auto
more_ranks() { printf '%s\n' --set cluster.nodes=$(($1 / 8)) --set plan.expert_parallel="$1" --set plan.redundant_experts=$(($1 - 256)) \
  --set workload.requests_per_rank=64 --set plan.max_tokens_per_rank=64; }
mapfile -t at_1024 < <(more_ranks 1024)
mapfile -t at_4096 < <(more_ranks 4096)
whole_process "1024 ranks, 64 tokens a rank" "${at_1024[@]}"
runs=3 whole_process "4096 ranks, 64 tokens a rank" "${at_4096[@]}"
printf '\n'
for program in "${programs[@]}"; do
  if [[ $program == bench_make_trace ]]; then continue; fi
  printf '%s\n' "$program"
  "$build/$program" --benchmark_min_time=0.5 2>/dev/null
done
# The same MoE blocks in torch, from the file that bench_forward_layers wrote.
/usr/bin/python3 bench/torch_moe.py "${MOESIM_BENCH_MODEL:-/tmp/moesim_bench_olmoe_layers}"
