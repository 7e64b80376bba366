# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0
# What the programs share that are run by scripts/programs; sourced, not run, in the
# guest's Debian root. A program says plan(), runs something with inject(), says result()
# for each result, and finish(). It leaves no process behind.
#
# Environment: RECOVERY, PERCENT (of the forks that fail).

nr=0
bad=0
work=/tmp/program
mkdir -p "$work"
cd "$work" || exit 1

# plan NUMBER: of results.
plan()
{
	echo "# 1..$1"
}

note()
{
	echo "# # $*"
}

# result CODE NAME [FILE]: 0 is ok; the end of the file explains a failure.
result()
{
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "# ok $nr $2"
		return
	fi
	bad=1
	echo "# not ok $nr $2"
	[ -z "${3:-}" ] || tail -n 40 "$3" | sed 's/^/# # /'
}

finish()
{
	exit "$bad"
}

# inject [OPTION...] -- COMMAND...: one fork in some of the command's fails. 124 or 137 if it
# hangs.
inject()
{
	timeout -k 10 "${limit:-400}" fail-fork --per-fork --probability="$PERCENT" --times=-1 --verbose=0 --recovery="$RECOVERY" "$@"
}

# failures FILE: how many forks failed, as fail-fork has said there at last.
failures()
{
	sed -n 's/^fail-fork: .* watched, \([0-9]*\) failed.*/\1/p' "$1" | tail -n 1
}
