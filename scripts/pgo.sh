#!/usr/bin/env bash
# Makes cmd/nutmeg/default.pgo anew: what the compiler is told of where time goes. It comes from the benchmark's loads of
# small and middle-sized requests; go build uses it by itself.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/profiles"
CGO_ENABLED=0 go build -trimpath -tags profile -pgo=off -o "$dir/nutmeg" ./cmd/nutmeg
NUTMEG_PROFILES="$dir/profiles" go run ./bench -nutmeg "$dir/nutmeg" -subjects nutmeg-1 -calls=false -rounds 1 -time "${TIME:-4s}" \
	-only "${ONLY:-^(redis-(get|set)(-p16|-p64|-16k)?|redis-m(get|set).*|memcached-.*)$}"
go tool pprof -symbolize=none -proto "$dir"/profiles/*.prof >"$dir/default.pgo"
mv "$dir/default.pgo" cmd/nutmeg/default.pgo
ls -l cmd/nutmeg/default.pgo
