/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Making fork() fail at a chosen point of dup_mmap() and judging the result.
 * Each header below is of one part of lib/, which says what it is for.
 *
 * A check here is a function that returns "" when all is well and otherwise
 * one sentence saying what is wrong, so that harness tests, the demo and loops
 * over many cases can share it. The sentence is in a static buffer which the
 * next check overwrites.
 *
 * Nothing between the two snapshots around a fork may change the address space
 * of the process: no malloc(), no stdio streams, all large buffers are static.
 */
#ifndef DUP_MMAP_H
#define DUP_MMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kselftest.h"

#include "lib/allocations.h"
#include "lib/cgroup.h"
#include "lib/counters.h"
#include "lib/drain.h"
#include "lib/fork.h"
#include "lib/forker.h"
#include "lib/fuse.h"
#include "lib/hold.h"
#include "lib/io.h"
#include "lib/ksm.h"
#include "lib/layouts.h"
#include "lib/maps.h"
#include "lib/model.h"
#include "lib/module.h"
#include "lib/mounts.h"
#include "lib/others.h"
#include "lib/outsiders.h"
#include "lib/overcommit.h"
#include "lib/points.h"
#include "lib/record.h"
#include "lib/scene.h"
#include "lib/settings.h"
#include "lib/shoot.h"
#include "lib/sights.h"
#include "lib/stay.h"
#include "lib/swap.h"
#include "lib/tally.h"
#include "lib/tasks.h"
#include "lib/trace.h"
#include "lib/victim.h"
#include "lib/view.h"
#include "lib/watchdog.h"
#include "lib/worker.h"

#endif /* DUP_MMAP_H */
