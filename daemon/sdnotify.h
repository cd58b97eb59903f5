/*
 * Purpose: tells the service manager about our state (protocol of sd_notify(3): datagrams to $NOTIFY_SOCKET).
 * Owns:    one non-blocking socket.
 * Thread:  CONTROL.
 * In:      states.   Out: datagrams.
 * Errors:  without a service manager every call is a no-op; a full socket drops the message (the next one follows).
 */
#ifndef KT_SDNOTIFY_H
#define KT_SDNOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID, and removes them from the environment (hooks inherit it). */
void sdnotify_init(void);
void sdnotify_done(void);
void sdnotify_ready(void);
/* Begin of a reload; end it with sdnotify_ready. */
void sdnotify_reloading(void);
void sdnotify_stopping(void);
void sdnotify_status(const char *text);
void sdnotify_watchdog(void);
/* Interval at which sdnotify_watchdog is expected (half of the configured time), 0: no watchdog. */
int64_t sdnotify_watchdog_ns(void);
bool sdnotify_active(void);

#endif
