#!/usr/bin/env bash
# Looks for known vulnerabilities in what the module links. The database is on
# the network; without it there is nothing to say, which is no failure.
set -uo pipefail
cd "$(dirname "$0")/.."

said=$(mktemp)
trap 'rm -f "$said"' EXIT
scripts/go-tool.sh govulncheck ./... 2>&1 | tee "$said"
code=${PIPESTATUS[0]}
if ((code == 75)) || { ((code != 0)) && grep -q 'fetching vulnerabilities' "$said"; }; then
	echo "vuln: not checked, because the tool or its database is out of reach" >&2
	exit 0
fi
exit "$code"
