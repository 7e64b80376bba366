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
	@scripts/check-kdir $(KDIR)
	$(KBUILD) modules

modules_install: modules
	$(KBUILD) modules_install

rust-analyzer:
	@scripts/check-kdir $(KDIR)
	$(KBUILD) rust-analyzer

clean:
	@if [ -f $(KDIR)/Makefile ] && [ -f Module.symvers ]; then $(KBUILD) clean; fi
	rm -rf build

demo:
	@scripts/demo

vm:
	@scripts/demo shell

kernel:
	@scripts/kernel

check:
	@scripts/check

kselftest:
	@scripts/check $(T)

lint:
	@scripts/lint

patches-check:
	@scripts/patches-check

help:
	@echo 'make demo             from nothing to a fork that fails and is recovered, in a VM'
	@echo 'make vm               a shell in that VM, module loaded'
	@echo 'make check            all tests, in a VM with the debug kernel'
	@echo 'make kselftest T=name one of them'
	@echo 'make kernel           build the patched kernel [FLAVOUR=lean|debug]'
	@echo 'make                  the module only, for a kernel built already [KDIR=]'
	@echo 'make modules_install  install that module for KDIR'
	@echo 'make lint             rustfmt, clippy, checkpatch, shellcheck'
	@echo 'make patches-check    do the kernel patches still apply'
	@echo 'make rust-analyzer    rust-project.json for an editor [KDIR=]'
	@echo 'make clean            remove build/ and what a module build left'
	@echo
	@echo 'Variables: ARCH (x86_64), FLAVOUR (lean; debug for tests), V=1, JOBS,'
	@echo 'KERNEL_SRC=<tree or tarball>, TOOLCHAIN=host, ACCEL=tcg|kvm, DUP_MMAP_CACHE.'

.PHONY: modules modules_install rust-analyzer clean demo vm kernel check kselftest lint \
	patches-check help
