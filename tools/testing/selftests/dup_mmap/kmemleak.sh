#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Last in the list: has anything since boot lost memory?
#
# One scan takes seconds, so the programs before this one do not have their own.
# kmemleak wants to see an object unreferenced in two scans, and only reports
# objects older than five seconds. What it reports is the kernel's as a whole:
# not every function through which a failed fork could lose something is known.

. "$(dirname "$0")/ktap.sh"

file=/sys/kernel/debug/kmemleak

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -d "$dir" ] || skip_all "module not loaded"
[ -w $file ] || skip_all "no $file (CONFIG_DEBUG_KMEMLEAK)"
# Switched off for good after an error of its own, or at boot.
echo scan > $file 2> /dev/null || skip_all "kmemleak is switched off"

begin 1
echo scan > $file || exit 1
cat $file > "$tmp/out" || exit 1
[ ! -s "$tmp/out" ]
result $? "nothing leaked"
finish
