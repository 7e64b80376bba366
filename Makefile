# SPDX-License-Identifier: GPL-2.0
#
# What a person types; "make help" lists it.  Kbuild is what the kernel's build
# reads.  The work is done by scripts/, each of which says what it takes.

ARCH ?= $(patsubst aarch64,arm64,$(shell uname -m))
KDIR ?= /lib/modules/$(shell uname -r)/build

# Variables given on the command line or in the environment reach the scripts;
# these defaults are for the module only.
KBUILD = $(MAKE) -C $(KDIR) M=$(CURDIR) LLVM=$(or $(LLVM),1) ARCH=$(ARCH)

# The module only, for a kernel that is built already.
modules:
	@scripts/check-kdir $(KDIR) $(ARCH)
	$(KBUILD) modules

modules_install: modules
	$(KBUILD) modules_install

rust-analyzer:
	@scripts/check-kdir $(KDIR) $(ARCH)
	$(KBUILD) rust-analyzer

# What a module build leaves in place; no kernel is needed to remove it.
clean:
	rm -rf build/*/module build/*/clippy build/*/selftests build/*/initramfs* build/*/mutants \
		build/*/compile-fail build/*/controls build/*/rustdoc build/artifacts
	rm -f Module.symvers modules.order rust-project.json rust/bindings/generated.rs rust/kunit/generated.rs .module-common.o
	find . -path ./build -prune -o -path ./.git -prune -o -type f \( -name '*.o' -o -name '*.ko' -o \
		-name '*.mod' -o -name '*.mod.c' -o -name '.*.cmd' -o -name '.*.d' -o -name '*.rmeta' \) -exec rm -f {} +

distclean: clean
	rm -rf build

demo:
	@scripts/demo

vm:
	@scripts/demo shell

kernel:
	@scripts/kernel

check:
	@scripts/check

quick:
	@scripts/quick

mutants:
	@scripts/mutants

# Other page tables: not a part of "make check".
check-64k:
	@ARCH=arm64 FLAVOUR=debug-64k scripts/kselftest

# Never undone: in a guest of its own.
check-lockdown:
	@FLAVOUR=lean-lockdown scripts/kselftest lockdown.sh

check-race:
	@scripts/check-race

storm:
	@scripts/storm

kcsan:
	@scripts/kcsan $(T)

artifacts:
	@scripts/artifacts

kselftest:
	@scripts/kselftest $(T)

soak:
	@scripts/soak

coverage:
	@scripts/coverage

programs:
	@scripts/programs

bench:
	@scripts/bench

bench-check:
	@scripts/bench --check

report:
	@scripts/report

kunit:
	@scripts/kselftest kunit.sh

compile-fail:
	@scripts/compile-fail

controls:
	@scripts/controls

rustdoc:
	@scripts/rustdoc

lint:
	@scripts/lint

patches-check:
	@scripts/patches-check

help:
	@echo 'make demo             from nothing to a fork that fails and is recovered, in a VM'
	@echo 'make vm               a shell in that VM, module loaded'
	@echo 'make quick            all tests on User Mode Linux, in two minutes [FLAVOUR=lean|debug]'
	@echo 'make check            all tests on um, x86_64 and arm64, with the debug kernels'
	@echo 'make kselftest T=name one of them, on one architecture'
	@echo 'make soak             hours: a million failed forks and address spaces; SHARD=I/N is a part of it'
	@echo 'make storm            load and unload 1,000 times, on four CPUs, while others do all they can'
	@echo 'make kcsan            tests on a kernel that looks for data races'
	@echo 'make artifacts        kernel, module, tests, and jobs for LAVA and tuxrun, for other machines'
	@echo 'make programs         stress-ng, PostgreSQL, Python and others while one fork in ten fails'
	@echo 'make bench            what fork() costs, in instructions: tables, plots, a page'
	@echo 'make bench-check      has one of its ratios become worse than it was'
	@echo 'make report           all results and the timeline of a failed fork, on one page'
	@echo 'make kunit            the KUnit tests, which run when the module is loaded'
	@echo 'make compile-fail     does what must not compile fail to'
	@echo 'make controls         does each check report what it is there to report'
	@echo 'make mutants          do the tests notice mistakes made on purpose, one at a time'
	@echo 'make coverage         which regions of the source the tests reach: all, or there is a reason'
	@echo 'make check-race       swapoff and uprobes kill a kernel without the fix, and not with it'
	@echo 'make check-64k        the tests on arm64 with pages of 64 kB'
	@echo 'make check-lockdown   what a kernel that is locked down lets root do'
	@echo 'make kernel           build the patched kernel [FLAVOUR=lean|debug]'
	@echo 'make                  the module only, for a kernel built already [KDIR=]'
	@echo 'make modules_install  install that module for KDIR'
	@echo 'make lint             rustfmt, clippy, checkpatch, shellcheck'
	@echo 'make patches-check    do the kernel patches still apply, and compile one by one'
	@echo 'make rustdoc          documentation of the Rust code, warnings are errors'
	@echo 'make rust-analyzer    rust-project.json for an editor [KDIR=]'
	@echo 'make clean            remove what was built, but for the kernels'
	@echo 'make distclean        remove build/ altogether (the cache stays)'
	@echo
	@echo 'Variables: ARCH (x86_64, arm64, um; the host'"'"'s), FLAVOUR (lean; debug for tests), V=1, JOBS,'
	@echo 'KERNEL_SRC=<tree or tarball>, TOOLCHAIN=host, ACCEL=tcg|kvm, DUP_MMAP_CACHE.'

.PHONY: modules modules_install rust-analyzer clean distclean demo vm kernel check quick \
	mutants check-64k check-lockdown check-race bench bench-check coverage report compile-fail controls kselftest soak storm kcsan kunit rustdoc lint patches-check artifacts programs help
