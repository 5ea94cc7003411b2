#!/usr/bin/env bash
# Obtains the client libraries of other languages that the tests run, pinned, into .cache/clients: nothing is installed on
# the system. The argument is python or node; without one, both. What is there already is left alone.
#
# Ends with 0 when all is there, and with 75 when something cannot be had here: no interpreter, or no registry answers.
# The tests that need it then skip and say so. Any other code is a fault.
set -euo pipefail
cd "$(dirname "$0")/.."

python_packages=(redis==4.3.4 pymemcache==3.5.2)
# The same versions as packages of Debian 12, with what they import, tried first: it is quicker.
debian_packages=(python3-redis python3-pymemcache python3-deprecated python3-wrapt python3-async-timeout python3-packaging python3-six)
node_packages=(ioredis@6.0.0 redis@6.3.1)

unobtainable=75
into=$PWD/.cache/clients
mkdir -p "$into"
if (($# == 0)); then
	code=0
	for kind in python node; do
		"scripts/${0##*/}" "$kind" || code=$?
	done
	exit "$code"
fi
exec 9>"$into/lock"

missing() {
	echo "test clients: $1: $2" >&2
	return "$unobtainable"
}

# within SECONDS COMMAND... bounds a command, where the system has a program for that.
within() {
	if command -v timeout >/dev/null; then
		timeout "$@"
	else
		shift
		"$@"
	fi
}

# ready tells whether a folder holds exactly these packages.
ready() { [[ -f $into/$1/packages && $(<"$into/$1/packages") == "$2" ]]; }

# keep puts a finished folder in place, so that one half filled is never taken for whole.
keep() {
	echo "$2" >"$into/$1.new/packages"
	rm -rf "${into:?}/$1"
	mv "$into/$1.new" "$into/$1"
	echo "test clients: $1: $2"
}

from_debian() {
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return
	local folder=$into/python.deb
	rm -rf "$folder" && mkdir -p "$folder" || return
	(cd "$folder" && apt-get -qq download "${debian_packages[@]}") || return
	for package in "$folder"/*.deb; do
		dpkg-deb -x "$package" "$folder" || return
	done
	cp -r "$folder"/usr/lib/python3/dist-packages/. "$into/python.new" || return
	rm -rf "$folder"
}

from_pypi() {
	within 60 python3 -m pip install --quiet --no-input --retries 0 --target "$into/python.new" "${python_packages[@]}"
}

# imports tells whether what came works, in the versions wanted.
imports() {
	PYTHONPATH=$into/python.new python3 - "${python_packages[@]}" <<-END
		import sys, redis, redis.asyncio, pymemcache
		sys.exit([f"{m.__name__}=={m.__version__}" for m in (redis, pymemcache)] != sys.argv[1:])
	END
}

obtain_python() {
	ready python "${python_packages[*]}" && return
	command -v python3 >/dev/null || { missing python "python3 is not installed"; return; }
	: >"$into/python.log"
	for source in from_debian from_pypi; do
		rm -rf "$into/python.new" && mkdir -p "$into/python.new"
		if { "$source" && imports; } >>"$into/python.log" 2>&1; then
			keep python "${python_packages[*]}"
			return
		fi
	done
	missing python "neither Debian's packages nor PyPI have them; see $into/python.log"
}

obtain_node() {
	ready node "${node_packages[*]}" && return
	command -v node >/dev/null || { missing node "node is not installed"; return; }
	command -v npm >/dev/null || { missing node "npm is not installed"; return; }
	rm -rf "$into/node.new" && mkdir -p "$into/node.new"
	if ! within 100 npm install --prefix "$into/node.new" --no-audit --no-fund --ignore-scripts --fetch-retries 1 \
		"${node_packages[@]}" >"$into/node.log" 2>&1; then
		missing node "the npm registry does not answer; see $into/node.log"
		return
	fi
	keep node "${node_packages[*]}"
}

if command -v flock >/dev/null; then # one at a time
	flock 9
fi
case $1 in
python | node) "obtain_$1" ;;
*)
	echo "usage: install-test-clients.sh [python | node]" >&2
	exit 2
	;;
esac
