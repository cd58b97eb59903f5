/*
 * Lets linux.uml (6.1) keep its tasks' floating point registers on processors that have more of them than it knows.
 *
 * linux.uml moves the registers of a task with PTRACE_GETREGSET and PTRACE_SETREGSET (NT_X86_XSTATE) and a buffer of a
 * fixed size; Debian's has 2696 bytes, enough for AVX-512, while an area with the tiles of AMX has 11008. Reading less
 * than there is works. Writing less than there is does not: the host's kernel takes the whole area or nothing
 * (arch/x86/kernel/fpu/regset.c, xstateregs_set), and linux.uml then ends. This library, preloaded, stands between
 * linux.uml and ptrace: what does not fit into the buffer of a task is kept here, found by the buffer's address, and is
 * put behind the buffer's bytes when they are written back.
 *
 * VM_FPU_BUFFER in the environment, a number of bytes, makes the buffer smaller than it is: so fpu_check.c tests this on
 * any processor with AVX-512.
 */
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* More than any processor of today needs. */
enum { AREA_MAX = 65536 };
/* The header behind the 512 bytes of FXSAVE begins with XSTATE_BV, the set of parts that the area holds (Intel SDM 1,
 * 13.4.2); x87, SSE and this header are always there. */
enum { XSTATE_BV_AT = 512, HEADER_END = 576, PARTS = 63 };
/* Protection keys. Each task has them set, so they cannot begin anew. */
static const uint64_t PART_PKRU = UINT64_C(1) << 9;

/* The rest of one task's area. */
struct rest {
	struct rest *next;
	const void *owner;
	size_t size;
	uint8_t bytes[];
};

static struct rest *by_owner[512];

static struct rest **slot_of(const void *owner)
{
	struct rest **at = &by_owner[((uintptr_t)owner >> 6) % (sizeof by_owner / sizeof *by_owner)];
	while (*at && (*at)->owner != owner)
		at = &(*at)->next;
	return at;
}

static void keep(const void *owner, const uint8_t *bytes, size_t size)
{
	struct rest **at = slot_of(owner);
	if (!*at) {
		*at = calloc(1, sizeof **at + size);
		if (!*at)
			return; /* the task's further registers begin anew, as those of a new task do */
		(*at)->owner = owner;
		(*at)->size = size;
	}
	if ((*at)->size == size) /* it is the processor's, and never changes */
		memcpy((*at)->bytes, bytes, size);
}

static long regset(long request, pid_t task, uint8_t *area, size_t *size)
{
	struct iovec all = { .iov_base = area, .iov_len = *size };
	long result = syscall(SYS_ptrace, request, task, (void *)NT_X86_XSTATE, &all);
	*size = all.iov_len;
	return result;
}

/* The parts of an area that lie wholly within its first bytes (Intel SDM 1, 13.5: CPUID leaf 0DH). */
static uint64_t parts_within(size_t bytes)
{
	static uint64_t parts;
	if (parts) /* asking a processor that is virtual itself takes long; bytes are the same each time */
		return parts;
	parts = 3;
	for (unsigned part = 2; part < PARTS; part++) {
		unsigned size = 0, offset = 0, c, d;
		if (__get_cpuid_count(0x0d, part, &size, &offset, &c, &d) && size && offset + size <= bytes)
			parts |= UINT64_C(1) << part;
	}
	return parts;
}

static size_t buffer_size(const struct iovec *buffer)
{
	const char *text = getenv("VM_FPU_BUFFER");
	size_t limit = text ? strtoul(text, NULL, 10) : 0;
	return limit >= HEADER_END && limit < buffer->iov_len ? limit : buffer->iov_len;
}

static long get(pid_t task, struct iovec *buffer)
{
	static uint8_t area[AREA_MAX];
	size_t size = sizeof area;
	long result = regset(PTRACE_GETREGSET, task, area, &size);
	if (result < 0)
		return result;
	size_t fits = buffer_size(buffer);
	if (size > fits)
		keep(buffer->iov_base, area + fits, size - fits);
	else
		fits = size;
	memcpy(buffer->iov_base, area, fits);
	buffer->iov_len = fits;
	return 0;
}

static long set(pid_t task, const struct iovec *buffer)
{
	static uint8_t area[AREA_MAX];
	const struct rest *rest = *slot_of(buffer->iov_base);
	size_t size = sizeof area, fits = buffer_size(buffer);
	uint64_t parts;

	/* What the task has now gives the size, and the keys of a task that is new here. */
	if (regset(PTRACE_GETREGSET, task, area, &size) < 0)
		return -1;
	memcpy(area, buffer->iov_base, size < fits ? size : fits);
	if (size > fits && rest && rest->size == size - fits) {
		memcpy(area + fits, rest->bytes, rest->size);
	} else if (size > fits) {
		memcpy(&parts, area + XSTATE_BV_AT, sizeof parts);
		parts &= parts_within(fits) | PART_PKRU;
		memcpy(area + XSTATE_BV_AT, &parts, sizeof parts);
	}
	return regset(PTRACE_SETREGSET, task, area, &size);
}

/* The C library's function, with its conventions (ptrace(2), "C library/kernel differences"). */
long ptrace(enum __ptrace_request request, ...)
{
	va_list more;
	va_start(more, request);
	pid_t task = va_arg(more, pid_t);
	void *address = va_arg(more, void *);
	void *data = va_arg(more, void *);
	va_end(more);

	if (request == PTRACE_GETREGSET && address == (void *)NT_X86_XSTATE)
		return get(task, data);
	if (request == PTRACE_SETREGSET && address == (void *)NT_X86_XSTATE)
		return set(task, data);
	if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
		long word = 0;
		if (syscall(SYS_ptrace, (long)request, task, address, &word) < 0)
			return -1;
		errno = 0;
		return word;
	}
	return syscall(SYS_ptrace, (long)request, task, address, data);
}
