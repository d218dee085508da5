#!/usr/bin/env bash
# Makes docs/gallery.md: every chart of the project, drawn from a scenario of the project. Wants a
# built program and Node.js:
#   docs/gallery.sh [moesim, default build/release/moesim]
# Studies are kept in build/gallery, so a second run draws without simulating.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
moesim="${1:-build/release/moesim}"
studies=build/gallery
pictures=docs/images/gallery
page="$studies/gallery.md"
mkdir -p "$studies" "$pictures"

study() {  # $1: name, $2: scenario, the rest: settings for run
  local name="$1"
  shift
  "$moesim" run "$@" --out "$studies/$name" >/dev/null 2>"$studies/$name.log"
}

# One section of the page, and its picture.
show() {  # $1: chart, $2: study, $3: the command that makes it
  "$moesim" plot "$studies/$2" --chart "$1" --out "$pictures/$1.svg" >/dev/null
  printf '\n## %s\n\n%s\n\n`%s`, then `moesim plot out/%s --chart %s`\n\n![%s](images/gallery/%s.svg)\n' "$1" \
    "$("$moesim" list charts | sed -n "s/^ *$1  *//p" | sed 's/^./\U&/').'" "$3" "$2" "$1" "$1" "$1" | sed "s/\\.'/./" >>"$page"
}

cat >"$page" <<'END'
# Gallery

Every chart, each from a scenario of the project. `moesim run` puts those that a study has data for
into its `report.html`; `moesim plot STUDY --chart NAME` draws one as a page, SVG or PNG. The page is
made by `docs/gallery.sh`.
END

first="moesim run scenarios/first_run.json"
small="moesim run scenarios/first_run.json --set cluster.nodes=1 --set plan.expert_parallel=8"
study small scenarios/first_run.json --set cluster.nodes=1 --set plan.expert_parallel=8
study first_run scenarios/first_run.json
nodes="moesim run scenarios/nodes_for_50_ms.json --set cluster.price_per_gpu_hour=\"2 USD\""
study nodes_for_50_ms scenarios/nodes_for_50_ms.json --set 'cluster.price_per_gpu_hour="2 USD"'
ep="moesim run scenarios/ep_size_h800.json"
study ep_size_h800 scenarios/ep_size_h800.json
algorithms="moesim run scenarios/low_latency_or_normal.json"
study low_latency_or_normal scenarios/low_latency_or_normal.json
drift="moesim run scenarios/eplb_under_drift.json"
study eplb_under_drift scenarios/eplb_under_drift.json

show throughput_latency nodes_for_50_ms "$nodes"
show throughput_by_gpus nodes_for_50_ms "$nodes"
show cost_by_gpus nodes_for_50_ms "$nodes"
show exchanges_by_ep ep_size_h800 "$ep"
show crossover low_latency_or_normal "$algorithms"
show step_time_breakdown first_run "$first"
show wait_by_cause first_run "$first"
show rank_time first_run "$first"
show rank_load first_run "$first"
show balance_by_layer first_run "$first"
show expert_load_heat_map first_run "$first"
show memory_stack first_run "$first"
show busiest_links first_run "$first"
show link_use_heat_map small "$small"
show balance_over_time eplb_under_drift "$drift"
show step_time_over_time eplb_under_drift "$drift"
mv "$page" docs/gallery.md
echo "docs/gallery.md"
