#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Load and unload the module while others fork, with and without failures armed.
# Unloading has to wait for forks inside of it and must not disturb any.

. "$(dirname "$0")/ktap.sh"

fail=$dir/fail_dup_mmap
cycles=8
loop=
was_loaded=n
[ ! -d "$dir" ] || was_loaded=y

# shellcheck disable=SC2317 # called by the trap
clean_up()
{
	ok=0
	exec 3<&-
	[ -z "$loop" ] || kill "$loop" 2>/dev/null
	if [ "$was_loaded" = y ] && [ ! -d "$dir" ]; then
		insert || ok=1
	elif [ "$was_loaded" = n ] && [ -d "$dir" ]; then
		rmmod "$module" || ok=1
	fi
	[ ! -d "$dir" ] || echo 1 > "$dir/reset"
	return "$ok"
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
	while read -r name _; do
		[ "$name" != "$module" ] || { note "still in /proc/modules"; return 1; }
	done < /proc/modules
}

# A fork that must work; ( : ) is one in every shell.
can_fork()
{
	( : ) || { note "fork failed"; return 1; }
}

# start_loop [-f]: returns once it has forked.
start_loop()
{
	"$here/fork_loop" "$@" "$tmp/fifo" > "$tmp/forks" &
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
	note "$(cat "$tmp/forks")"
	return "$rc"
}

# has_moved <counter>
has_moved()
{
	while IFS=': ' read -r key value; do
		[ "$key" != "$1" ] || [ "$value" -eq 0 ] || return 0
	done < "$dir/stats"
	return 1
}

uptime()
{
	read -r seconds _ < /proc/uptime
	seconds=${seconds%.*}
}

# Until a counter has moved: bounded, and only as long as it takes.
wait_for()
{
	uptime
	limit=$((seconds + 60))
	until has_moved "$1"; do
		uptime
		[ "$seconds" -lt "$limit" ] || { note "$1 stays 0"; return 1; }
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

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -d /sys/kernel/debug ] || skip_all "no debugfs"
[ -n "$(module_file)" ] || skip_all "no $module.ko in /lib/modules"
[ -x "$here/fork_loop" ] || skip_all "fork_loop is not built"

begin 8
mkfifo "$tmp/fifo" || exit 1

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

finish
