#!/usr/bin/env bash
# Lints with golangci-lint and .golangci.yml; where that cannot be obtained, with
# gofmt alone, and says so. Arguments go to golangci-lint, for example --fix.
set -uo pipefail
cd "$(dirname "$0")/.."

scripts/go-tool.sh golangci-lint run "$@" ./...
code=$?
if ((code != 75)); then
	exit "$code"
fi
echo "lint: golangci-lint is not obtainable here, so only gofmt looks" >&2
unformatted=$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l)
if [[ -n $unformatted ]]; then
	printf 'not gofmt-ed:\n%s\n' "$unformatted" >&2
	exit 1
fi
