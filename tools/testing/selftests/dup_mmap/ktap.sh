# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034
#
# What the shell tests here share; sourced, not run. A test says skip_all() or
# begin(), result() for each result, and finish().

module=dup_mmap_recovery
dir=/sys/kernel/debug/$module
here=$(cd "$(dirname "$0")" && pwd) || exit 1
nr=0
failed=0
tmp=

# A test that has something to put back defines it anew.
clean_up()
{
	:
}

# A shell that gives up exits with 2, which kselftest takes for an expected
# failure.
# shellcheck disable=SC2317 # called by the trap
at_exit()
{
	rc=$?
	trap - EXIT
	# Nothing was touched yet when everything is skipped.
	[ "$rc" = 4 ] || clean_up || rc=1
	[ -z "$tmp" ] || rm -rf "$tmp"
	case $rc in
	0|1|4)	exit "$rc" ;;
	*)	echo "Bail out! exit status $rc"; exit 1 ;;
	esac
}
trap at_exit EXIT
trap 'exit 1' HUP INT TERM

skip_all()
{
	echo "TAP version 13"
	echo "1..0 # SKIP $*"
	exit 4
}

# begin <number of results>, or begin - if the test prints its plan itself.
begin()
{
	tmp=$(mktemp -d) || exit 1
	echo "TAP version 13"
	[ "$1" = - ] || echo "1..$1"
}

note()
{
	echo "# $*"
}

# result <0 is ok> <name>: what is in $tmp/out explains a failure.
result()
{
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "ok $nr $2"
		return
	fi
	failed=$((failed + 1))
	echo "not ok $nr $2"
	[ ! -f "$tmp/out" ] || sed 's/^/# /' "$tmp/out"
}

finish()
{
	[ "$failed" = 0 ] || exit 1
	exit 0
}

# busybox modprobe has no dry run to ask whether it knows the module.
module_file()
{
	find /lib/modules/ -name "$module.ko*" 2> /dev/null | head -n 1
}

# modprobe where it knows the module, else the file itself.
insert()
{
	modprobe "$module" 2> /dev/null || insmod "$(module_file)"
}
