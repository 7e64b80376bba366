#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The example module (Documentation/examples/print_vmas.rs) prints the map that
# /proc/<pid>/maps has, and has nothing to print where there is no mm.

. "$(dirname "$0")/ktap.sh"

module=print_vmas
pid=

# shellcheck disable=SC2317 # called by the trap
clean_up()
{
	[ -z "$pid" ] || kill -KILL "$pid"
	unload
}

unload()
{
	! grep -q "^$module " /proc/modules || rmmod "$module"
}

# print <pid>: what the module has to say goes to $tmp/printed
print()
{
	unload
	echo "$here: $$.$nr" > /dev/kmsg
	said=$(modprobe "$module" pid="$1" 2>&1)
	rc=$?
	[ -z "$said" ] || note "modprobe: $said"
	dmesg | sed "1,/$$\\.$nr\$/d" |
		sed -nE "s/.*$module: ([0-9a-f]+-[0-9a-f]+ .*)/\\1/p" > "$tmp/printed"
	return "$rc"
}

# What the tree cannot have is no process's own: the page of old system calls.
maps()
{
	grep -v 'vsyscall' "/proc/$1/maps" | cut -d ' ' -f 1-3
}

# A process that stays as it is.
stopped_process()
{
	"$@" &
	pid=$!
	while true; do
		state=$(sed -n 's/^State:[^A-Z]*\(.\).*/\1/p' "/proc/$pid/status" 2> /dev/null)
		case $state in
		T)	return 0 ;;
		Z|X|'')	note "$1 is gone"; pid=; return 1 ;;
		esac
	done
}

same_map()
{
	stopped_process "$@" || return 1
	print "$pid"
	rc=$?
	maps "$pid" > "$tmp/maps"
	kill -KILL "$pid"
	wait "$pid" 2> /dev/null
	pid=
	nr_vmas=$(wc -l < "$tmp/maps")
	note "$nr_vmas VMAs"
	[ "$rc" = 0 ] && [ "$nr_vmas" -ge "$at_least" ] || return 1
	diff "$tmp/maps" "$tmp/printed" > "$tmp/out"
}

refused()
{
	! print "$1" && [ ! -s "$tmp/printed" ] || return 1
	# ESRCH, which busybox takes for something else.
	case $said in
	*"o such process"*|*"wrong symbol version"*) true ;;
	*) false ;;
	esac
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -n "$(module_file)" ] ||
	skip_all "no $module.ko in /lib/modules (make DUP_MMAP_EXAMPLE=1)"

begin 4

at_least=1
# shellcheck disable=SC2016 # for that shell
same_map sh -c 'kill -STOP $$; :'
result $? "a shell's map is that of /proc/<pid>/maps"

at_least=1000
same_map "$here/many_vmas" 1000
result $? "so is one of 1000 VMAs and more, with holes"

refused 2
result $? "a kernel thread has none"

refused 2147483647
result $? "nor has a process that is not there"

finish
