#!/usr/bin/env bash
# All that has to pass: tools, lint, vet, vulnerabilities, builds for other systems, tests with the race detector. Goes on
# after a failure, so that one run shows everything, and fails at the end.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=()
step() {
	echo "== $*"
	"$@" || failed+=("$*")
}

export PATH=$PATH:/usr/sbin:/usr/local/sbin
step scripts/install-test-tools.sh
scripts/install-test-clients.sh || echo "some client libraries are not to be had here: their tests will be skipped" >&2
step scripts/lint.sh
step go vet ./...
step scripts/vuln.sh
step scripts/cross.sh darwin/arm64 freebsd/amd64 illumos/amd64 # one of each kind: make cross builds all
step go test -race -timeout 30m ./...

if ((${#failed[@]})); then
	printf 'FAILED: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo "all passed"
