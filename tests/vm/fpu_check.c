/*
 * The test of fpu.c, for the virtual machine: several threads keep values of their own in vector registers while the
 * kernel switches between them and signals come in. Threads, because linux.uml runs those of one process on one task of
 * the host, whose registers it exchanges. Status 0 when none ever found another one's values.
 */
#include <immintrin.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/time.h>

enum { TASKS = 4, ROUNDS = 300 };

static pthread_barrier_t begin;

static void on_alarm(int number)
{
	(void)number;
}

__attribute__((target("avx512f"), noinline)) static int rounds_512(uint32_t seed)
{
	/* zmm17 and k3 lie behind what VM_FPU_BUFFER=832 leaves of the buffer */
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t in[16], out[16];
		uint64_t mask = seed & 0xffff, seen = 0;
		long call = 24; /* sched_yield: the task gives its turn away between the two halves */
		for (unsigned n = 0; n < 16; n++)
			in[n] = seed + n;
		__asm__ volatile("vmovdqu32 %[in], %%zmm17\n\tkmovw %k[mask], %%k3\n\tsyscall\n\t"
				 "vmovdqu32 %%zmm17, %[out]\n\tkmovw %%k3, %k[seen]"
				 : [out] "=m"(out), [seen] "+r"(seen), "+a"(call)
				 : [in] "m"(in), [mask] "r"(mask)
				 : "rcx", "r11", "xmm17", "k3", "memory");
		for (unsigned n = 0; n < 16; n++)
			if (out[n] != seed + n)
				return 1;
		if (seen != mask)
			return 2;
	}
	return 0;
}

__attribute__((target("avx"), noinline)) static int rounds_256(uint32_t seed)
{
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t in[8], out[8];
		long call = 24;
		for (unsigned n = 0; n < 8; n++)
			in[n] = seed + n;
		__asm__ volatile("vmovdqu %[in], %%ymm7\n\tsyscall\n\tvmovdqu %%ymm7, %[out]"
				 : [out] "=m"(out), "+a"(call)
				 : [in] "m"(in)
				 : "rcx", "r11", "xmm7", "memory");
		for (unsigned n = 0; n < 8; n++)
			if (out[n] != seed + n)
				return 3;
	}
	return 0;
}

static void *task(void *number)
{
	uint32_t seed = 0x01010101u * (uint32_t)(uintptr_t)number;

	pthread_barrier_wait(&begin);
	int result = __builtin_cpu_supports("avx") ? rounds_256(seed) : 0;
	if (result == 0 && __builtin_cpu_supports("avx512f"))
		result = rounds_512(seed);
	return (void *)(intptr_t)result;
}

int main(void)
{
	struct itimerval often = { { 0, 10000 }, { 0, 10000 } };
	pthread_t threads[TASKS];
	int bad = 0;

	pthread_barrier_init(&begin, NULL, TASKS + 1);
	signal(SIGALRM, on_alarm);
	for (uintptr_t i = 0; i < TASKS; i++)
		if (pthread_create(&threads[i], NULL, task, (void *)(i + 1)) != 0)
			return 1;
	pthread_barrier_wait(&begin);
	setitimer(ITIMER_REAL, &often, NULL);
	for (unsigned i = 0; i < TASKS; i++) {
		void *result = NULL;
		if (pthread_join(threads[i], &result) != 0 || result) {
			printf("thread %u found other values than its own (%d)\n", i, (int)(intptr_t)result);
			bad = 1;
		}
	}
	if (!bad)
		puts("registers kept");
	return bad;
}
