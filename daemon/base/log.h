/*
 * Purpose: log lines that never block: datagrams to /dev/log (or stderr), and a flight recorder of the newest lines.
 * Owns:    the socket and the recorder.
 * Thread:  any; the recorder is lock-free for writers (a slot may be overwritten while it is read, never torn in use:
 *          each slot has a sequence number).
 * In/Out:  one line per call, no trailing newline.
 * Errors:  a full or absent reader drops the line and counts it (log_dropped).
 */
#ifndef KT_BASE_LOG_H
#define KT_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_L_ERR = 3, LOG_L_WARN = 4, LOG_L_NOTICE = 5, LOG_L_INFO = 6, LOG_L_DEBUG = 7 };

/* One switch per subsystem for DEBUG; the rest is always on. */
enum log_sub { LOG_MAIN = 0, LOG_CFG, LOG_VRRP, LOG_ROLE, LOG_NET, LOG_SYNC, LOG_IKE, LOG_CTL, LOG_SUB_N };

#define LOG_LINE_MAX 480
#define LOG_RECORDS  4096

struct log_conf {
	const char *ident;        /* syslog tag */
	const char *ident_router; /* of lines that are not about the process itself (main, cfg, ctl); NULL: the same */
	const char *dev;          /* path of the syslog socket; NULL: /dev/log */
	bool to_stderr; /* also write to stderr, non-blocking, with "<N>" prefixes if stderr is a journal stream */
	bool to_syslog;
	const char *file; /* lines go to this file too; NULL: none */
	int facility;     /* of syslog, as code * 8; 0: daemon */
	bool bare;        /* lines do not begin with the name of their subsystem */
	bool stamped;     /* lines on stderr begin with date and time */
	enum log_level level;
};

void log_init(const struct log_conf *c);
void log_done(void);
/* What is written from now on; the recorder keeps everything. */
void log_level_set(enum log_level level);
void log_write(enum log_level lv, enum log_sub sub, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void log_debug_set(enum log_sub sub, bool on);
bool log_debug_on(enum log_sub sub);
const char *log_sub_name(enum log_sub sub);
uint64_t log_dropped(void);
/* Newest lines of the recorder, oldest first; calls fn for each. Safe while others write. */
struct log_line {
	int64_t wall_us;
	enum log_level level;
	enum log_sub sub;
	char text[LOG_LINE_MAX];
};
void log_recall(unsigned newest, void (*fn)(void *arg, const struct log_line *line), void *arg);
/* Writes the recorder to fd; async-signal-safe (used by require and fatal signals). */
void log_dump(int fd);

/* Rate limit per call site: at most burst lines per second; tells how many were suppressed in between. */
struct log_rate {
	_Atomic int64_t window_ns;
	_Atomic uint32_t in_window, suppressed;
};
/* True when this line may go out; *suppressed receives the number held back since the last one. */
bool log_rate_ok(struct log_rate *r, unsigned burst, unsigned *suppressed);

#define log_err(sub, ...)    log_write(LOG_L_ERR, sub, __VA_ARGS__)
#define log_warn(sub, ...)   log_write(LOG_L_WARN, sub, __VA_ARGS__)
#define log_notice(sub, ...) log_write(LOG_L_NOTICE, sub, __VA_ARGS__)
#define log_info(sub, ...)   log_write(LOG_L_INFO, sub, __VA_ARGS__)
#define log_debug(sub, ...)                                       \
	do {                                                      \
		if (log_debug_on(sub))                            \
			log_write(LOG_L_DEBUG, sub, __VA_ARGS__); \
	} while (0)

#endif
