/* What Swift cannot spell: thread-local text, CPU detection, futexes, fork hooks. */
#ifndef FPO_CSHIMS_H
#define FPO_CSHIMS_H

#include <stddef.h>
#include <stdint.h>

/* This thread's last error message: a buffer of fpo_message_capacity bytes, always terminated. */
enum { fpo_message_capacity = 512 };
char *fpo_message(void);

/* The x86-64 level of this processor (4, 3, or 2 for anything less). */
int32_t fpo_detect_cpu_level(void);

/* The value of an environment variable, or NULL. */
const char *fpo_environment_variable(const char *name);

void fpo_futex_wait(const void *word, int32_t expected);
void fpo_futex_wake(const void *word, int32_t count);
void fpo_cpu_pause(void);
void fpo_thread_yield(void);

/* How many processors this process may run on: the affinity mask, and the cgroup's quota. */
int32_t fpo_available_processors(void);

/* Calls `handler` in the child after each fork(). */
void fpo_at_fork_child(void (*handler)(void));

/* Starts a detached thread that runs `body(argument)` with all signals blocked; 0 on success. */
int32_t fpo_start_thread(void *(*body)(void *), void *argument);

/* This thread's scratch memory, 64-byte aligned: fpo_scratch_count floats, of no known value. For
 * the length of one call of one kernel. */
enum { fpo_scratch_count = 65536 };
float *fpo_scratch(void);

/* 64-byte aligned memory, or NULL. Freed by free(). */
void *fpo_allocate(size_t bytes);

#endif
