/* The table of conntrackd.conf's words (conntrackd 1.4.7), and questions about it. */
#include <string.h>
#include <strings.h>
#include "daemon/dropin/dconf.h"

#define W(where, name, id, kind, inside, verdict, why)                                                    \
	{                                                                                                 \
		DCONF_W_##where, name, DCONF_##id, DCONF_K_##kind, DCONF_W_##inside, DCONF_##verdict, why \
	}
#define BLOCK_(where, name, id, inside, what) W(where, name, id, BLOCK, inside, HONOURED, what)
#define USED(where, name, id, kind, what)     W(where, name, id, kind, SKIP, HONOURED, what)
#define WITHOUT(where, name, id, kind, why)   W(where, name, id, kind, SKIP, NO_EFFECT, why)

/* A table reads by column. */
/* clang-format off */
static const struct dconf_word words[] = {
	BLOCK_(TOP, "Sync", SYNC, SYNC, "`cluster`, `nodes`, `channel`, `sync`"),
	BLOCK_(TOP, "General", GENERAL, GENERAL, "what is in it"),
	W(TOP, "Stats", STATS, BLOCK, SKIP, REFUSED,
	  "collecting statistics is not done here; the real conntrackd can, without Sync and with a LockFile and a UNIX "
	  "Path of its own"),
	W(TOP, "Helper", HELPER, BLOCK, SKIP, NO_EFFECT,
	  "helpers in user space are not run here: packets of rules that use them wait in a queue that nobody reads; use "
	  "the kernel's helpers (modprobe nf_conntrack_ftp and the like), or the real conntrackd for them alone"),

	BLOCK_(SYNC, "Mode", MODE, MODE, "FTFW, NOTRACK and ALARM are the same here: what one connection says is in order and complete, and tables are compared every second"),
	BLOCK_(SYNC, "Multicast", MULTICAST, LINK, "one entry of `nodes[].addresses`; others are looked for on the group"),
	BLOCK_(SYNC, "UDP", UDP, LINK, "one entry of `nodes[].addresses`"),
	BLOCK_(SYNC, "TCP", TCP, LINK, "the same"),
	BLOCK_(SYNC, "Options", OPTIONS, OPTIONS, "what is in it"),
	USED(SYNC, "KeeptrackdKey", KEY, NAME, "`channel.key_file`, or `channel.insecure`: not a word of conntrackd, see above"),
	WITHOUT(SYNC, "Checksum", CHECKSUM, YESNO, "every record is authenticated or carried by TCP"),

	WITHOUT(MODE, "ResendQueueSize", RESEND_QUEUE, NUMBER, "what was not stored yet is a mark on its session, no queue"),
	WITHOUT(MODE, "CommitTimeout", COMMIT_TIMEOUT, NUMBER, "the first packet after a takeover sets the normal timer"),
	WITHOUT(MODE, "PurgeTimeout", PURGE_TIMEOUT, NUMBER, "copies end with the sessions that they are copies of"),
	WITHOUT(MODE, "ACKWindowSize", ACK_WINDOW, NUMBER, "acknowledgements follow the stream by themselves"),
	USED(MODE, "DisableExternalCache", NO_EXTERNAL, YESNO, "copies are always in the kernel's table as far as it has room: `sync.store = \"hot\"`; no is said to have no effect"),
	WITHOUT(MODE, "DisableInternalCache", NO_INTERNAL, YESNO, "own sessions are kept, so that losses can be healed"),
	WITHOUT(MODE, "StartupResync", STARTUP_RESYNC, YESNO, "every connection begins with a comparison of all sessions"),
	WITHOUT(MODE, "RefreshTime", REFRESH, NUMBER, "tables are compared every second, and only differences are sent"),
	WITHOUT(MODE, "CacheTimeout", CACHE_TIMEOUT, NUMBER, "copies end with the sessions that they are copies of"),

	USED(LINK, "IPv4_address", ADDR4, ADDR, "UDP, TCP: this node in `nodes[].addresses`. Multicast: the group that the routers meet at"),
	USED(LINK, "IPv6_address", ADDR6, ADDR, "the same"),
	USED(LINK, "IPv4_Destination_Address", DEST4, ADDR, "the other node in `nodes[].addresses`"),
	USED(LINK, "IPv6_Destination_Address", DEST6, ADDR, "the same"),
	USED(LINK, "IPv6_Destionation_Address", DEST6, ADDR, "the same, as the manual of conntrackd spells it"), /* as its manual spells it */
	USED(LINK, "IPv4_interface", IFADDR4, ADDR, "Multicast: this node in `nodes[].addresses`"),
	USED(LINK, "IPv6_interface", IFADDR6, NAME, "the interface, by its name"),
	USED(LINK, "Port", PORT, NUMBER, "`channel.port`, which is TCP"),
	USED(LINK, "Group", GROUP, NUMBER, "`channel.port`, which is TCP, and the port of the multicast group"),
	USED(LINK, "Interface", INTERFACE, NAME, "where the group is joined; its address is taken where none is given"),
	USED(LINK, "KeeptrackdPeer", PEER, ADDR, "the other nodes with Multicast: not a word of conntrackd, see above"),
	WITHOUT(LINK, "SndSocketBuffer", SNDBUF, NUMBER, "the connection is TCP: what it cannot take waits with its session"),
	WITHOUT(LINK, "RcvSocketBuffer", RCVBUF, NUMBER, "the connection is TCP: a slow reader slows the sender down"),
	WITHOUT(LINK, "Checksum", CHECKSUM, YESNO, "every record is authenticated or carried by TCP"),
	WITHOUT(LINK, "ErrorQueueLength", ERROR_QUEUE, NUMBER, "the connection is TCP: nothing that was sent is lost"),

	USED(OPTIONS, "TCPWindowTracking", WINDOWS, YESNO, "yes: `sync.strict_window_after = 10`"),
	W(OPTIONS, "ExpectationSync", EXPECT_SYNC, YESNO_BLOCK, EXPECT, HONOURED,
	  "said to have no effect: expectations are not replicated; sessions of helpers are"),

	WITHOUT(GENERAL, "Systemd", SYSTEMD, YESNO, "readiness and watchdog are told whenever the service manager asks"),
	WITHOUT(GENERAL, "Nice", NICE, NUMBER, "threads have the priorities that they need"),
	WITHOUT(GENERAL, "HashSize", HASH_SIZE, NUMBER, "the table grows by itself"),
	USED(GENERAL, "HashLimit", HASH_LIMIT, NUMBER, "`sync.sessions_max`, twice as many: conntrackd has a table for each direction"),
	USED(GENERAL, "LogFile", LOGFILE, YESNO_TEXT, "said to have no effect, unless it is off"),
	USED(GENERAL, "Syslog", SYSLOG, YESNO_TEXT, "`node.log.syslog`; a facility counts as yes"),
	USED(GENERAL, "LockFile", LOCKFILE, PATH, "locked while the process lives; a file that nobody holds is left over and no obstacle"),
	USED(GENERAL, "NetlinkBufferSize", BUFFER, NUMBER, "`sync.receive_buffer`, if it is larger than ours"),
	USED(GENERAL, "SocketBufferSize", BUFFER, NUMBER, "the same"),
	USED(GENERAL, "NetlinkBufferSizeMaxGrowth", BUFFER_MAX, NUMBER, "the same"),
	USED(GENERAL, "SocketBufferSizeMaxGrown", BUFFER_MAX, NUMBER, "the same"),
	USED(GENERAL, "SocketBufferSizeMaxGrowth", BUFFER_MAX, NUMBER, "the same"),
	WITHOUT(GENERAL, "NetlinkOverrunResync", OVERRUN, YESNO_TEXT, "a lost event is always healed by a walk over the table"),
	WITHOUT(GENERAL, "NetlinkEventsReliable", RELIABLE, YESNO, "it would stop packets when the reader stalls; a lost "
		"event is healed by a walk over the table"),
	WITHOUT(GENERAL, "PollSecs", POLL, NUMBER, "events are read as they come, and the table is swept besides"),
	WITHOUT(GENERAL, "EventIterationLimit", EVENT_LIMIT, NUMBER, "reading events has a budget of its own"),
	USED(GENERAL, "KeeptrackdKey", KEY, NAME, "`channel.key_file`, or `channel.insecure`: not a word of conntrackd, see above"),
	BLOCK_(GENERAL, "UNIX", UNIX, UNIX, "what is in it"),
	BLOCK_(GENERAL, "Filter", FILTER, FILTER, "what is in it; From Userspace and From Kernelspace are the same"),
	BLOCK_(GENERAL, "Scheduler", SCHEDULER, SCHEDULER, "what is in it"),

	USED(UNIX, "Path", PATH, PATH, "socket of the client commands, and of `ktsh -s`"),
	WITHOUT(UNIX, "Backlog", BACKLOG, NUMBER, "conntrackd ignores it as well"),

	BLOCK_(FILTER, "Protocol", F_PROTOCOL, PROTOCOLS, "`sync.protocols`; ICMP is both versions"),
	BLOCK_(FILTER, "Address", F_ADDRESS, ADDRESSES, "Ignore: `sync.ignore`, without the routers' own addresses, which are never replicated. Accept: refused"),
	BLOCK_(FILTER, "State", F_STATE, STATES, "`sync.tcp_states`; LISTEN is no state of an entry"),

	WITHOUT(SCHEDULER, "Type", S_TYPE, NAME, "threads have the priorities that they need"),
	WITHOUT(SCHEDULER, "Priority", S_PRIORITY, NUMBER, "threads have the priorities that they need"),
};
/* clang-format on */

#define WORDS_N                               (sizeof(words) / sizeof(words[0]))

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
