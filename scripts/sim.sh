#!/bin/sh
# Runs the simulation: SEEDS fresh seeds on all cores, or the one seed SEED with its trace if it fails.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go test -c -o "$dir/sim" ./internal/proxy
cd internal/proxy
if [ -n "${SEED:-}" ]; then
	"$dir/sim" -test.run '^TestSimulation$' -test.v -test.timeout 0 -sim.seed "$SEED"
else
	"$dir/sim" -test.run '^TestSimulation$' -test.v -test.timeout 0 -sim.progress -sim.seeds "${SEEDS:-1000}" \
		-sim.first "${FIRST:-$(date +%s)000000}" -sim.parallel "$(getconf _NPROCESSORS_ONLN)"
fi
