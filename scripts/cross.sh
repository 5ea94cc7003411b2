#!/usr/bin/env bash
# Builds the daemon for every system it is meant to run on, or for those named as
# arguments, as static as each allows, and throws the results away.
set -uo pipefail
cd "$(dirname "$0")/.."

systems=(
	linux/amd64 linux/arm64 darwin/arm64 darwin/amd64 freebsd/amd64
	openbsd/amd64 netbsd/amd64 dragonfly/amd64 illumos/amd64 solaris/amd64
)
if (($#)); then
	systems=("$@")
fi
failed=()
for system in "${systems[@]}"; do
	if CGO_ENABLED=0 GOOS=${system%/*} GOARCH=${system#*/} go build -trimpath -o /dev/null ./cmd/nutmeg; then
		echo "ok      $system"
	else
		failed+=("$system")
		echo "FAILED  $system"
	fi
done
((${#failed[@]} == 0))
