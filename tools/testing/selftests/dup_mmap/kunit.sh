#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The KUnit suites of the module ran when it was loaded: what did they say?

dir=/sys/kernel/debug/kunit

skip_all()
{
	echo "TAP version 13"
	echo "1..0 # SKIP $*"
	exit 4
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -d /sys/kernel/debug/dup_mmap_recovery ] || skip_all "module not loaded"
[ -d $dir ] || skip_all "no $dir (CONFIG_KUNIT=y, CONFIG_KUNIT_DEBUGFS)"
# Not to be read in sysfs. Where it is on, no results are a failure.
ls $dir/dup_mmap_* > /dev/null 2>&1 || grep -q 'kunit.enable=1' /proc/cmdline ||
	skip_all "KUnit is switched off (boot with kunit.enable=1 kunit.autorun=1)"

# A case is indented; what KUnit says about one that fails is above it.
cat $dir/dup_mmap_*/results | awk '
	BEGIN { print "TAP version 13" }
	/^    # Subtest: / { suite = $3; next }
	/^    1\.\.[0-9]/ { planned += substr($1, 4); next }
	/^    (not )?ok / {
		good = $1 == "ok"
		bad += !good
		sub(/^ *(not )?ok [0-9]+ /, "")
		printf "%s %d %s.%s\n", good ? "ok" : "not ok", ++n, suite, $0
		next
	}
	/^    / && !/KTAP version|# module: |speed: / { print "#" $0 }
	END {
		print "1.." planned + 0
		exit !n || bad || n != planned
	}' || exit 1
