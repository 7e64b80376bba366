# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0
# Common ground of the scripts; sourced, not run.
#
# Environment: ARCH (the host's), FLAVOUR (lean), V (1 shows the commands), JOBS,
# TOOLCHAIN (host: no Debian root), DUP_MMAP_CACHE, UNPATCHED (not empty: of the kernel
# without the patches; that is in build/unpatched).

set -Eeuo pipefail
# What no one foresaw does not end without a word.
oops()
{
	echo "${0##*/}: error: unexpected failure of: ${1%%$'\n'*}" >&2
}
trap 'oops "$BASH_COMMAND"' ERR
# A child that handles ^C itself ends with a code, and bash then runs the next command.
trap 'exit 130' INT

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
ME=$(basename "$0")
BUILD=$TOP/build
[ -z "${UNPATCHED:-}" ] || BUILD=$TOP/build/unpatched
LINUX=$BUILD/linux
CACHE=${DUP_MMAP_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/dup_mmap_recovery}
SERIES=$TOP/patches/v7.3
JOBS=${JOBS:-$(nproc)}
V=${V:-0}
TOOLCHAIN=${TOOLCHAIN:-debian}

say()
{
	printf '==> %s\n' "$*"
}

# die MESSAGE [EXIT-CODE]: one line; 2 is "usage or environment".
die()
{
	printf '%s: error: %s\n' "$ME" "$1" >&2
	exit "${2:-2}"
}

# failed CODE MESSAGE: die, unless it was the person who ended the command.
failed()
{
	[ "$1" -lt 129 ] || die "interrupted; the next run carries on" "$1"
	die "$2"
}

case $TOP$CACHE in
*[[:space:]:]*) die "kbuild cannot handle blanks or colons in $TOP or $CACHE; move the clone, or set DUP_MMAP_CACHE" ;;
esac
case $CACHE in
/*) ;;
*) die "DUP_MMAP_CACHE must be an absolute path, not $CACHE" ;;
esac

# The architecture of the host, as the kernel calls it.
host_arch()
{
	uname -m | sed s/aarch64/arm64/
}

# Everything that depends on the architecture is in this one table.
arch_vars()
{
	local fragment nodes=

	ARCH=${ARCH:-$(host_arch)}
	FLAVOUR=${FLAVOUR:-lean}
	# What programs are built for.
	USER_ARCH=$ARCH
	KERNEL_FLAGS=()
	case $ARCH in
	x86_64)
		IMAGE_TARGET=bzImage IMAGE=arch/x86/boot/bzImage
		# Without five-level page tables: identify_cpu() clears the
		# features for a moment, and KASAN takes the direct map for
		# wild if an interrupt comes in then.
		QEMU=(qemu-system-x86_64 -M pc) TCG=(-cpu "max,la57=off") CONSOLE=ttyS
		VIRTIO_9P=virtio-9p-pci
		# A guest ends by a reset: what that takes depends on no firmware.
		ARCH_APPEND="earlyprintk=serial,ttyS1,115200 reboot=t" ;;
	arm64)
		IMAGE_TARGET=Image IMAGE=arch/arm64/boot/Image
		# Without what costs most to emulate and no test is about: signed
		# return addresses, vectors, 52 bits of address. failure_points
		# takes four fifths of the time then.
		QEMU=(qemu-system-aarch64 -M virt) CONSOLE=ttyAMA VIRTIO_9P=virtio-9p-device
		TCG=(-cpu "max,pauth=off,sve=off,sme=off,lpa2=off" -machine mte=on)
		# The second serial line; without an address it would be the first.
		ARCH_APPEND="earlycon=pl011,mmio32,0x9040000" ;;
	um)
		# User Mode Linux: the kernel is a process of the host's.
		IMAGE_TARGET=linux IMAGE=linux USER_ARCH=x86_64 ARCH_APPEND=''
		# arch/um compiles all of it for modules far away. The kernel's own
		# variables are then in sections that its linker script does not
		# know: kmemleak does not search them, and takes for lost what
		# they point to.
		KERNEL_FLAGS=(CFLAGS_KERNEL=-mcmodel=small) ;;
	*)
		die "ARCH=$ARCH is not supported (x86_64, arm64, um)" ;;
	esac
	# A flavour is the names of fragments, such as debug or debug-64k.
	for fragment in ${FLAVOUR//-/ }; do
		[ -f "$TOP/configs/$fragment.config" ] ||
			die "FLAVOUR=$FLAVOUR is unknown: there is no configs/$fragment.config"
	done
	# The files that have dup_mmap() and what its recoveries call.
	case -$FLAVOUR- in
	*-coverage-*)
		local file counters="-fprofile-instr-generate -fcoverage-mapping"

		for file in mmap rmap memory vma_init; do
			KERNEL_FLAGS+=("CFLAGS_$file.o=$counters")
		done
		# As seen from where the kernel is built, so that it is the same in each clone.
		KERNEL_FLAGS+=("CFLAGS_dup_mmap.o=$counters -include ../../../scripts/coverage.h"
			DUP_MMAP_COVERAGE="$(sha "$TOP/scripts/coverage.h" | cut -c1-12)") ;;
	esac
	# A second node, with half of the memory, for those kernels that move pages to one.
	case $ARCH-$FLAVOUR in
	um-*) ;;
	*-debug*) nodes=numa=fake=2 ;;
	esac
	# What a kernel that is tested gets on its command line. A bad page, an oops, a
	# warning or a lockup ends the run where it happens: what the kernel does after it
	# proves nothing, and may take for ever. KUnit's filter lets no suite run when the
	# module is loaded: kunit.sh opens it.
	TEST_APPEND="panic_on_taint=0x42a0 kunit.enable=1 kunit.autorun=1 kunit.filter_glob=none $nodes"
	OUT=$BUILD/$ARCH-$FLAVOUR
	KOUT=$OUT/kernel
	# What kselftests include; um exports none of its own.
	HEADERS=$KOUT
	[ "$ARCH" != um ] || HEADERS=$OUT/headers
	# Where the module's source is, and where it is built.
	SRC=$TOP MOD=$OUT/module
	[ -z "${MUTANT:-}" ] || SRC=$OUT/mutants/src MOD=$OUT/mutants/module
}

# Why User Mode Linux cannot run here; nothing if it can.
um_forbidden()
{
	[ "$(host_arch)" = x86_64 ] || { echo "it exists on x86_64 hosts only"; return; }
	# ptrace(PTRACE_TRACEME), which it does to each of its processes.
	tc perl -e 'exit(syscall(101, 0, 0, 0, 0) != 0)' || echo "ptrace is forbidden here"
}

# Run a command in the toolchain root, or on the host with TOOLCHAIN=host.
tc()
{
	"$TOP/scripts/toolchain" run "$@"
}

# kbuild as this project always calls it: the same words every time, or it
# would rebuild what was built with others.
kmake()
{
	local cc="ccache clang"

	[ "$TOOLCHAIN" != host ] || command -v ccache >/dev/null || cc=clang
	tc make -j"$JOBS" LLVM=1 ARCH="$ARCH" CC="$cc" V="$V" "${KERNEL_FLAGS[@]}" "$@"
}

# The kernel's checkpatch.  Kept away from our git directory: it would take a
# patch that git knows for a source file, and look for Python modules we lack.
checkpatch()
{
	tc env GIT_DIR=none perl "$LINUX/scripts/checkpatch.pl" --root="$LINUX" --strict --quiet --no-summary \
		--color=never "$@"
}

# lock FD FILE WHAT: one run at a time; a second one waits, and says for whom.
# The lock is inherited by scripts called from the one that took it.
lock()
{
	local fd=$1 file=$2 what=$3

	case " ${DUP_MMAP_LOCKS:-} " in
	*" $file "*) return ;;
	esac
	mkdir -p "$(dirname "$file")" || die "cannot make $(dirname "$file"); is it writable?"
	# Append: the holder's note must survive until we have the lock.
	{ eval "exec $fd>>\"\$file\""; } 2>/dev/null || die "cannot write $file; is it writable?"
	if ! flock -n "$fd"; then
		say "$what is in use by another run ($(tail -n1 "$file" 2>/dev/null)); waiting for it"
		flock "$fd"
	fi
	printf '%s, pid %s\n' "$ME" "$$" >"$file"
	export DUP_MMAP_LOCKS="${DUP_MMAP_LOCKS:-} $file"
}

lock_build()
{
	lock 8 "$BUILD/.lock" "this clone's build/"
}

# What is built of one flavour: parts of scripts/check run side by side in this
# clone, and two of them must not build it at once.
lock_out()
{
	lock 7 "$OUT/.lock" "build/$ARCH-$FLAVOUR"
}

# need_space DIR MEGABYTES WHAT
need_space()
{
	local have

	mkdir -p "$1" || die "cannot make $1; is the disk full or the directory not writable?"
	have=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
	[ "$have" -ge "$2" ] ||
		die "$3 needs $2 MB in $1 and there are $have MB; free some, or move it (DUP_MMAP_CACHE for the cache, the clone for build/)"
}

lock_cache()
{
	lock 9 "$CACHE/.lock" "the cache $CACHE"
}

# minutes SECONDS: 75 is 1m15s.
minutes()
{
	printf '%dm%02ds' $(($1 / 60)) $(($1 % 60))
}

elapsed()
{
	minutes "$SECONDS_RUN"
}

# One line of progress now and then: how many steps the log shows, how long.
ticker()
{
	local label=$1 log=$2 total=$3 start=$SECONDS n every=60 cr='' eol='\n' clock

	if [ -t 1 ]; then
		every=1 cr='\r\033[K' eol=''
	fi
	# A clock without a process that would outlive us.
	exec {clock}<> <(:)
	while ! read -rt "$every" -u "$clock"; do
		n=$(grep -cE '^  (CC|AS|LD|AR|RUSTC|HOSTCC)' "$log" 2>/dev/null) || n=0
		SECONDS_RUN=$((SECONDS - start))
		[ "$n" = 0 ] && n='' || n="$n${total:+ of about $total} steps, "
		# shellcheck disable=SC2059
		printf "$cr    %s: %s%s$eol" "$label" "$n" "$(elapsed)"
	done
}

# unreachable LOG WHAT: the line for a download that failed; the log is apt's.
unreachable()
{
	local host

	host=$(sed -nE 's,^(Err:|W: |E: ).*(https?://[^/ ]+).*,\2,p' "$1" | head -n 1)
	echo "cannot download $2: ${host:-a package source} cannot be reached; give KERNEL_SRC=<tree or tarball> and TOOLCHAIN=host to use what this host has"
}

# run_logged LABEL LOG TOTAL COMMAND...: output goes to LOG; progress, and on
# failure the end of the log, to the terminal.  TOTAL may be empty.
run_logged()
{
	local label=$1 log=$2 total=$3 start=$SECONDS pid rc=0 hint
	shift 3

	mkdir -p "$(dirname "$log")"
	if [ "$V" != 0 ]; then
		"$@" 2>&1 | tee "$log" || rc=$?
	else
		# The command stays in the foreground: a background job of a
		# script ignores ^C.
		: >"$log" || die "cannot write $log; is the disk full?"
		ticker "$label" "$log" "$total" 7>&- 8>&- 9>&- &
		pid=$!
		# shellcheck disable=SC2064 # the pid of now
		trap "kill $pid 2>/dev/null || :" EXIT
		"$@" >"$log" 2>&1 || rc=$?
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
		trap - EXIT
		[ ! -t 1 ] || printf '\r\033[K'
	fi
	SECONDS_RUN=$((SECONDS - start))
	[ -z "${DUP_MMAP_TIMES:-}" ] || printf '%6d %s\n' "$SECONDS_RUN" "$label" >>"$DUP_MMAP_TIMES"
	[ "$rc" -ne 0 ] || return 0
	[ "$rc" -lt 129 ] || failed "$rc" ""
	if grep -qE '^(W|E): Failed to fetch|^E: Unable to locate package' "$log"; then
		die "$(unreachable "$log" "what $label needs") (log: $log)"
	fi
	[ "$V" != 0 ] || tail -n 30 "$log" >&2
	hint="full log: $log"
	if grep -q 'No space left on device' "$log"; then
		hint="no space left on device ($(df -Ph "$(dirname "$log")" | awk 'NR == 2 { print $6 ": " $4 " free" }')); free some and run again"
	fi
	die "$label failed after $(elapsed); $hint" 1
}

sha()
{
	sha256sum "$@" | cut -d' ' -f1
}

# json_array FILE...: their lines, each of which is an object, as one array.
json_array()
{
	echo "["
	cat -- "$@" | sed 's/^/\t/; $!s/$/,/'
	echo "]"
}

# patterns FILE: the extended regular expressions of configs/FILE, one a line.
# One that grep cannot use, or that matches a blank line and so nearly anything,
# ends the script: what is looked for with such a list is not found.
patterns()
{
	local line nr=0 rc said

	[ -r "$TOP/configs/$1" ] || die "cannot read configs/$1"
	while IFS= read -r line || [ -n "$line" ]; do
		nr=$((nr + 1))
		case $line in
		'' | '#'*) continue ;;
		esac
		rc=0
		said=$(grep -E -e "$line" <<<$'\n \n\t' 2>&1 >/dev/null) || rc=$?
		case $rc in
		0) die "configs/$1:$nr: '$line' matches a blank line, and so nearly anything" ;;
		1) printf '%s\n' "$line" ;;
		*) die "configs/$1:$nr: '$line' is no regular expression (${said#grep: })" ;;
		esac
	done <"$TOP/configs/$1"
}

# without PATTERNS: of the lines of stdin those that match none of them.
without()
{
	local rc=0

	[ -n "$1" ] || { cat; return; }
	grep -avE -e "$1" || rc=$?
	[ "$rc" -le 1 ] || die "grep failed with $rc"
}

# add_numbers CODE FILE: add the numbers of the last line of a command's output,
# "N passed, N failed, N skipped", to PASSED, FAILED and SKIPPED.  Fails if there
# are none, or if they are not what a command that ends with CODE has to say.
add_numbers()
{
	[[ $(tail -n1 "$2") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]] || return 1
	PASSED=$((PASSED + BASH_REMATCH[1]))
	FAILED=$((FAILED + BASH_REMATCH[2]))
	SKIPPED=$((SKIPPED + BASH_REMATCH[3]))
	case $1,${BASH_REMATCH[1]},${BASH_REMATCH[2]},${BASH_REMATCH[3]} in
	[!0]*,*,[!0]*,* | 0,[!0]*,0,* | 4,0,0,[!0]*) ;;
	*) return 1 ;;
	esac
}

# add_up NAME COMMAND...: run a command and add its numbers.
add_up()
{
	local name=$1 out rc=0
	shift

	out=$(mktemp)
	"$@" | tee "$out" || rc=$?
	if ! add_numbers "$rc" "$out"; then
		# It did not come to its end and has said why, or did nothing.
		echo "FAILED  $name ended with $rc"
		FAILED=$((FAILED + 1))
	fi
	rm -f "$out"
	[ "$rc" -lt 129 ] || exit "$rc"
}

# try NAME COMMAND...: one result.
try()
{
	local name=$1
	shift

	if "$@" </dev/null; then
		PASSED=$((PASSED + 1))
		echo "ok      $name"
	else
		FAILED=$((FAILED + 1))
		echo "FAILED  $name"
	fi
}

# shard WORD...: the words of the part SHARD=I/N, a line each. All, if it is not set.
shard()
{
	local part of nr=0 word

	[[ ${SHARD:=1/1} =~ ^([1-9][0-9]{0,5})/([1-9][0-9]{0,5})$ ]] || die "SHARD=$SHARD is no part; say I/N, such as 1/2"
	part=${BASH_REMATCH[1]} of=${BASH_REMATCH[2]}
	[ "$part" -le "$of" ] || die "SHARD=$SHARD: there are $of parts"
	[ "$of" -le $# ] || die "SHARD=$SHARD: there is not something for each part, but $# in all"
	for word; do
		nr=$((nr % of + 1))
		[ "$nr" != "$part" ] || echo "$word"
	done
}

# The last line of a command that add_up() can run, and its exit code.
sum_up()
{
	echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
	[ "$FAILED" = 0 ] || exit 1
	[ "$PASSED" != 0 ] || exit 4
}

# The command that kbuild compiled the module's crate with, without its outputs
# and its source: what else compiles that crate does so with the same flags.
crate_command()
{
	local cmd=$MOD/rust/.dup_mmap_recovery.o.cmd

	[ -f "$cmd" ] || die "the module is not built for $ARCH-$FLAVOUR; run: make demo, or scripts/module"
	echo "RUSTC_BOOTSTRAP=1 DUP_MMAP_BINDINGS=$MOD/rust/bindings/generated.rs DUP_MMAP_EXAMPLES=$MOD/rust/kunit/generated.rs $(sed -nE '1s/^savedcmd_[^ ]+ := (.*) --out-dir .*$/\1/p' "$cmd")"
}
