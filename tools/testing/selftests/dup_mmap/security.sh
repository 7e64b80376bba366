#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What Documentation/security.rst says and no other test shows. No address of the kernel is
# in what the module says: in its files, its tracepoints and the kernel's log, after a fork
# has failed at each step under each recovery, after a dry run, and with one held. And it
# taints the kernel.

. "$(dirname "$0")/ktap.sh"

instance=/sys/kernel/tracing/instances/security

# Those of the upper half. The end of an address space is all ones, and says nothing.
addresses()
{
	grep -oE '(^|[^0-9a-f])f{4}[0-9a-f]{12}([^0-9a-f]|$)' | grep -v 'f\{16\}'
}

# shellcheck disable=SC2317 # called by the trap
clean_up()
{
	echo 1 > "$dir/reset"
	echo "$recovery" > "$dir/recovery"
	[ ! -d "$instance" ] || rmdir "$instance"
}

[ -d "$dir" ] || skip_all "the module is not loaded"
addresses < /proc/kallsyms | grep -q . || skip_all "the kernel's addresses look like a process's here"
mkdir "$instance" 2> /dev/null || skip_all "no $instance (CONFIG_TRACING)"
begin 4
recovery=$(sed 's/.*\[\(.*\)\].*/\1/' "$dir/recovery")

# In a shell that asks for it, and ends with its fork's failure.
fork()
{
	sh -c 'echo 1 > /proc/self/make-it-fail; (:); :' > /dev/null 2>&1
}

# TAINT_TEST
[ $(($(cat /proc/sys/kernel/tainted) >> 18 & 1)) = 1 ]
result $? "the kernel is tainted as one that is tested"

echo "$here: $$" > /dev/kmsg
echo 1 > "$instance/events/dup_mmap_recovery/enable"
echo Y > "$dir/fail_dup_mmap/task-filter"
# A line; the fault attribute's other one is a stack dump, as the kernel makes it.
echo 1 > "$dir/fail_dup_mmap/verbose"
echo 100 > "$dir/fail_dup_mmap/probability"
for used in xa-zero-bare xa-zero upstream rust; do
	echo "$used" > "$dir/recovery"
	sed 's/[ \t].*//' "$dir/points" | grep '^[a-z]' > "$tmp/points"
	while read -r point; do
		echo "$point" > "$dir/fail_dup_mmap/point"
		echo 1 > "$dir/fail_dup_mmap/times"
		fork
	done < "$tmp/points"
done
echo Y > "$dir/fail_dup_mmap/dry-run"
fork
echo vm-area-dup > "$dir/fail_dup_mmap/point"
echo after-unlock > "$dir/hold/at"
echo 30000 > "$dir/hold/timeout-ms"
echo 1 > "$dir/fail_dup_mmap/times"
fork &
until [ -s "$tmp/held" ]; do
	grep -E '^[0-9]' "$dir/hold/held" > "$tmp/held"
	kill -0 $! 2> /dev/null || break
done
for file in points last stats log steps hold/held hold/observe recovery hold/at; do
	cat "$dir/$file"
done > "$tmp/said"
cat "$instance/trace" >> "$tmp/said"
dmesg | sed "1,/: $$\$/d" > "$tmp/log"
cat "$tmp/log" >> "$tmp/said"
echo all > "$dir/hold/release"
wait

[ -s "$tmp/held" ] && [ "$(grep -c . "$dir/log")" -gt 20 ] && [ "$(grep -c . "$dir/steps")" -gt 20 ] &&
	grep -q 'recovered:' "$instance/trace" && grep -q "$module: FAULT_INJECTION" "$tmp/log"
result $? "forks have failed, and one was held"
addresses < "$tmp/said" > "$tmp/out"
[ ! -s "$tmp/out" ]
result $? "no address of the kernel is in it"
{ cat "$tmp/said"; grep ' _text$' /proc/kallsyms; } | addresses | grep -q .
result $? "one more line, and there would be"

finish
