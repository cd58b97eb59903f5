/*
 * A peer with the right key and ill will: dials node 2's data channel as node 1, says a proper hello, begins a stream
 * and then sends what lines on stdin ask for.
 *
 *   evil_peer ADDR_OF_1 ADDR_OF_2 KEYFILE
 *   commands: dial | flood N | again | cut | long | noise | gap | stream | garble | later | handles N | own SRC DST PORT | quit
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/loop.h"
#include "sync/ct_wire.h"
#include "sync/ossl.h"
#include "sync/peer_conn.h"
#include "sync/peer_hello.h"
#include "sync/sync_wire.h"

enum { LINE = 256 };

static struct loop *loop;
static struct sync_conf conf;
static struct peer_tls *tls;
static struct peer_conn *conn;
static struct sync_wire_stats drops;
static struct peer_self self = { .node = 1, .boot_nonce = 4711 };
static uint8_t buf[SYNC_DATA_MAX];
static size_t buf_len;
static uint64_t seq, flood_left, flooded;
static bool unknown;
static char line_buf[4096];
static size_t line_len;

static void send_buf(size_t len)
{
	buf_len = len;
	int rc = peer_conn_send(conn, buf, len);
	if (rc != 0)
		printf("send %d\n", rc);
}

static void session(struct sync_rec *rec, uint32_t n)
{
	memset(rec, 0, sizeof(*rec));
	rec->type = SYNC_REC_SESSION;
	rec->owner = 1;
	rec->epoch = rec->version.epoch = (struct epoch){ 1, 1 };
	rec->version.node = 1;
	rec->seq = ++seq;
	rec->handle = n + 1;
	rec->full = !unknown;
	struct ct_entry *e = &rec->e;
	e->has = CT_HAS_STATUS | CT_HAS_TIMEOUT;
	e->status = CT_ST_CONFIRMED | CT_ST_SEEN_REPLY | CT_ST_ASSURED;
	e->timeout_s = 300;
	if (unknown)
		return;
	e->has |= CT_HAS_REPLY;
	e->orig = (struct ct_tuple){ .l3 = 4, .l4 = IPPROTO_UDP, .sport = (uint16_t)(n % 60000 + 1), .dport = 9 };
	memcpy(e->orig.src, (uint8_t[]){ 10, 77, (uint8_t)(n / 60000), 1 }, 4);
	memcpy(e->orig.dst, (uint8_t[]){ 10, 78, 0, 1 }, 4);
	if (!ct_tuple_invert(&e->orig, &e->reply))
		abort();
}

static void pack(struct sync_rec *rec)
{
	struct sync_pack p;
	sync_pack_begin(&p, buf, sizeof(buf));
	if (sync_pack_add(&p, rec) != 0)
		abort();
	send_buf(sync_pack_end(&p));
}

/* As much as the socket takes now. */
static void flood(void)
{
	while (flood_left > 0 && peer_conn_is_open(conn)) {
		struct sync_pack p;
		struct sync_rec rec;
		if (!peer_conn_tx_empty(conn)) {
			peer_conn_want_room(conn);
			return;
		}
		sync_pack_begin(&p, buf, sizeof(buf));
		while (flood_left > 0 && wire_room(&p.w) >= SYNC_ENV_LEN + SYNC_PACK_OBJ_MAX) {
			session(&rec, (uint32_t)flooded++);
			if (sync_pack_add(&p, &rec) != 0)
				abort();
			flood_left--;
		}
		send_buf(sync_pack_end(&p));
		if (flood_left == 0)
			printf("flooded %" PRIu64 "\n", flooded);
	}
}

static void on_open(void *arg)
{
	struct peer_msg m;
	(void)arg;
	peer_hello_make(&self, &conf, true, &m);
	int n = sync_msg_write(buf, sizeof(buf), 1, 0, &m);
	if (n > 0)
		send_buf((size_t)n);
}

static void activate(void)
{
	int n = sync_activate_write(buf, sizeof(buf), 1);
	if (n > 0)
		send_buf((size_t)n);
}

static void on_record(void *arg, const struct sync_env *env)
{
	struct peer_msg m;
	(void)arg;
	if (env->type == PEER_HELLO) {
		activate();
	} else if (env->type == PEER_CLOSE) {
		if (sync_msg_read(env, &m, NULL) == SYNC_OK)
			printf("closed: %s\n", m.text);
	} else if (sync_activate_is(env)) {
		seq = 0;
		printf("stream\n");
	}
}

static void on_room(void *arg)
{
	(void)arg;
	flood();
}

static void on_down(void *arg, enum peer_why why, const char *text)
{
	(void)arg;
	printf("down why=%s %s\n", peer_why_name(why), text);
	flood_left = 0;
}

static void dial(void)
{
	static const struct peer_conn_cb cb = {
		.on_open = on_open, .on_record = on_record, .on_room = on_room, .on_down = on_down
	};
	struct peer_conn_conf pc = { .conf = &conf, .tls = tls, .data = true, .cls = LOOP_NORMAL, .stats = &drops };
	peer_conn_free(conn);
	conn = peer_conn_dial(loop, &pc, 2, 0, 0, &cb, NULL);
	if (!conn)
		printf("dial: %s\n", strerror(errno));
}

/* One record, then spoiled. */
static void spoiled(const char *how)
{
	struct sync_rec rec;
	struct sync_pack p;
	session(&rec, 1000000);
	if (strcmp(how, "gap") == 0)
		rec.seq = seq += 5;
	sync_pack_begin(&p, buf, sizeof(buf));
	if (sync_pack_add(&p, &rec) != 0)
		abort();
	size_t len = sync_pack_end(&p);
	if (strcmp(how, "cut") == 0) /* the object says that it is longer than its record */
		buf[SYNC_ENV_LEN + 2] = 0x7f;
	else if (strcmp(how, "long") == 0) /* the record says that it is longer than any may be */
		buf[SYNC_ENV_LEN - 4] = 0x7f;
	else if (strcmp(how, "garble") == 0) /* a protocol family that there is not */
		buf[SYNC_ENV_LEN + 4 + 9 + 20 + 2] = 9;
	send_buf(len);
}

/* A record of a type that a later version may have: one object with its number. */
static void of_a_later_version(void)
{
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	seq++;
	struct sync_env env = { .type = 0x01ff, .owner = 1, .epoch = { 1, 1 }, .seq = seq };
	size_t off = sync_env_begin(&w, &env);
	wire_put(&w, 0, 4);
	sync_env_end(&w, off);
	send_buf(wire_len(&w));
}

static void own_session(const char *args)
{
	struct sync_rec rec;
	struct addr src, dst;
	char a[64], b[64];
	unsigned port;
	session(&rec, 2000000);
	if (sscanf(args, "%63s %63s %u", a, b, &port) != 3 || !addr_parse(a, &src) || !addr_parse(b, &dst))
		abort();
	rec.e.orig = (struct ct_tuple){ .l3 = 4, .l4 = IPPROTO_TCP, .sport = 40000, .dport = (uint16_t)port };
	memcpy(rec.e.orig.src, src.b, 16);
	memcpy(rec.e.orig.dst, dst.b, 16);
	if (!ct_tuple_invert(&rec.e.orig, &rec.e.reply))
		abort();
	rec.e.has |= CT_HAS_TCP;
	rec.e.tcp_state = CT_TCP_ESTABLISHED;
	pack(&rec);
}

static void command(const char *line)
{
	char word[32] = "";
	int used = 0;
	sscanf(line, "%31s%n", word, &used);
	const char *args = line + used;
	if (strcmp(word, "dial") == 0) {
		dial();
	} else if (strcmp(word, "flood") == 0 || strcmp(word, "handles") == 0) {
		unknown = word[0] == 'h';
		flood_left = strtoull(args, NULL, 10);
		flood();
	} else if (strcmp(word, "again") == 0) {
		send_buf(buf_len);
	} else if (strcmp(word, "noise") == 0) {
		memset(buf, 0xa5, 200);
		send_buf(200);
	} else if (strcmp(word, "stream") == 0) {
		activate();
	} else if (strcmp(word, "later") == 0) {
		of_a_later_version();
	} else if (strcmp(word, "own") == 0) {
		own_session(args);
	} else if (strcmp(word, "quit") == 0) {
		loop_stop(loop);
	} else {
		spoiled(word);
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
	line_buf[line_len] = '\0';
	char *at = line_buf, *nl;
	while ((nl = strchr(at, '\n')) != NULL) {
		*nl = '\0';
		command(at);
		at = nl + 1;
	}
	line_len = strlen(at);
	memmove(line_buf, at, line_len);
}

int main(int argc, char **argv)
{
	char err[256] = "";
	if (argc != 4) {
		fprintf(stderr, "usage: evil_peer ADDR_OF_1 ADDR_OF_2 KEYFILE\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	conf = (struct sync_conf){ .enabled = true, .self = 1, .n_nodes = 2, .port = 3780, .replicate = true };
	strcpy(conf.cluster, "test");
	for (unsigned i = 0; i < 2; i++) {
		struct sync_node_conf *n = &conf.nodes[i];
		n->id = i + 1;
		n->n_addrs = 1;
		snprintf(n->name, sizeof(n->name), "node-%u", i + 1);
		if (!addr_parse(argv[1 + i], &n->addrs[0]))
			return 2;
	}
	snprintf(conf.key_file, sizeof(conf.key_file), "%s", argv[3]);
	if (peer_tls_new(&conf, &tls, err, sizeof(err)) != 0) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	loop = loop_new("evil");
	fcntl(0, F_SETFL, O_NONBLOCK);
	struct loop_fd *in = loop_fd_new(loop, 0, LOOP_READ, LOOP_NORMAL, on_stdin, NULL);
	if (!in)
		return 1;
	printf("ready\n");
	loop_run(loop);
	peer_conn_free(conn);
	loop_fd_free(in);
	loop_free(loop);
	peer_tls_free(tls);
	return 0;
}
