/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How often each region of dup_mmap() and of the module has run, for scripts/coverage.
 * Compiled into mm/dup_mmap.c of a kernel that is built for nothing else.
 *
 * The compiler gives each region a counter (clang's and rustc's coverage of the source).
 * Those of the kernel stay. Those of the module are in its data, and are added up here
 * whenever it is unloaded: the tests unload it again and again.
 */
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/seq_file.h>
#include <linux/string.h>

/* More than the module has: the file cannot be read if it is not. */
#define DUP_MMAP_MAX	16384

extern u64 __start___llvm_prf_cnts[], __stop___llvm_prf_cnts[];

/* The module's, of earlier times that it was loaded; where they are now, and end. */
static u64 dup_mmap_sum[DUP_MMAP_MAX];
static u64 *dup_mmap_now[2];
/* Held to use these two. While it is, the module cannot get past its notifier and be freed. */
static DEFINE_MUTEX(dup_mmap_counters_lock);

/* Before it is begun, and when it has nothing to run any more. */
static int dup_mmap_coverage_notify(struct notifier_block *nb, unsigned long state, void *data)
{
	const struct module *mod = data;
	u64 **counters;
	long i;

	if (strcmp(mod->name, "dup_mmap_recovery"))
		return NOTIFY_OK;
	guard(mutex)(&dup_mmap_counters_lock);
	if (state == MODULE_STATE_COMING && mod->num_syms == 1) {
		/* What begins struct kernel_symbol: of dup_mmap_counters, the only one. */
#ifdef CONFIG_HAVE_ARCH_PREL32_RELOCATIONS
		counters = offset_to_ptr((const int *)mod->syms);
#else
		counters = *(u64 **const *)mod->syms;
#endif
		memcpy(dup_mmap_now, counters, sizeof(dup_mmap_now));
	} else if (state == MODULE_STATE_GOING) {
		for (i = 0; i < dup_mmap_now[1] - dup_mmap_now[0] && i < DUP_MMAP_MAX; i++)
			dup_mmap_sum[i] += dup_mmap_now[0][i];
		memset(dup_mmap_now, 0, sizeof(dup_mmap_now));
	}
	return NOTIFY_OK;
}

static struct notifier_block dup_mmap_coverage_nb = { .notifier_call = dup_mmap_coverage_notify };

/* Of each counter that is not 0 its number. */
static int dup_mmap_coverage_show(struct seq_file *m, void *unused)
{
	long i, nr = __stop___llvm_prf_cnts - __start___llvm_prf_cnts;

	guard(mutex)(&dup_mmap_counters_lock);
	seq_printf(m, "kernel has %ld\n", nr);
	for (i = 0; i < nr; i++)
		if (__start___llvm_prf_cnts[i])
			seq_printf(m, "kernel %ld %llu\n", i, __start___llvm_prf_cnts[i]);
	nr = dup_mmap_now[1] - dup_mmap_now[0];
	if (nr > DUP_MMAP_MAX)
		return -E2BIG;
	seq_printf(m, "module has %ld\n", nr);
	for (i = 0; i < nr; i++)
		if (dup_mmap_sum[i] + dup_mmap_now[0][i])
			seq_printf(m, "module %ld %llu\n", i, dup_mmap_sum[i] + dup_mmap_now[0][i]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(dup_mmap_coverage);

static int __init dup_mmap_coverage_init(void)
{
	debugfs_create_file("dup_mmap_coverage", 0400, NULL, NULL, &dup_mmap_coverage_fops);
	return register_module_notifier(&dup_mmap_coverage_nb);
}
late_initcall(dup_mmap_coverage_init);
