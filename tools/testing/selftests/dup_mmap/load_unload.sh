#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Load and unload the module while others fork, with and without failures armed.
# Unloading has to wait for forks inside of it and must not disturb any. The long form
# does that more often, and the short one less often on an emulated machine.

. "$(dirname "$0")/ktap.sh"

fail=$dir/fail_dup_mmap
cycles=2
! grep -q 'User Mode Linux' /proc/cpuinfo || cycles=4
[ -z "${DUP_MMAP_LONG:-}" ] || cycles=50
tasks=1
loops=
was_loaded=n
[ ! -d "$dir" ] || was_loaded=y

# shellcheck disable=SC2317 # called by the trap
clean_up()
{
	ok=0
	exec 3<&-
	# shellcheck disable=SC2086 # several
	[ -z "$loops" ] || kill $loops 2>/dev/null
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

# start_loops [-f]: as many as $tasks; returns once each has forked. It says so in a
# file: to read a FIFO can be interrupted, and then it waits for ever for a reader.
start_loops()
{
	i=0
	while [ "$i" -lt "$tasks" ]; do
		: > "$tmp/forked.$i"
		"$here/fork_loop" "$@" "$tmp/forked.$i" > "$tmp/forks.$i" &
		loops="$loops $!"
		uptime
		limit=$((seconds + 60))
		until [ -s "$tmp/forked.$i" ]; do
			uptime
			kill -0 "$!" 2>/dev/null && [ "$seconds" -lt "$limit" ] ||
				{ note "fork_loop did not start"; return 1; }
		done
		i=$((i + 1))
	done
}

stop_loops()
{
	rc=0
	for pid in $loops; do
		kill "$pid"
		wait "$pid" || rc=$?
	done
	loops=
	sed 's/^/# /' "$tmp"/forks.*
	rm -f "$tmp"/forks.*
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

# Every fork is watched, and none can fail: there is no such VMA.
watch_all()
{
	echo 1000000 > "$fail/vma-index" &&
	arm_all any 100 &&
	echo N > "$fail/task-filter"
}

# cycle <point> <probability>; "watched -": nothing fails; "unwatched -": nor is
# anything asked for, and nobody knows how many there are.
cycle()
{
	load || return 1
	case $1 in
	unwatched) ;;
	watched) watch_all && wait_for forks || return 1 ;;
	*) arm_all "$1" "$2" && wait_for failed || return 1 ;;
	esac
	unload && is_gone && can_fork
}

cycles_while_forking()
{
	what=$1
	point=$2
	probability=$3
	bad=0
	shift 3
	start_loops "$@" || { stop_loops; result 1 "$what"; return; }
	c=0
	while [ "$c" -lt "$cycles" ]; do
		cycle "$point" "$probability" || { bad=1; break; }
		c=$((c + 1))
	done
	stop_loops || bad=1
	[ ! -d "$dir" ] || unload
	result "$bad" "$what ($c cycles)"
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -d /sys/kernel/debug ] || skip_all "no debugfs"
[ -n "$(module_file)" ] || skip_all "no $module.ko in /lib/modules"
[ -x "$here/fork_loop" ] || skip_all "fork_loop is not built"

begin 14

[ "$was_loaded" = n ] || unload
is_gone && can_fork
result $? "unloaded: no files, forks work"

load && can_fork
result $? "loaded: forks work"

[ "$(cat "$fail/probability" 2>/dev/null)" = 0 ] &&
	[ "$(cat "$dir/last" 2>/dev/null)" = none ]
result $? "loaded: nothing armed, nothing failed yet"

echo "$here: $$" > /dev/kmsg
for old in xa-zero xa-zero-bare rust; do
	echo "$old" > "$dir/recovery"
done
dmesg | sed "1,/: $$\$/d" | grep -c 'leaves half-built mms' | grep -qx 1
result $? "loaded: the kernel's log says once that an old recovery is chosen"

# Its end calls the module, so it must be there until then.
exec 3< "$dir/last"
if unload; then
	note "unloaded with a file open"
	false
else
	case $unload_said in
	*[Bb]usy*|*"in use"*|*"temporarily unavailable"*) cat <&3 > /dev/null ;;
	*) false ;;
	esac
fi
rc=$?
# Who was wrong about that may not survive it.
result "$rc" "no unloading while a file is open"
exec 3<&-
# The kernel's own code reads this one, and finds that it is gone.
[ ! -d "$dir" ] || exec 3< "$fail/probability"
[ ! -d "$dir" ] || unload
is_gone && ! cat <&3 > /dev/null 2>&1
result $? "unloading when it is closed, and a file of the fault attribute is not"
exec 3<&-

cycles_while_forking "unload while others fork" unwatched -
cycles_while_forking "unload while others fork, and are watched" watched -
cycles_while_forking "unload while forks fail at the last step" arch-dup-mmap 100 -f
cycles_while_forking "unload while forks fail half way" copy-page-range 5 -f
cycles_while_forking "unload while forks fail anywhere" any 20 -f

# More of them than there are CPUs: one is always in the middle of it.
tasks=4
cycles_while_forking "unload while four tasks fork" unwatched -
cycles_while_forking "unload while four tasks fork, and are watched" watched -
cycles_while_forking "unload while forks of four tasks fail" any 20 -f

finish
