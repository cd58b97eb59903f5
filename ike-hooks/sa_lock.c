#include "ike-hooks/sa_lock.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

void *sa_lock_alloc(size_t n, size_t size)
{
	size_t bytes;

	if (sodium_init() < 0 || n == 0 || __builtin_mul_overflow(n, size, &bytes)) {
		errno = EINVAL;
		return NULL;
	}
	/* The block ends at a page: in multiples of 16 it begins where any type may. */
	bytes = (bytes + 15) & ~(size_t)15;
	void *p = sodium_malloc(bytes);
	if (!p)
		return NULL;
	/* sodium_malloc locks it if it can, and does not say whether it could. */
	if (sodium_mlock(p, bytes) != 0) {
		int err = errno;
		sodium_free(p);
		errno = err;
		return NULL;
	}
	memset(p, 0, bytes);
	return p;
}

void sa_lock_free(void *p)
{
	sodium_free(p);
}
