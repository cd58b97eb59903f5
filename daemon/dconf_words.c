/* The table of conntrackd.conf's words (conntrackd 1.4.7), and questions about it. */
#include <string.h>
#include <strings.h>
#include "daemon/dconf.h"

#define W(where, name, id, kind, inside, verdict, why)                                                    \
	{                                                                                                 \
		DCONF_W_##where, name, DCONF_##id, DCONF_K_##kind, DCONF_W_##inside, DCONF_##verdict, why \
	}
#define BLOCK_(where, name, id, inside)     W(where, name, id, BLOCK, inside, HONOURED, NULL)
#define USED(where, name, id, kind)         W(where, name, id, kind, SKIP, HONOURED, NULL)
#define WITHOUT(where, name, id, kind, why) W(where, name, id, kind, SKIP, NO_EFFECT, why)

/* A table reads by column. */
/* clang-format off */
static const struct dconf_word words[] = {
	BLOCK_(TOP, "Sync", SYNC, SYNC),
	BLOCK_(TOP, "General", GENERAL, GENERAL),
	W(TOP, "Stats", STATS, BLOCK, SKIP, REFUSED,
	  "collecting statistics is not done here; the real conntrackd can, without Sync and with a LockFile and a UNIX "
	  "Path of its own"),
	W(TOP, "Helper", HELPER, BLOCK, SKIP, NO_EFFECT,
	  "helpers in user space are not run here: packets of rules that use them wait in a queue that nobody reads; use "
	  "the kernel's helpers (modprobe nf_conntrack_ftp and the like), or the real conntrackd for them alone"),

	BLOCK_(SYNC, "Mode", MODE, MODE),
	BLOCK_(SYNC, "Multicast", MULTICAST, LINK),
	BLOCK_(SYNC, "UDP", UDP, LINK),
	BLOCK_(SYNC, "TCP", TCP, LINK),
	BLOCK_(SYNC, "Options", OPTIONS, OPTIONS),
	USED(SYNC, "KeeptrackdKey", KEY, NAME),
	WITHOUT(SYNC, "Checksum", CHECKSUM, YESNO, "every record is authenticated or carried by TCP"),

	WITHOUT(MODE, "ResendQueueSize", RESEND_QUEUE, NUMBER, "what was not stored yet is a mark on its session, no queue"),
	WITHOUT(MODE, "CommitTimeout", COMMIT_TIMEOUT, NUMBER, "the first packet after a takeover sets the normal timer"),
	WITHOUT(MODE, "PurgeTimeout", PURGE_TIMEOUT, NUMBER, "copies end with the sessions that they are copies of"),
	WITHOUT(MODE, "ACKWindowSize", ACK_WINDOW, NUMBER, "acknowledgements follow the stream by themselves"),
	USED(MODE, "DisableExternalCache", NO_EXTERNAL, YESNO),
	WITHOUT(MODE, "DisableInternalCache", NO_INTERNAL, YESNO, "own sessions are kept, so that losses can be healed"),
	WITHOUT(MODE, "StartupResync", STARTUP_RESYNC, YESNO, "every connection begins with a comparison of all sessions"),
	WITHOUT(MODE, "RefreshTime", REFRESH, NUMBER, "tables are compared every second, and only differences are sent"),
	WITHOUT(MODE, "CacheTimeout", CACHE_TIMEOUT, NUMBER, "copies end with the sessions that they are copies of"),

	USED(LINK, "IPv4_address", ADDR4, ADDR),
	USED(LINK, "IPv6_address", ADDR6, ADDR),
	USED(LINK, "IPv4_Destination_Address", DEST4, ADDR),
	USED(LINK, "IPv6_Destination_Address", DEST6, ADDR),
	USED(LINK, "IPv6_Destionation_Address", DEST6, ADDR), /* as its manual spells it */
	USED(LINK, "IPv4_interface", IFADDR4, ADDR),
	USED(LINK, "IPv6_interface", IFADDR6, NAME),
	USED(LINK, "Port", PORT, NUMBER),
	USED(LINK, "Group", GROUP, NUMBER),
	USED(LINK, "Interface", INTERFACE, NAME),
	USED(LINK, "KeeptrackdPeer", PEER, ADDR),
	WITHOUT(LINK, "SndSocketBuffer", SNDBUF, NUMBER, "the connection is TCP: what it cannot take waits with its session"),
	WITHOUT(LINK, "RcvSocketBuffer", RCVBUF, NUMBER, "the connection is TCP: a slow reader slows the sender down"),
	WITHOUT(LINK, "Checksum", CHECKSUM, YESNO, "every record is authenticated or carried by TCP"),
	WITHOUT(LINK, "ErrorQueueLength", ERROR_QUEUE, NUMBER, "the connection is TCP: nothing that was sent is lost"),

	USED(OPTIONS, "TCPWindowTracking", WINDOWS, YESNO),
	W(OPTIONS, "ExpectationSync", EXPECT_SYNC, YESNO_BLOCK, EXPECT, HONOURED, NULL),

	WITHOUT(GENERAL, "Systemd", SYSTEMD, YESNO, "readiness and watchdog are told whenever the service manager asks"),
	WITHOUT(GENERAL, "Nice", NICE, NUMBER, "threads have the priorities that they need"),
	WITHOUT(GENERAL, "HashSize", HASH_SIZE, NUMBER, "the table grows by itself"),
	USED(GENERAL, "HashLimit", HASH_LIMIT, NUMBER),
	USED(GENERAL, "LogFile", LOGFILE, YESNO_TEXT),
	USED(GENERAL, "Syslog", SYSLOG, YESNO_TEXT),
	USED(GENERAL, "LockFile", LOCKFILE, PATH),
	USED(GENERAL, "NetlinkBufferSize", BUFFER, NUMBER),
	USED(GENERAL, "SocketBufferSize", BUFFER, NUMBER),
	USED(GENERAL, "NetlinkBufferSizeMaxGrowth", BUFFER_MAX, NUMBER),
	USED(GENERAL, "SocketBufferSizeMaxGrown", BUFFER_MAX, NUMBER),
	USED(GENERAL, "SocketBufferSizeMaxGrowth", BUFFER_MAX, NUMBER),
	WITHOUT(GENERAL, "NetlinkOverrunResync", OVERRUN, YESNO_TEXT, "a lost event is always healed by a walk over the table"),
	WITHOUT(GENERAL, "NetlinkEventsReliable", RELIABLE, YESNO, "it would stop packets when the reader stalls; a lost "
		"event is healed by a walk over the table"),
	WITHOUT(GENERAL, "PollSecs", POLL, NUMBER, "events are read as they come, and the table is swept besides"),
	WITHOUT(GENERAL, "EventIterationLimit", EVENT_LIMIT, NUMBER, "reading events has a budget of its own"),
	USED(GENERAL, "KeeptrackdKey", KEY, NAME),
	BLOCK_(GENERAL, "UNIX", UNIX, UNIX),
	BLOCK_(GENERAL, "Filter", FILTER, FILTER),
	BLOCK_(GENERAL, "Scheduler", SCHEDULER, SCHEDULER),

	USED(UNIX, "Path", PATH, PATH),
	WITHOUT(UNIX, "Backlog", BACKLOG, NUMBER, "conntrackd ignores it as well"),

	BLOCK_(FILTER, "Protocol", F_PROTOCOL, PROTOCOLS),
	BLOCK_(FILTER, "Address", F_ADDRESS, ADDRESSES),
	BLOCK_(FILTER, "State", F_STATE, STATES),

	WITHOUT(SCHEDULER, "Type", S_TYPE, NAME, "threads have the priorities that they need"),
	WITHOUT(SCHEDULER, "Priority", S_PRIORITY, NUMBER, "threads have the priorities that they need"),
};
/* clang-format on */

#define WORDS_N                             (sizeof(words) / sizeof(words[0]))

const struct dconf_word *dconf_word_row(unsigned n)
{
	return n < WORDS_N ? &words[n] : NULL;
}

const struct dconf_word *dconf_word_find(enum dconf_where where, const char *name)
{
	for (unsigned i = 0; i < WORDS_N; i++) {
		if (words[i].where == where && strcasecmp(words[i].name, name) == 0)
			return &words[i];
	}
	return NULL;
}

/* How many of the first letters two words share, in any case. */
static unsigned shared(const char *a, const char *b)
{
	unsigned n = 0;

	while (a[n] && b[n] && strncasecmp(a + n, b + n, 1) == 0)
		n++;
	return n;
}

const char *dconf_word_near(enum dconf_where where, const char *name)
{
	const char *best = NULL;
	unsigned most = 2; /* fewer letters are chance */

	for (unsigned i = 0; i < WORDS_N; i++) {
		unsigned n = words[i].where == where ? shared(words[i].name, name) : 0;
		if (n > most) {
			best = words[i].name;
			most = n;
		}
	}
	return best;
}
