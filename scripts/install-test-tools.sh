#!/usr/bin/env bash
# Installs the programs that the tests start: real servers, the original proxy
# and their command line tools. Where it cannot, it says what is missing and how
# to get it, and lets the tests that need it fail.
set -euo pipefail

# program:Debian package
needed=(
	redis-server:redis-server
	redis-cli:redis-tools
	redis-benchmark:redis-tools
	memcached:memcached
	memcping:libmemcached-tools
	nutcracker:nutcracker
)

# Debian keeps some daemons where a user's PATH does not look.
PATH=$PATH:/usr/sbin:/usr/local/sbin

find_missing() {
	programs=() packages=()
	for pair in "${needed[@]}"; do
		if ! command -v "${pair%%:*}" >/dev/null; then
			programs+=("${pair%%:*}")
			packages+=("${pair##*:}")
		fi
	done
	if ((${#packages[@]})); then
		mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
	fi
}

# as_root prints the prefix that makes a command run as root, or fails.
as_root() {
	if [[ $(id -u) == 0 ]]; then
		echo env
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		echo "sudo -n env"
	else
		return 1
	fi
}

# install asks Debian's tools not to start the daemons: the tests start their own.
install() {
	local root policy=/usr/sbin/policy-rc.d
	root=$(as_root) || { echo "not root, and sudo would ask for a password" >&2; return 1; }
	command -v apt-get >/dev/null || { echo "no apt-get here" >&2; return 1; }
	if [[ ! -e $policy ]]; then
		# shellcheck disable=SC2064 # expanded now on purpose
		trap "$root rm -f $policy" EXIT
		printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null
		$root chmod +x "$policy"
	fi
	$root DEBIAN_FRONTEND=noninteractive apt-get -qq update || true
	for package in "${packages[@]}"; do # one at a time: one that does not exist must not stop the others
		$root DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$package" >/dev/null || true
	done
}

find_missing
if ((${#programs[@]} == 0)); then
	echo "test tools: all installed"
	exit 0
fi
echo "test tools: installing ${packages[*]}, for ${programs[*]}"
install || true
find_missing
if ((${#programs[@]} == 0)); then
	exit 0
fi
cat >&2 <<EOF
test tools: MISSING ${programs[*]}
  Debian, Ubuntu:  sudo apt-get install ${packages[*]}
  elsewhere:       install Redis 6.2 or newer, memcached, libmemcached's tools and
                   twemproxy, so that these programs are in PATH
The tests that need them will fail and say so.
EOF
