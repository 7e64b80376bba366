#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Load and unload the module while others fork, with and without failures armed.
# Unloading has to wait for forks inside of it and must not disturb any.

# A shell that gives up exits with 2, which kselftest takes for an expected
# failure.
tmp=
loop=
ko=
was_loaded=
# shellcheck disable=SC2317 # called by the trap
finish()
{
	rc=$?
	trap - EXIT
	exec 3<&-
	[ -z "$loop" ] || kill "$loop" 2>/dev/null
	[ -z "$tmp" ] || rm -rf "$tmp"
	if [ "$was_loaded" = y ] && [ ! -d "$dir" ]; then
		insert || rc=1
	elif [ "$was_loaded" = n ] && [ -d "$dir" ]; then
		rmmod "$module"
	fi
	[ ! -d "$dir" ] || echo 1 > "$dir/reset"
	case $rc in
	0|1|4)	exit "$rc" ;;
	*)	echo "Bail out! exit status $rc"; exit 1 ;;
	esac
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

module=dup_mmap_recovery
dir=/sys/kernel/debug/$module
fail=$dir/fail_dup_mmap
cycles=8
nr=0
failed=0

skip_all()
{
	echo "TAP version 13"
	echo "1..0 # SKIP $*"
	exit 4
}

# result <0 is ok> <name>
result()
{
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "ok $nr $2"
	else
		failed=$((failed + 1))
		echo "not ok $nr $2"
	fi
}

note()
{
	echo "# $*"
}

# modprobe where it knows the module, else the file itself.
insert()
{
	modprobe "$module" 2>/dev/null || insmod "$ko"
}

load()
{
	insert || { note "loading: exit status $?"; return 1; }
	[ -d "$dir" ] || { note "no $dir after modprobe"; return 1; }
}

# The message is checked by those who expect one.
unload()
{
	unload_said=$(rmmod "$module" 2>&1)
	unload_rc=$?
	[ -z "$unload_said" ] || note "rmmod: $unload_said"
	return "$unload_rc"
}

is_gone()
{
	[ ! -d "$dir" ] || { note "$dir is still there"; return 1; }
	! grep -q "^$module " /proc/modules || { note "still in /proc/modules"; return 1; }
}

# A fork that must work; ( : ) is one in every shell.
can_fork()
{
	( : ) || { note "fork failed"; return 1; }
}

# start_loop [-f]: returns once it has forked.
start_loop()
{
	"$here/fork_loop" "$@" "$tmp/fifo" > "$tmp/out" &
	loop=$!
	read -r _ < "$tmp/fifo" || true
	kill -0 "$loop" 2>/dev/null || { note "fork_loop did not start"; return 1; }
}

stop_loop()
{
	kill "$loop"
	wait "$loop"
	rc=$?
	loop=
	note "$(cat "$tmp/out")"
	return "$rc"
}

stat_of()
{
	sed -n "s/^$1: //p" "$dir/stats"
}

# Until a counter has moved: bounded, and only as long as it takes.
wait_for()
{
	i=0
	while [ "$(stat_of "$1")" -eq 0 ]; do
		i=$((i + 1))
		[ "$i" -lt 2000 ] || { note "$1 stays 0"; return 1; }
	done
}

arm_all()
{
	echo 0 > "$fail/verbose" &&
	echo Y > "$fail/task-filter" &&
	echo "$1" > "$fail/point" &&
	echo -1 > "$fail/times" &&
	echo "$2" > "$fail/probability"
}

# cycle <point> <probability>; probability 0: not armed
cycle()
{
	load || return 1
	if [ "$2" != 0 ]; then
		arm_all "$1" "$2" && wait_for failed || return 1
	else
		wait_for forks || return 1
	fi
	unload && is_gone && can_fork
}

cycles_while_forking()
{
	what=$1
	point=$2
	probability=$3
	bad=0
	shift 3
	start_loop "$@" || { result 1 "$what"; return; }
	c=0
	while [ "$c" -lt "$cycles" ]; do
		cycle "$point" "$probability" || { bad=1; break; }
		c=$((c + 1))
	done
	stop_loop || bad=1
	[ ! -d "$dir" ] || unload
	result "$bad" "$what ($c cycles)"
}

here=$(cd "$(dirname "$0")" && pwd) || exit 1

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -d /sys/kernel/debug ] || skip_all "no debugfs"
# busybox modprobe has no dry run.
ko=$(find /lib/modules/ -name "$module.ko*" 2>/dev/null | head -n 1)
[ -n "$ko" ] || skip_all "no $module.ko in /lib/modules"
[ -x "$here/fork_loop" ] || skip_all "fork_loop is not built"

was_loaded=n
[ ! -d "$dir" ] || was_loaded=y
tmp=$(mktemp -d) || exit 1
mkfifo "$tmp/fifo" || exit 1

echo "TAP version 13"
echo "1..8"

[ "$was_loaded" = n ] || unload
is_gone && can_fork
result $? "unloaded: no files, forks work"

load && can_fork
result $? "loaded: forks work"

[ "$(cat "$fail/probability" 2>/dev/null)" = 0 ] &&
	[ "$(cat "$dir/last" 2>/dev/null)" = none ]
result $? "loaded: nothing armed, nothing failed yet"

# With a file open the module may be busy. If it is not, the file is dead.
exec 3< "$dir/last"
if unload; then
	is_gone && ! cat <&3 > /dev/null 2>&1
else
	case $unload_said in
	*[Bb]usy*|*"in use"*|*"temporarily unavailable"*) true ;;
	*) false ;;
	esac
fi
rc=$?
exec 3<&-
[ ! -d "$dir" ] || unload || rc=1
is_gone || rc=1
result "$rc" "unload with a file open: busy, or the file is dead"

cycles_while_forking "unload while others fork" any 0
cycles_while_forking "unload while forks fail at the last step" arch-dup-mmap 100 -f
cycles_while_forking "unload while forks fail half way" copy-page-range 5 -f
cycles_while_forking "unload while forks fail anywhere" any 20 -f

[ "$failed" = 0 ]
