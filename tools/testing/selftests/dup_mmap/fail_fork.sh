#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# scripts/fail-fork does what its options say, and leaves no trace.

. "$(dirname "$0")/ktap.sh"

# shellcheck disable=SC2317 # called by the trap
clean_up()
{
	echo 1 > "$dir/reset"
}

# What it may write to. Without a process: they are many.
files()
{
	for file in "$dir/recovery" "$dir"/fail_dup_mmap/* /sys/kernel/debug/fail*/*; do
		[ -f "$file" ] || continue
		while IFS= read -r line; do
			echo "$file $line"
		done < "$file"
	done
}

call()
{
	"$tool" "$@" > "$tmp/out" 2>&1 < /dev/null
}

# is <key> <value>, in the last record
is()
{
	while IFS= read -r line; do
		[ "$line" != "$1: $2" ] || return 0
	done < "$dir/last"
	return 1
}

# refused <words of the message> <arguments>: exit code 2, one line, and
# everything as it was.
refused()
{
	what=$1
	shift
	call "$@"
	rc=$?
	files > "$tmp/after"
	[ "$rc" = 2 ] && [ "$(wc -l < "$tmp/out")" = 1 ] && grep -q -- "$what" "$tmp/out" &&
		cmp -s "$tmp/before" "$tmp/after"
}

as_it_was()
{
	files > "$tmp/after"
	diff "$tmp/before" "$tmp/after" > "$tmp/out"
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -d "$dir" ] || skip_all "module not loaded"
tool=$(command -v fail-fork) || skip_all "no fail-fork in the path"

begin 15
echo 1 > "$dir/reset"
files > "$tmp/before"

call --list && [ "$(grep -vc '^#' "$tmp/out")" = 11 ]
result $? "--list has all points"

refused "what is --frobnicate" --frobnicate=1 -- ls
result $? "an unknown option is refused"

refused "point: nowhere" --point=nowhere -- ls
result $? "an unknown point is refused, and nothing stays set"

refused "vma-index: -2" --vma-index=-2 -- ls
result $? "so is a number out of range"

refused "which command" --point=any
result $? "so is no command at all"

# A shell that has something left to do forks for ls, and gives up if it cannot.
ls_in_a_shell='ls / > /dev/null; :'
call --point=vm-area-dup --vma-index=3 -- sh -c "$ls_in_a_shell"
is point vm-area-dup && is vma-index 3 && is injected y
result $? "the fourth VMA's vm_area_dup() fails"

as_it_was
result $? "every file is as it was"

call --point=vm-area-dup --vma-index=2 --alloc-nth=1 --recovery=upstream -- sh -c "$ls_in_a_shell"
is alloc-nth 1 && is vma-index 2 && is recovery upstream && as_it_was
result $? "the third VMA's first allocation fails, and every file is as it was"

call --dry-run -- sh -c "$ls_in_a_shell" &&
	grep -q '^arch-dup-mmap -1 - ' "$tmp/out" &&
	grep -q '^vm-area-dup 0 .* [1-9][0-9]*$' "$tmp/out"
result $? "--dry-run lists steps and allocations"

# The last thirty of all: another dry run may list a few more or less.
total=$(awk '!/^#/ { n += 1 + $4 } END { print n }' "$tmp/out")
call --sweep --from=$((total - 29)) -- sh -c "$ls_in_a_shell" &&
	[ "$(grep -c '^ok .* # SKIP before' "$tmp/out")" -ge $((total - 50)) ] &&
	grep '^ok ' "$tmp/out" | grep -qv '# SKIP' &&
	! grep -q '^not ok' "$tmp/out" && grep -q "^1\\.\\.[0-9]" "$tmp/out"
result $? "--sweep goes through the rest from --from on"

as_it_was
result $? "every file is as it was"

# The first run, which only looks, does no harm yet; the next one taints the
# kernel (as auxiliary, which no other test looks at). Behind it is a quote.
command="[ ! -e $tmp/ran ] || echo 65536 > /proc/sys/kernel/tainted; : > $tmp/ran; ls 'a b'; :"
call --sweep --recovery=upstream -- sh -c "$command"
[ $? = 1 ] && grep -q '^not ok 1 ' "$tmp/out" && ! grep -q '^[a-z ]*ok 2' "$tmp/out" &&
	grep -q '^Bail out! goes on with --from=2$' "$tmp/out"
result $? "--sweep stops when the kernel complains"

again=$(sed -n 's/^# .* Again: //p' "$tmp/out")
echo 1 > "$dir/reset"
eval "$again" > "$tmp/out" 2>&1 < /dev/null
is point mmap-write-lock && is recovery - && is injected y && as_it_was
result $? "and says how to have that again"

# Interrupted while the command runs, which does not fork.
"$tool" --point=any -- sh -c "until [ -e $tmp/stop ]; do :; done" > "$tmp/out" 2>&1 &
pid=$!
while read -r percent < "$dir/fail_dup_mmap/probability" && [ "$percent" != 100 ]; do
	kill -0 "$pid" || break
done
kill -TERM "$pid"
: > "$tmp/stop"
wait "$pid"
rc=$?
[ "$rc" = 143 ]
result $? "ended by a signal (exit code $rc)"

as_it_was
result $? "every file is as it was then too"

finish
