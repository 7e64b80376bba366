#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# scripts/fail-fork does what its options say, and leaves no trace.

. "$(dirname "$0")/ktap.sh"

# shellcheck disable=SC2317 # called by the trap
clean_up()
{
	echo 1 > "$dir/reset"
	[ -z "$randomize" ] || echo "$randomize" > "$randomize_va_space"
}

randomize_va_space=/proc/sys/kernel/randomize_va_space
randomize=

# What it may write to, and make. Without a process: they are many.
files()
{
	echo /sys/kernel/tracing/instances/*
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

begin 30
echo 1 > "$dir/reset"
files > "$tmp/before"

call --list && [ "$(grep -vc '^#' "$tmp/out")" = 11 ]
result $? "--list has all points"

# aligned <number>: in each line so many words begin where they begin in the first one. There
# the "#" belongs to the first word.
aligned()
{
	awk -v columns="$1" '
	/^fail-fork: / { next }
	!lines && !/^# [^ ]/ { exit 1 }
	{
		sub(/^# /, "##")
		at = 1
		for (i = 1; i <= columns; i++) {
			if (!match(substr($0, at), /[^ ]+/)) exit 1
			at += RSTART - 1
			if (!lines) begins[i] = at
			else if (begins[i] != at) exit 1
			at += RLENGTH
		}
		lines++
	}
	END { if (lines < 2) exit 1 }' "$tmp/out"
}

"$here/on_terminal" "$tool" --list > "$tmp/out" && aligned 6 && [ "$(grep -vc '^#' "$tmp/out")" = 11 ]
result $? "on a terminal it has columns"

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
summary=$(tail -n 1 "$tmp/out")
is alloc-nth 1 && is vma-index 2 && is recovery upstream && as_it_was
result $? "the third VMA's first allocation fails, and every file is as it was"

# said <words>: that is the last line.
said()
{
	[ "$(tail -n 1 "$tmp/out")" = "fail-fork: $*" ]
}

rc=0
[ "$summary" = "fail-fork: 1 fork watched, 1 failed: vm-area-dup 1; recovered: upstream 1" ] || rc=1
result "$rc" "and the last line says what has come of it"

call --point=anon-vma-fork --vma-index=3 -- ls / && said "0 forks watched, 0 failed: the command did not fork"
result $? "a command that does not fork is told from one that does"

call --vma-index=100000 -- sh -c "$ls_in_a_shell" && said "1 fork watched, 0 failed"
result $? "so is one whose forks do not come to the step"

# It counts like a splat. What looks for complaints in the whole log takes it for none.
planted="<6>INFO: planted by fail_fork.sh"
echo "$planted" > /dev/kmsg
call --vma-index=100000 -- sh -c "echo '$planted' > /dev/kmsg; echo '$planted' > /dev/kmsg; $ls_in_a_shell" &&
	said "1 fork watched, 0 failed; 2 splats (dmesg)"
result $? "and how often the kernel has complained meanwhile"

# With random addresses the vDSO is sometimes below the program and sometimes above it.
# Then the same index is another VMA, and that VMA need not take the same steps.
read -r randomize < "$randomize_va_space"
echo 0 > "$randomize_va_space"

# A shell would give up.
call --per-fork --interval=2 --times=-1 -- ./fork_loop -n 10
summary=$(tail -n 1 "$tmp/out")
seed=$(sed -n 's/^seed: //p' "$dir/last")
again="$(sed -n 's/^point: //p' "$dir/last") $(sed -n 's/^vma-index: //p' "$dir/last")"
case $summary in
"fail-fork: 10 forks watched, 5 failed: "*"; the last one again: --seed=$seed") rc=0 ;;
*) rc=1 ;;
esac
as_it_was || rc=1
result "$rc" "with --per-fork one in two fails, and every file is as it was"

call --seed="$seed" -- ./fork_loop -n 1
is seed "$seed" && is point "${again% *}" && is vma-index "${again#* }" && as_it_was
result $? "and so it does with the same seed"
echo "$randomize" > "$randomize_va_space"

refused "per-fork and --sweep do not go together" --sweep --per-fork -- ls
result $? "--per-fork does not go with --sweep"

refused "seed: -1" --seed=-1 -- ls
result $? "a seed is no negative number"

# drawn <regular expression>...: these lines are in the timeline, in this order.
drawn()
{
	from=1
	for line; do
		at=$(tail -n "+$from" "$tmp/out" | grep -nE -m1 -- "$line" | cut -d: -f1)
		[ -n "$at" ] || return 1
		from=$((from + at))
	done
}

call --timeline --point=copy-page-range --vma-index=2 --recovery=upstream -- sh -c "$ls_in_a_shell"
drawn '^ +0  -  +begins, recovery upstream$' '^ +[0-9]+  -  +step mmap-write-lock$' \
	'^ +[0-9]+  parent\+child  step mt-dup$' \
	'^ +[0-9]+  parent\+child  step copy-page-range, VMA 2 \([0-9a-f]+-[0-9a-f]+\)$' \
	'^ +[0-9]+  parent\+child  fails: copy-page-range, VMA 2 ' \
	'^ +[0-9]+  -  +ends, error -12, recovery upstream$' \
	'^ +[0-9]+  -  +3 VMAs were copied, 3 taken apart, [0-9]+ pages uncharged$' && as_it_was
result $? "--timeline shows the steps of a fork that fails, and its locks"

# A tick may be 10 ms; a timeout is never shorter than it says, by more than one.
echo after-unlock > "$dir/hold/at"
echo 50 > "$dir/hold/timeout-ms"
call --timeline --point=vm-area-dup --vma-index=3 --recovery=rust -- sh -c "$ls_in_a_shell"
held=$(sed -n 's/^ *\([0-9]*\)  -  *is held, after-unlock$/\1/p' "$tmp/out")
on=$(sed -n 's/^ *\([0-9]*\)  -  *goes on, timeout$/\1/p' "$tmp/out")
echo 1 > "$dir/reset"
rc=0
grep -q 'User Mode Linux' /proc/cpuinfo || drawn '^ +[0-9]+  child  +unlocks the parent$' || rc=1
[ $((${on:-0} - ${held:-0})) -ge 30000 ] || rc=1
result "$rc" "that it lets its parent go first, and how long it is held"

call --timeline --point=vm-area-dup --vma-index=3 -- true
[ $? = 2 ] && [ "$(head -n 1 "$tmp/out")" = "fail-fork: no fork was made to fail there" ] &&
	said "0 forks watched, 0 failed: the command did not fork" && as_it_was
result $? "and says so if none fails"

refused "timeline and --sweep do not go together" --timeline --sweep -- ls
result $? "--timeline does not go with --sweep"

refused "recovery: nobody" --timeline --recovery=nobody -- ls
result $? "--timeline with an unknown recovery is refused"

call --dry-run -- sh -c "$ls_in_a_shell" &&
	grep -q '^arch-dup-mmap -1 - ' "$tmp/out" &&
	grep -q '^vm-area-dup 0 .* [1-9][0-9]*$' "$tmp/out" && said "1 fork watched, 0 failed"
result $? "--dry-run lists steps and allocations"

"$here/on_terminal" "$tool" --dry-run -- sh -c "$ls_in_a_shell" > "$tmp/out" && aligned 4
result $? "which are columns on a terminal"
call --dry-run -- sh -c "$ls_in_a_shell"

# The last thirty of all: another dry run may list a few more or less.
total=$(awk '!/^#|^fail-fork:/ { n += 1 + $4 } END { print n }' "$tmp/out")
call --sweep --from=$((total - 29)) -- sh -c "$ls_in_a_shell" &&
	[ "$(grep -c '^ok .* # SKIP before' "$tmp/out")" -ge $((total - 50)) ] &&
	grep '^ok ' "$tmp/out" | grep -qv '# SKIP' &&
	! grep -q '^not ok' "$tmp/out" && grep -q "^1\\.\\.[0-9]" "$tmp/out" &&
	tail -n 1 "$tmp/out" | grep -qE '^fail-fork: [0-9]+ forks watched, [1-9][0-9]* failed: '
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
[ "$rc" = 143 ] && said "0 forks watched, 0 failed: the command did not fork"
result $? "ended by a signal (exit code $rc)"

as_it_was
result $? "every file is as it was then too"

finish
