/* Threads beside CONTROL. */
#include "daemon/base/thread.h"
#include <sched.h>
#include <signal.h>

int thread_start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	struct sched_param usual = { 0 };
	size_t stack = THREAD_STACK_BYTES;
	pthread_attr_t attr;
	sigset_t all, old;
#ifdef KT_SANITIZED
	stack *= 8; /* instrumented frames are several times larger */
#endif
	int rc = pthread_attr_init(&attr);
	if (rc)
		return -rc;
	rc = pthread_attr_setstacksize(&attr, stack);
	if (rc == 0)
		rc = pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	if (rc == 0)
		rc = pthread_attr_setschedpolicy(&attr, SCHED_OTHER);
	if (rc == 0)
		rc = pthread_attr_setschedparam(&attr, &usual);
	if (rc == 0) {
		sigfillset(&all); /* the thread inherits the mask */
		pthread_sigmask(SIG_SETMASK, &all, &old);
		rc = pthread_create(thread, &attr, fn, arg);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	pthread_attr_destroy(&attr);
	return -rc;
}
