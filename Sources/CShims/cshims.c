#define _GNU_SOURCE
#include "cshims.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

char *fpo_message(void) {
    static _Thread_local char message[fpo_message_capacity];
    return message;
}

float *fpo_scratch(void) {
    static _Thread_local _Alignas(64) float scratch[fpo_scratch_count];
    return scratch;
}

int32_t fpo_detect_cpu_level(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) return 4;
    if (__builtin_cpu_supports("x86-64-v3")) return 3;
    return 2;
}

const char *fpo_environment_variable(const char *name) { return getenv(name); }

void fpo_futex_wait(const void *word, int32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void fpo_futex_wake(const void *word, int32_t count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

void fpo_cpu_pause(void) { __builtin_ia32_pause(); }

void fpo_thread_yield(void) { sched_yield(); }

/* Processors that the cgroup v2 quota allows, rounded up; 0 if there is no quota. */
static int32_t quota_processors(void) {
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (!file) return 0;
    long quota = 0, period = 0;
    int fields = fscanf(file, "%ld %ld", &quota, &period);
    fclose(file);
    return fields == 2 && quota > 0 && period > 0 ? (int32_t)((quota + period - 1) / period) : 0;
}

int32_t fpo_available_processors(void) {
    cpu_set_t mask;
    int32_t count = 1;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0) count = CPU_COUNT(&mask);
    int32_t quota = quota_processors();
    if (quota > 0 && quota < count) count = quota;
    return count > 0 ? count : 1;
}

void fpo_at_fork_child(void (*handler)(void)) { pthread_atfork(NULL, NULL, handler); }

int32_t fpo_start_thread(void *(*body)(void *), void *argument) {
    sigset_t all, previous;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &previous);
    int failure = pthread_create(&thread, NULL, body, argument);
    pthread_sigmask(SIG_SETMASK, &previous, NULL);
    if (failure == 0) pthread_detach(thread);
    return failure;
}

void *fpo_allocate(size_t bytes) {
    const size_t huge = (size_t)2 << 20;
    void *memory = NULL;
    if (posix_memalign(&memory, bytes < 2 * huge ? 64 : huge, bytes) != 0) return NULL;
    /* A walk through weights meets one page boundary in 2 MB instead of 512. A wish only. */
    if (bytes >= 2 * huge) (void)madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}
