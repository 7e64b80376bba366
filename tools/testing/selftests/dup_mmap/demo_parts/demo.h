/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of dup_mmap_demo.c share. */
#ifndef DM_DEMO_H
#define DM_DEMO_H

#include <stdbool.h>
#include <sys/types.h>

#include "../dup_mmap.h"

/* The VMAs of this process, which no fork is to change. */
extern struct dm_maps maps;
/* What one of them is, in words. */
const char *kind_of(const struct dm_vma *vma);

/* Prints what holds; or, if why is not "", that it does not, and the demo has failed. */
void verdict(const char *what, const char *why);
/* "" or what has changed of this process. */
const char *check_memory(void);

/* The last part: a fork that fails at this VMA, held under each recovery. */
void show_window(int index);

/* What the other thread of this process does when it is asked to map a page. */
enum thread { NOT_ASKED, GOES_ON, WAITS, LOST };

/* For the outsider, in one write: what the thread has to come to before the fork is let go. */
struct job {
	bool last;		/* there is nothing more to do */
	enum thread thread;
};

/* What it has seen. */
struct look {
	bool held;		/* the fork, as long as it took to look */
	enum thread thread;
	char text[8192];	/* hold/observe */
};

/* Before anybody looks at the VMAs: a thread takes memory from the heap. "" or why not. */
const char *start_thread(void);
/* Another process: it looks at each held fork of this one, and lets it go. */
pid_t start_outsider(void);
bool give_job(const struct job *job);
bool get_look(struct look *look);

#endif /* DM_DEMO_H */
