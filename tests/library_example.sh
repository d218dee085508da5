#!/usr/bin/env bash
# Installs a build as a user would, builds docs/examples/ring_node against it and runs both of its
# parts: a topology from outside the tree, and a program that runs a scenario through the library.
#   tests/library_example.sh BUILD_FOLDER
set -euo pipefail
build="$(readlink -f "$1")"
example="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/docs/examples/ring_node"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

fail() { echo "FAILED: $*"; exit 1; }

cmake --install "$build" --prefix "$work/prefix" >/dev/null
cmake -G Ninja -S "$example" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="${CXX:-c++}" \
  -DCMAKE_CXX_FLAGS="${MOESIM_EXAMPLE_FLAGS-}" >"$work/log" || { cat "$work/log"; fail "cmake"; }
ninja -C "$work/build" >"$work/log" || { cat "$work/log"; fail "the example does not compile"; }

scenario="$example/ring_or_switch.json"
"$work/build/compare" "$scenario" 2>"$work/refusal" && fail "ran a topology that nobody has loaded"
grep -q 'unknown topology "ring_node"' "$work/refusal" || fail "another refusal: $(cat "$work/refusal")"

export MOESIM_PLUGINS="$work/build/libring_node.so"
"$work/build/compare" "$scenario" | tee "$work/library"
"$work/prefix/bin/moesim" run "$scenario" --out "$work/out" >/dev/null 2>"$work/log" || { cat "$work/log"; fail "moesim run"; }
"$work/prefix/bin/moesim" list topologies | grep -q ring_node || fail "moesim list does not know the plugin"

# The same figures both ways, and the ring is the slower one.
python3 - "$work/out/result.json" "$work/library" <<'PYTHON'
import json, sys
points = json.load(open(sys.argv[1]))["points"]
steps = {p["label"]: next(m["metric"]["value"] for m in p["metrics"] if m["name"] == "step_time") for p in points}
printed = {line.split()[0]: float(line.split()[2]) for line in open(sys.argv[2])}
assert steps["ring_node"] > steps["single_node"], steps
for label, seconds in steps.items():
    assert abs(printed[label] - 1e3 * seconds) < 0.01, (label, printed, steps)
PYTHON
echo "passed"
