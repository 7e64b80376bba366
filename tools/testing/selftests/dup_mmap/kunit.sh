#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The KUnit suites of the module: they run when it is loaded, if KUnit's filter
# lets them. Where each load would run them, the filter is closed (boot with
# kunit.filter_glob=none), and only this test opens it.

. "$(dirname "$0")/ktap.sh"

kunit=/sys/kernel/debug/kunit
filter=/sys/module/kunit/parameters/filter_glob
old_filter=

# shellcheck disable=SC2317 # called by the trap
clean_up()
{
	[ -z "$old_filter" ] || printf '%s' "$old_filter" > "$filter"
	[ -d "$dir" ] || insert
}

have_results()
{
	ls $kunit/dup_mmap_*/results > /dev/null 2>&1
}

# With a newline the filter would be another one.
load_with_open_filter()
{
	old_filter=$(cat "$filter") && printf '*' > "$filter" && rmmod "$module" && insert
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -d "$dir" ] || skip_all "module not loaded"
[ -d $kunit ] || skip_all "no $kunit (CONFIG_KUNIT=y, CONFIG_KUNIT_DEBUGFS)"
# Not to be read in sysfs. Where it is on, no results are a failure.
have_results || grep -q 'kunit.enable=1' /proc/cmdline ||
	skip_all "KUnit is switched off (boot with kunit.enable=1 kunit.autorun=1)"

begin -
have_results || load_with_open_filter || exit 1
# A case is indented; what KUnit says about one that fails is above it.
cat $kunit/dup_mmap_*/results | awk '
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
finish
