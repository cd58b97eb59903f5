/*
 * Purpose: assertions that stay on in release builds: a programmer's error ends the process before it can do harm.
 * Owns:    nothing.
 * Thread:  any.
 * In/Out:  require(condition). On failure the flight recorder is dumped (see log.h) and the process aborts.
 * Errors:  does not return on failure.
 */
#ifndef KT_BASE_REQUIRE_H
#define KT_BASE_REQUIRE_H

/* The hook tells the reader (log.c sets it); without one the C library's assertion text goes to stderr. NULL unsets. */
void require_on_fail(void (*hook)(const char *expr, const char *file, int line));

/* Runs the hook set with require_on_fail (or prints where and what), aborts. */
_Noreturn void require_failed(const char *expr, const char *file, int line);

#define require(cond) ((cond) ? (void)0 : require_failed(#cond, __FILE__, __LINE__))

#endif
