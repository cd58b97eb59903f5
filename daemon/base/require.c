#undef NDEBUG
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "daemon/base/require.h"

static void (*_Atomic on_fail)(const char *expr, const char *file, int line);

void require_on_fail(void (*hook)(const char *expr, const char *file, int line))
{
	on_fail = hook;
}

void require_failed(const char *expr, const char *file, int line)
{
	/* Taken once: a failure inside the hook must not call it again. */
	void (*hook)(const char *, const char *, int) = atomic_exchange(&on_fail, NULL);
	if (!hook)
		__assert_fail(expr, file, (unsigned)line, "require");
	hook(expr, file, line);
	abort();
}
