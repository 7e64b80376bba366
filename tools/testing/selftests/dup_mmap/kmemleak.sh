#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Last in the list: has anything since boot lost memory in dup_mmap()?
#
# One scan takes seconds, so the programs before this one do not have their own.
# kmemleak wants to see an object unreferenced in two scans, and only reports
# objects older than five seconds.

# shellcheck disable=SC2317 # called by the trap
finish()
{
	rc=$?
	trap - EXIT
	# 2 would be taken for an expected failure.
	case $rc in
	0|1|4)	exit "$rc" ;;
	*)	echo "Bail out! exit status $rc"; exit 1 ;;
	esac
}
trap finish EXIT

file=/sys/kernel/debug/kmemleak

skip_all()
{
	echo "TAP version 13"
	echo "1..0 # SKIP $*"
	exit 4
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -d /sys/kernel/debug/dup_mmap_recovery ] || skip_all "module not loaded"
[ -w $file ] || skip_all "no $file (CONFIG_DEBUG_KMEMLEAK)"
# Switched off for good after an error of its own, or at boot.
echo scan > $file 2> /dev/null || skip_all "kmemleak is switched off"

echo "TAP version 13"
echo "1..1"
echo scan > $file || exit 1
found=$(cat $file) || exit 1
[ -z "$found" ] || echo "$found" | sed 's/^/# /'
if echo "$found" | grep -q -e dup_mm -e copy_mm -e mm_init; then
	echo "not ok 1 nothing leaked in dup_mmap()"
	exit 1
fi
echo "ok 1 nothing leaked in dup_mmap()"
exit 0
