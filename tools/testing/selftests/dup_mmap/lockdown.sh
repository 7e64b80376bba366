#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A kernel that is locked down (integrity) refuses the module, and of one that is loaded
# already lets root read what it has recorded: no setting is read or changed. It stays so
# until the kernel ends, and so this test is for a guest of its own.

. "$(dirname "$0")/ktap.sh"

lockdown=/sys/kernel/security/lockdown
records="points last stats log steps hold/held hold/observe"

[ -d "$dir" ] || skip_all "the module is not loaded"
[ -e "$lockdown" ] || mount -t securityfs securityfs /sys/kernel/security 2> /dev/null
[ -e "$lockdown" ] || skip_all "no $lockdown (CONFIG_SECURITY_LOCKDOWN_LSM)"
grep -q '\[none\]' "$lockdown" || skip_all "locked down already: $(cat "$lockdown")"
begin 7

same()
{
	[ "$1" = "$2" ]
}

# All but the records.
settings()
{
	(cd "$dir" && find . -type f) | sed 's,^\./,,' |
		grep -vxE "$(echo "$records" | tr ' ' '|')"
}

# Those of these files that can be opened, in $1 of <, >.
opened()
{
	how=$1
	shift
	for f; do
		case $how in
		'<')	(: < "$dir/$f") ;;
		'>')	(: > "$dir/$f") ;;
		esac 2> /dev/null && echo "$f"
	done
}

# shellcheck disable=SC2046 # names without spaces
writable=$(opened '>' $(settings))
note "settings: $(echo "$writable" | tr '\n' ' ')"
same "$(echo "$writable" | wc -l)" "$(settings | wc -l)"
result $? "before it each setting can be opened"

rmmod "$module" && insert && [ -d "$dir" ]
result $? "before it the module can be loaded again"

echo integrity > "$lockdown"
grep -q '\[integrity\]' "$lockdown"
result $? "the kernel is locked down"

# shellcheck disable=SC2086 # names without spaces
opened '<' $records > "$tmp/out"
same "$(wc -l < "$tmp/out")" "$(echo "$records" | wc -w)"
result $? "records can be read"

# shellcheck disable=SC2046 # names without spaces
{
	opened '<' $(settings)
	opened '>' $(settings)
} > "$tmp/out"
[ ! -s "$tmp/out" ]
result $? "no setting can be read or written"

! fail-fork true > "$tmp/out" 2>&1 && grep -q 'locked down' "$tmp/out"
result $? "fail-fork says why it does nothing"

# The kernel's log need not say so: it has a limit, and the files above have used it up.
rmmod "$module" && ! insert > "$tmp/out" 2>&1 && [ ! -d "$dir" ] &&
	grep -q 'Operation not permitted' "$tmp/out"
result $? "the module is refused"

finish
