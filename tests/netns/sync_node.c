/*
 * One node's replication without the rest of the daemon: ctl channel on this thread, SYNC thread beside it, driven by
 * lines on stdin, one line on stdout per event. test_sync.py runs two of them in two namespaces.
 *
 *   sync_node SELF ADDR_OF_1[,ADDR..] ADDR_OF_2[,ADDR..] KEYFILE|- [LEASE_S [ctl-only|tcp|slow|rcvbuf=BYTES]]
 *   commands: fence C N | auth C N none|any|all | role C N | join | flush C N | apply SEQ C N | demoting | stable |
 *             alive | stall MS | ping | delete PROTO SRC SPORT DST DPORT | status | statistics | sessions |
 *             conf KEYFILE | policy age|strict|states|port|interface VALUE | quit
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/loop.h"
#include "sync/peer_io.h"
#include "sync/sync.h"

struct reader {
	int fd;
	struct loop_fd *lfd;
	size_t len;
	char buf[128 << 10]; /* whole lines are passed on: other lines must not fall between */
};

static struct loop *loop;
static struct sync_conf conf;
static struct peer_ctl *ctl;
static struct sync_thread *sync_t;
static struct loop_timer *beat;
static const uint64_t digest[4] = { 1, 2, 3, 4 };
static uint32_t next_id = 1;
static char line_buf[4096];
static size_t line_len;

static void on_msg(void *arg, uint32_t node, const struct peer_msg *m)
{
	(void)arg;
	if (m->type != PEER_HEARTBEAT)
		printf("msg node=%" PRIu32 " type=%d\n", node, (int)m->type);
}

static void on_ctl_state(void *arg, uint32_t node, const struct peer_ctl_state *s)
{
	(void)arg;
	printf("ctl node=%" PRIu32 " %s why=%s\n", node, s->up ? "up" : "down", peer_why_name(s->why));
}

static void on_probe(void *arg, uint32_t node, enum peer_probe r)
{
	(void)arg;
	printf("probe node=%" PRIu32 " result=%d\n", node, (int)r);
}

static void on_beat(void *arg, mono_t deadline)
{
	struct peer_msg m = { .type = PEER_HEARTBEAT };
	(void)arg;
	peer_ctl_broadcast(ctl, &m);
	loop_timer_set(beat, mono_add(deadline, PEER_HEARTBEAT_NS));
}

static void on_report(void *arg, const struct sync_report *r)
{
	static const char *const names[] = { "pong",     "fenced", "authority", "flushed",  "applied",
					     "ctl-conn", "state",  "stopped",   "committed" };
	(void)arg;
	if (r->type == SYNC_REP_CTL_CONN) {
		peer_ctl_adopt(ctl, r->fd, r->ssl, r->peer_node);
		return;
	}
	printf("report %s epoch=%" PRIu64 ".%" PRIu32 " seq=%" PRIu64 " degraded=%d", names[r->type], r->epoch.counter,
	       r->epoch.node, r->seq, r->degraded);
	if (r->type == SYNC_REP_STATE)
		printf(" data_up=%d peer_has_all=%d have_all=%d equal=%d own=%" PRIu32 " copies=%" PRIu32
		       " dirty=%" PRIu32,
		       r->state.data_up, r->state.peer_has_all, r->state.have_all, r->state.equal, r->state.own,
		       r->state.copies, r->state.dirty);
	printf("\n");
}

static void on_answer(void *arg, int fd, unsigned events)
{
	struct reader *r = arg;
	(void)events;
	ssize_t n = read(fd, r->buf + r->len, sizeof(r->buf) - r->len);
	if (n > 0) {
		r->len += (size_t)n;
		const char *end = memrchr(r->buf, '\n', r->len);
		size_t whole = end ? (size_t)(end - r->buf) + 1 : 0;
		fwrite(r->buf, 1, whole, stdout);
		r->len -= whole;
		memmove(r->buf, r->buf + whole, r->len);
	} else if (n == 0 || errno != EAGAIN) {
		loop_fd_free(r->lfd);
		close(r->fd);
		free(r);
	}
}

static void client(enum sync_client_kind kind)
{
	int sv[2];
	struct reader *r = calloc(1, sizeof(*r));
	if (!r || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) != 0)
		exit(1);
	r->fd = sv[0];
	r->lfd = loop_fd_new(loop, sv[0], LOOP_READ, LOOP_NORMAL, on_answer, r);
	struct sync_cmd c = { .type = SYNC_CMD_CLIENT, .client = kind, .fd = sv[1], .client_id = next_id++ };
	sync_thread_send(sync_t, &c);
}

static bool delete_ct(const char *args, struct sync_cmd *c)
{
	unsigned l4, sport, dport;
	char src[64], dst[64];
	struct addr a, b;
	if (sscanf(args, "%u %63s %u %63s %u", &l4, src, &sport, dst, &dport) != 5 || !addr_parse(src, &a) ||
	    !addr_parse(dst, &b))
		return false;
	c->type = SYNC_CMD_DELETE_CT;
	c->tuple =
	    (struct ct_tuple){ .l3 = a.af, .l4 = (uint8_t)l4, .sport = (uint16_t)sport, .dport = (uint16_t)dport };
	memcpy(c->tuple.src, a.b, 16);
	memcpy(c->tuple.dst, b.b, 16);
	return true;
}

static bool role_command(const char *word, const char *args, struct sync_cmd *c)
{
	char who[16] = "";
	if (strcmp(word, "apply") == 0) {
		c->type = SYNC_CMD_APPLY;
		return sscanf(args, "%" SCNu64 " %" SCNu64 " %" SCNu32, &c->seq, &c->epoch.counter, &c->epoch.node) ==
		       3;
	}
	int n = sscanf(args, "%" SCNu64 " %" SCNu32 " %15s", &c->epoch.counter, &c->epoch.node, who);
	c->authority = (struct sync_authority){ c->epoch, strcmp(who, "none") != 0, strcmp(who, "all") == 0 };
	if (strcmp(word, "fence") == 0)
		c->type = SYNC_CMD_FENCE;
	else if (strcmp(word, "flush") == 0)
		c->type = SYNC_CMD_FLUSH;
	else if (strcmp(word, "auth") == 0)
		c->type = SYNC_CMD_AUTHORITY;
	else
		return false;
	return n >= 2;
}

static bool simple_command(const char *word, struct sync_cmd *c)
{
	static const struct {
		const char *word;
		enum sync_cmd_type type;
	} words[] = { { "ping", SYNC_CMD_PING },
		      { "join", SYNC_CMD_JOIN },
		      { "demoting", SYNC_CMD_DEMOTING },
		      { "stable", SYNC_CMD_STABLE },
		      { "alive", SYNC_CMD_PEER_ALIVE } };
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i].word) == 0) {
			c->type = words[i].type;
			c->rest = true;
			return true;
		}
	}
	return false;
}

static void new_conf(const char *key_file)
{
	struct sync_conf *now = malloc(sizeof(*now));
	static struct sync_conf own;
	char err[256] = "";
	if (!now)
		exit(1);
	*now = conf;
	snprintf(now->key_file, sizeof(now->key_file), "%s", key_file);
	own = *now;
	struct sync_cmd c = { .type = SYNC_CMD_CONF, .conf = now };
	int rc = peer_ctl_conf(ctl, &own, digest, err, sizeof(err));
	printf("conf %d %s\n", rc, err);
	sync_thread_send(sync_t, &c);
}

/* One more part of the policy; parts add up. */
static void new_policy(const char *args)
{
	static struct sync_conf wanted;
	struct sync_conf *now = malloc(sizeof(*now));
	char word[16] = "", value[32] = "";
	if (!now || sscanf(args, "%15s %31s", word, value) != 2)
		exit(1);
	if (wanted.n_nodes == 0)
		wanted = conf;
	unsigned n = (unsigned)atoi(value);
	struct sync_ignore rule = { .protocols = SYNC_PROTO_ALL, .port_high = UINT16_MAX, .any_zone = true };
	for (unsigned p = 0; p < SYNC_PROTO_N && strcmp(word, "age") == 0; p++)
		wanted.min_age_s[p] = n;
	if (strcmp(word, "strict") == 0)
		wanted.strict_after_s = n;
	else if (strcmp(word, "states") == 0)
		wanted.tcp_states = (uint16_t)n;
	else if (strcmp(word, "port") == 0)
		rule.port_low = rule.port_high = (uint16_t)n;
	else if (strcmp(word, "interface") == 0)
		snprintf(rule.ifname, sizeof(rule.ifname), "%.15s", value);
	if (rule.port_low != 0 || rule.ifname[0] != '\0')
		wanted.ignore[wanted.n_ignore++] = rule;
	*now = wanted;
	struct sync_cmd c = { .type = SYNC_CMD_CONF, .conf = now };
	sync_thread_send(sync_t, &c);
}

static void command(char *line)
{
	struct sync_cmd c = { .seq = 7 };
	char word[32] = "";
	int used = 0;
	struct epoch e;
	sscanf(line, "%31s%n", word, &used);
	const char *args = line + used;
	if (simple_command(word, &c) || role_command(word, args, &c) ||
	    (strcmp(word, "delete") == 0 && delete_ct(args, &c))) {
		if (sync_thread_send(sync_t, &c) != 0)
			printf("full\n");
	} else if (strcmp(word, "stall") == 0) {
		c.type = SYNC_CMD_STALL;
		c.stall_ns = atoll(args) * NS_PER_MS;
		sync_thread_send(sync_t, &c);
	} else if (strcmp(word, "role") == 0 && sscanf(args, "%" SCNu64 " %" SCNu32, &e.counter, &e.node) == 2) {
		sync_thread_role_epoch(sync_t, e);
		peer_ctl_epoch(ctl, e);
	} else if (strcmp(word, "probe") == 0) {
		peer_ctl_probe(ctl, conf.self == 1 ? 2 : 1);
	} else if (strcmp(word, "status") == 0) {
		client(SYNC_CLIENT_STATUS);
	} else if (strcmp(word, "statistics") == 0) {
		client(SYNC_CLIENT_STATISTICS);
	} else if (strcmp(word, "sessions") == 0) {
		client(SYNC_CLIENT_SESSIONS);
	} else if (strcmp(word, "conf") == 0) {
		new_conf(args + strspn(args, " "));
	} else if (strcmp(word, "policy") == 0) {
		new_policy(args);
	} else if (strcmp(word, "quit") == 0) {
		loop_stop(loop);
	} else {
		printf("what? %s\n", line);
	}
}

static void on_stdin(void *arg, int fd, unsigned events)
{
	(void)arg;
	(void)events;
	ssize_t n = read(fd, line_buf + line_len, sizeof(line_buf) - 1 - line_len);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		loop_stop(loop);
		return;
	}
	line_len += n > 0 ? (size_t)n : 0;
	char *at = line_buf, *nl;
	line_buf[line_len] = '\0';
	while ((nl = strchr(at, '\n')) != NULL) {
		*nl = '\0';
		command(at);
		at = nl + 1;
	}
	line_len = strlen(at);
	memmove(line_buf, at, line_len);
}

static void take_addrs(struct sync_node_conf *n, uint32_t id, char *list)
{
	n->id = id;
	snprintf(n->name, sizeof(n->name), "node-%" PRIu32, id);
	char *rest = NULL;
	for (char *a = strtok_r(list, ",", &rest); a && n->n_addrs < SYNC_LINKS_MAX; a = strtok_r(NULL, ",", &rest)) {
		if (!addr_parse(a, &n->addrs[n->n_addrs++])) {
			fprintf(stderr, "%s is no address\n", a);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	char err[256] = "";
	static const struct peer_ctl_cb cb = { .on_msg = on_msg, .on_state = on_ctl_state, .on_probe = on_probe };
	if (argc < 5) {
		fprintf(stderr, "usage: sync_node SELF ADDRS_OF_1 ADDRS_OF_2 KEYFILE|- [LEASE_S "
				"[ctl-only|tcp|slow|rcvbuf=BYTES]]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* as the daemon: a peer that dies is an error of a write */
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_init(&(struct log_conf){ .ident = "sync_node", .to_stderr = true, .level = LOG_L_INFO });
	conf = (struct sync_conf){ .enabled = true,
				   .self = (uint32_t)atoi(argv[1]),
				   .n_nodes = 2,
				   .port = 3780,
				   .replicate = true,
				   .protocols = SYNC_PROTO_ALL,
				   .entries_max = 1 << 20,
				   .rcvbuf_bytes = 16 << 20,
				   .bulk_rate = 200000,
				   .high_water = 85,
				   .peer_rate = 1000000 };
	conf.lease_ns = (argc > 5 ? atoll(argv[5]) : 300) * NS_PER_SEC;
	conf.replicate = argc <= 6 || strcmp(argv[6], "ctl-only") != 0;
	if (argc > 6 && strcmp(argv[6], "slow") == 0)
		conf.peer_rate = 20000;
	if (argc > 6 && strcmp(argv[6], "tcp") == 0)
		conf.protocols = 1u << SYNC_PROTO_TCP;
	if (argc > 6 && strncmp(argv[6], "rcvbuf=", 7) == 0)
		conf.rcvbuf_bytes = (uint32_t)strtoul(argv[6] + 7, NULL, 10);
	strcpy(conf.cluster, "test");
	take_addrs(&conf.nodes[0], 1, argv[2]);
	take_addrs(&conf.nodes[1], 2, argv[3]);
	conf.insecure = strcmp(argv[4], "-") == 0;
	snprintf(conf.key_file, sizeof(conf.key_file), "%s", argv[4]);
	loop = loop_new("control");
	uint64_t nonce = (uint64_t)clock_mono().ns;
	sync_t = loop ? sync_thread_start(loop, &conf, nonce, digest, on_report, NULL) : NULL;
	if (!sync_t) {
		perror("sync_thread_start");
		return 1;
	}
	ctl = peer_ctl_new(loop, &conf, nonce, digest, &cb, NULL, err, sizeof(err));
	beat = loop_timer_new(loop, LOOP_LATENCY, on_beat, NULL);
	fcntl(0, F_SETFL, O_NONBLOCK);
	struct loop_fd *in = loop_fd_new(loop, 0, LOOP_READ, LOOP_NORMAL, on_stdin, NULL);
	if (!ctl || !beat || !in) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	loop_timer_set(beat, clock_mono());
	printf("ready\n");
	loop_run(loop);
	peer_ctl_free(ctl, "the test ends");
	sync_thread_stop(sync_t, NS_PER_SEC);
	loop_fd_free(in);
	loop_timer_free(beat);
	loop_free(loop);
	printf("ended\n");
	return 0;
}
