#!/usr/bin/env bash
# Runs a Go tool that tools/go.mod pins: scripts/go-tool.sh NAME ARGS...
# The first use downloads and builds it (golangci-lint: about a minute and a half
# on two cores); the Go build cache keeps it. Exits with 75 when the tool cannot
# be had here, for example without a network.
set -uo pipefail
cd "$(dirname "$0")/.."

name=$1
shift
said=$(mktemp)
trap 'rm -f "$said"' EXIT

# -n prints the path of the built tool and does not run it.
if ! path=$(timeout "${TOOL_BUILD_LIMIT:-300}" go tool -modfile=tools/go.mod -n "$name" 2>"$said"); then
	echo "$name cannot be obtained here:" >&2
	tail -3 "$said" >&2
	exit 75
fi
"$path" "$@"
