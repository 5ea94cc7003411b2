#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other, FUZZTIME each (30s).
# The arguments choose packages: scripts/fuzz.sh ./internal/resp
set -uo pipefail
cd "$(dirname "$0")/.."

time=${FUZZTIME:-30s}
failed=()
# A package that does not compile would otherwise just have no targets.
list=$(go test -list '^Fuzz' "${@:-./...}") || { printf '%s\n' "$list" >&2; exit 1; }

# go test -list prints a package's targets and then "ok", its name and a time.
targets=()
while read -r first package _; do
	case $first in
	Fuzz*) targets+=("$first") ;;
	ok)
		for target in "${targets[@]}"; do
			echo "== $package $target, $time"
			go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" || failed+=("$package $target")
		done
		targets=()
		;;
	esac
done <<<"$list"

if ((${#failed[@]})); then
	printf 'FAILED: %s\n' "${failed[@]}" >&2
	exit 1
fi
