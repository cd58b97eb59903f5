/*
 * Two outputs and one memory.
 *
 * syslog: one sendto per line on an unconnected, non-blocking datagram socket, so that a restarted reader is found
 * again without any state here. A full reader gives EAGAIN: dropped and counted.
 *
 * stderr: shared with whoever started us, so its flags must not be changed. A pipe or terminal is opened a second time
 * through /proc (an own open file, non-blocking); a socket is written with MSG_DONTWAIT; a plain file cannot block.
 *
 * Recorder: slot = ticket mod LOG_RECORDS. A slot's seq is odd while it is written and 2 * ticket + 2 when it is done.
 * A writer that finds its slot busy (another one was preempted for a whole round) gives up, nobody ever waits. The text
 * is kept in relaxed atomic words: readers compare seq before and after their copy.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/require.h"

enum { LINE_WORDS = sizeof(struct log_line) / sizeof(uint64_t), FACILITY_DAEMON = 3 << 3, LOG_IDENT_MAX = 160 };
_Static_assert(sizeof(struct log_line) % sizeof(uint64_t) == 0, "the recorder copies whole words");

struct slot {
	_Atomic uint64_t seq;
	_Atomic uint64_t word[LINE_WORDS];
};

enum err_kind { ERR_NONE = 0, ERR_FILE, ERR_NONBLOCK, ERR_POLLED, ERR_SOCKET };

static struct slot recorder[LOG_RECORDS];
static _Atomic uint64_t next_ticket;
static _Atomic uint64_t dropped;
static _Atomic bool debug_on[LOG_SUB_N];
static struct {
	char ident[LOG_IDENT_MAX], ident_router[LOG_IDENT_MAX];
	_Atomic int sys_fd; /* -1: off */
	struct sockaddr_un sys_addr;
	enum err_kind err_kind;
	int err_fd;
	bool journal; /* stderr leads to the journal: levels as "<N>" prefix */
	int file_fd;  /* -1: no file */
	int facility;
	bool bare, stamped;
	_Atomic int level;
	int64_t utc_off_sec; /* taken once: localtime() takes a lock */
} lg = { .sys_fd = -1, .err_fd = -1, .file_fd = -1, .level = LOG_L_DEBUG };

static const char *const sub_name[LOG_SUB_N] = { "main", "cfg", "vrrp", "role", "net", "sync", "ike", "ctl" };

const char *log_sub_name(enum log_sub sub)
{
	return (unsigned)sub < LOG_SUB_N ? sub_name[sub] : "?";
}

/* JOURNAL_STREAM is "device:inode" of the stream that systemd gave us. */
static bool is_journal(const struct stat *st)
{
	const char *env = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	return env && sscanf(env, "%llu:%llu", &dev, &ino) == 2 && dev == st->st_dev && ino == st->st_ino;
}

static void open_stderr(void)
{
	struct stat st;
	lg.err_kind = ERR_NONE;
	if (fstat(STDERR_FILENO, &st) != 0)
		return;
	lg.journal = is_journal(&st);
	lg.err_fd = STDERR_FILENO;
	if (S_ISREG(st.st_mode)) {
		lg.err_kind = ERR_FILE;
	} else if (S_ISSOCK(st.st_mode)) {
		lg.err_kind = ERR_SOCKET;
	} else {
		int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		lg.err_kind = fd == -1 ? ERR_POLLED : ERR_NONBLOCK;
		if (fd != -1)
			lg.err_fd = fd;
	}
}

/* Where require() reports to: the line, then all the recorder remembers. */
static void on_require(const char *expr, const char *file, int line)
{
	log_write(LOG_L_ERR, LOG_MAIN, "internal error: \"%s\" does not hold at %s:%d; the process ends here", expr,
		  file, line);
	log_dump(STDERR_FILENO);
}

void log_init(const struct log_conf *c)
{
	log_done();
	snprintf(lg.ident, sizeof(lg.ident), "%s", c->ident ? c->ident : "keeptrackd");
	snprintf(lg.ident_router, sizeof(lg.ident_router), "%s", c->ident_router ? c->ident_router : lg.ident);
	lg.facility = c->facility ? c->facility : FACILITY_DAEMON;
	lg.bare = c->bare;
	lg.stamped = c->stamped;
	lg.level = (int)c->level;
	time_t now = time(NULL);
	struct tm tm;
	lg.utc_off_sec = localtime_r(&now, &tm) ? tm.tm_gmtoff : 0;
	if (c->to_stderr)
		open_stderr();
	if (c->to_syslog) {
		const char *dev = c->dev ? c->dev : "/dev/log";
		lg.sys_addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
		snprintf(lg.sys_addr.sun_path, sizeof(lg.sys_addr.sun_path), "%s", dev);
		lg.sys_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	}
	if (c->file)
		lg.file_fd = open(c->file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	require_on_fail(on_require);
}

void log_done(void)
{
	require_on_fail(NULL);
	if (lg.file_fd != -1)
		close(lg.file_fd);
	lg.file_fd = -1;
	if (lg.sys_fd != -1)
		close(lg.sys_fd);
	lg.sys_fd = -1;
	if (lg.err_kind == ERR_NONBLOCK)
		close(lg.err_fd);
	lg.err_kind = ERR_NONE;
	lg.err_fd = -1;
}

static void record(const struct log_line *line)
{
	uint64_t words[LINE_WORDS];
	uint64_t ticket = atomic_fetch_add_explicit(&next_ticket, 1, memory_order_relaxed);
	struct slot *s = &recorder[ticket % LOG_RECORDS];
	uint64_t seq = atomic_load_explicit(&s->seq, memory_order_relaxed);
	if ((seq & 1) != 0 || seq > 2 * ticket ||
	    !atomic_compare_exchange_strong_explicit(&s->seq, &seq, 2 * ticket + 1, memory_order_acquire,
						     memory_order_relaxed)) {
		atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
		return;
	}
	atomic_thread_fence(memory_order_release);
	memcpy(words, line, sizeof(words));
	for (unsigned i = 0; i < LINE_WORDS; i++)
		atomic_store_explicit(&s->word[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&s->seq, 2 * ticket + 2, memory_order_release);
}

/* The line of this ticket, if the slot still (and completely) holds it. */
static bool recall(uint64_t ticket, struct log_line *line)
{
	uint64_t words[LINE_WORDS];
	struct slot *s = &recorder[ticket % LOG_RECORDS];
	if (atomic_load_explicit(&s->seq, memory_order_acquire) != 2 * ticket + 2)
		return false;
	for (unsigned i = 0; i < LINE_WORDS; i++)
		words[i] = atomic_load_explicit(&s->word[i], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&s->seq, memory_order_relaxed) != 2 * ticket + 2)
		return false;
	memcpy(line, words, sizeof(*line));
	return true;
}

struct date {
	unsigned year, month, day, weekday; /* month and weekday count from 0, Sunday */
	unsigned in_day;                    /* seconds */
};

/* The date without localtime(), which takes a lock. */
static void date_of(int64_t wall_us, struct date *d)
{
	int64_t sec = wall_us / 1000000 + lg.utc_off_sec;
	int64_t days = sec / 86400;
	/* Days are counted from 1 March of year 0, so that the leap day comes last in its year. */
	int64_t era = (days + 719468) / 146097, doe = (days + 719468) % 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	d->day = (unsigned)(doy - (153 * mp + 2) / 5 + 1) % 32;
	d->month = (unsigned)((mp + 2) % 12);
	d->year = (unsigned)(yoe + era * 400 + (d->month < 2)) % 10000;
	d->weekday = (unsigned)((days + 4) % 7);
	d->in_day = (unsigned)(sec % 86400);
}

static const char month_name[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					"Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

/* "Mmm dd hh:mm:ss" of RFC 3164 4.1.2; readers replace it by their own time of receipt. */
static void stamp(int64_t wall_us, char out[16])
{
	struct date d;
	date_of(wall_us, &d);
	snprintf(out, 16, "%s %2u %02u:%02u:%02u", month_name[d.month], d.day, d.in_day / 3600 % 24, d.in_day / 60 % 60,
		 d.in_day % 60);
}

/* "Www Mmm dd hh:mm:ss yyyy: " where lines bear the time, else nothing. */
static void long_stamp(int64_t wall_us, char out[32])
{
	static const char weekday[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	struct date d;
	date_of(wall_us, &d);
	snprintf(out, 32, "%s %s %2u %02u:%02u:%02u %u: ", weekday[d.weekday], month_name[d.month], d.day,
		 d.in_day / 3600 % 24, d.in_day / 60 % 60, d.in_day % 60, d.year);
}

/* What stands before the text: its subsystem, unless lines are bare. */
static const char *before(const struct log_line *line, const char **colon)
{
	*colon = lg.bare ? "" : ": ";
	return lg.bare ? "" : log_sub_name(line->sub);
}

static void to_syslog(const struct log_line *line)
{
	char buf[LOG_LINE_MAX + LOG_IDENT_MAX + 80], when[16];
	int fd = lg.sys_fd;
	if (fd == -1)
		return;
	bool process = line->sub == LOG_MAIN || line->sub == LOG_CFG || line->sub == LOG_CTL;
	const char *colon, *sub = before(line, &colon);
	stamp(line->wall_us, when);
	int n = snprintf(buf, sizeof(buf), "<%d>%s %s[%d]: %s%s%s", lg.facility | (int)line->level, when,
			 process ? lg.ident : lg.ident_router, (int)getpid(), sub, colon, line->text);
	if (n >= (int)sizeof(buf))
		n = (int)sizeof(buf) - 1;
	if (sendto(fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&lg.sys_addr,
		   sizeof(lg.sys_addr)) != n)
		atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
}

static void to_stderr(const struct log_line *line)
{
	char buf[LOG_LINE_MAX + 64], prefix[32] = "";
	const char *colon, *sub = before(line, &colon);
	ssize_t done = -1;
	if (lg.err_kind == ERR_NONE)
		return;
	if (lg.journal)
		snprintf(prefix, sizeof(prefix), "<%d>", (int)line->level % 8);
	else if (lg.stamped)
		long_stamp(line->wall_us, prefix);
	int n = snprintf(buf, sizeof(buf), "%s%s%s%s\n", prefix, sub, colon, line->text);
	if (n >= (int)sizeof(buf))
		n = (int)sizeof(buf) - 1;
	struct pollfd p = { .fd = lg.err_fd, .events = POLLOUT };
	switch (lg.err_kind) {
	case ERR_NONE:
		return;
	case ERR_SOCKET:
		done = send(lg.err_fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case ERR_POLLED:
		/* A pipe that polls as writable takes a line below PIPE_BUF at once. */
		if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0)
			done = write(lg.err_fd, buf, (size_t)n);
		break;
	case ERR_FILE:
	case ERR_NONBLOCK:
		done = write(lg.err_fd, buf, (size_t)n);
		break;
	}
	if (done != n)
		atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
}

static void to_file(const struct log_line *line)
{
	char buf[LOG_LINE_MAX + 64], when[32];
	const char *colon, *sub = before(line, &colon);
	if (lg.file_fd == -1)
		return;
	long_stamp(line->wall_us, when);
	int n = snprintf(buf, sizeof(buf), "%s%s%s%s\n", when, sub, colon, line->text);
	if (n >= (int)sizeof(buf))
		n = (int)sizeof(buf) - 1;
	if (write(lg.file_fd, buf, (size_t)n) != n)
		atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
}

void log_level_set(enum log_level level)
{
	lg.level = (int)level;
}

void log_write(enum log_level lv, enum log_sub sub, const char *fmt, ...)
{
	struct log_line line = { .level = lv, .sub = sub };
	int saved = errno;
	va_list ap;
	line.wall_us = clock_wall_us();
	va_start(ap, fmt);
	vsnprintf(line.text, sizeof(line.text), fmt, ap);
	va_end(ap);
	record(&line);
	if ((int)lv <= lg.level || lv == LOG_L_DEBUG) {
		to_syslog(&line);
		to_stderr(&line);
		to_file(&line);
	}
	errno = saved;
}

void log_debug_set(enum log_sub sub, bool on)
{
	require((unsigned)sub < LOG_SUB_N);
	debug_on[sub] = on;
}

bool log_debug_on(enum log_sub sub)
{
	return atomic_load_explicit(&debug_on[sub], memory_order_relaxed) || lg.level >= LOG_L_DEBUG;
}

uint64_t log_dropped(void)
{
	return atomic_load_explicit(&dropped, memory_order_relaxed);
}

void log_recall(unsigned newest, void (*fn)(void *arg, const struct log_line *line), void *arg)
{
	uint64_t end = atomic_load_explicit(&next_ticket, memory_order_acquire);
	uint64_t n = newest < LOG_RECORDS ? newest : LOG_RECORDS;
	struct log_line line;
	for (uint64_t t = end > n ? end - n : 0; t < end; t++)
		if (recall(t, &line))
			fn(arg, &line);
}

/* Decimal digits of v, at least `width` of them; snprintf is not async-signal-safe. */
static char *put_num(char *p, uint64_t v, unsigned width)
{
	char tmp[20];
	unsigned n = 0;
	do
		tmp[n++] = (char)('0' + v % 10);
	while ((v /= 10) != 0 && n < sizeof(tmp));
	for (; width > n; width--)
		*p++ = '0';
	while (n > 0)
		*p++ = tmp[--n];
	return p;
}

static char *put_text(char *p, const char *s, size_t max)
{
	while (*s && max-- > 0)
		*p++ = *s++;
	return p;
}

void log_dump(int fd)
{
	char buf[LOG_LINE_MAX + 80];
	struct log_line line;
	uint64_t end = atomic_load_explicit(&next_ticket, memory_order_acquire);
	for (uint64_t t = end > LOG_RECORDS ? end - LOG_RECORDS : 0; t < end; t++) {
		if (!recall(t, &line))
			continue;
		char *p = put_num(buf, (uint64_t)line.wall_us / 1000000, 1);
		*p++ = '.';
		p = put_num(p, (uint64_t)line.wall_us % 1000000, 6);
		p = put_text(p, " <", 2);
		p = put_num(p, (uint64_t)line.level % 8, 1);
		p = put_text(p, "> ", 2);
		p = put_text(p, log_sub_name(line.sub), 16);
		p = put_text(p, ": ", 2);
		p = put_text(p, line.text, sizeof(line.text));
		*p++ = '\n';
		for (char *at = buf; at < p;) {
			ssize_t n = write(fd, at, (size_t)(p - at));
			if (n <= 0)
				return;
			at += n;
		}
	}
}

bool log_rate_ok(struct log_rate *r, unsigned burst, unsigned *suppressed)
{
	int64_t now = clock_mono().ns, start = atomic_load_explicit(&r->window_ns, memory_order_relaxed);
	*suppressed = 0;
	/* Whoever moves the window opens it; the others count in the new one. */
	if ((start == 0 || now - start >= NS_PER_SEC) &&
	    atomic_compare_exchange_strong_explicit(&r->window_ns, &start, now, memory_order_relaxed,
						    memory_order_relaxed))
		atomic_store_explicit(&r->in_window, 0, memory_order_relaxed);
	if (atomic_fetch_add_explicit(&r->in_window, 1, memory_order_relaxed) >= burst) {
		atomic_fetch_add_explicit(&r->suppressed, 1, memory_order_relaxed);
		return false;
	}
	*suppressed = atomic_exchange_explicit(&r->suppressed, 0, memory_order_relaxed);
	return true;
}
