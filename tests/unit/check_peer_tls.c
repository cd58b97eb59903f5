/*
 * The channel between two nodes in one process and one loop, over loopback of an own network namespace: handshakes that
 * work, each way they fail with its own word on both ends, strangers, and the life of a ctl connection.
 */
#include <check.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/loop.h"
#include "sync/key_file.h"
#include "sync/ossl.h"
#include "sync/peer_conn.h"
#include "sync/peer_hello.h"
#include "sync/peer_io.h"
#include "sync/peer_listen.h"

enum { PORT = 3780 };

struct end {
	struct sync_conf conf;
	struct peer_ctl *ctl;
	struct peer_listen *listen;
	struct peer_tls *tls;
	unsigned hellos, heartbeats, takes, ups, downs, data_conns;
	enum peer_why why;
	char text[256];
	int probe; /* enum peer_probe, -1: none yet */
	uint32_t last_group;
};

static struct loop *loop;
static struct end a, b; /* node 1 dials, node 2 listens */
static char dir[64], key1[96], key2[96];
static const uint64_t digest[4] = { 1, 2, 3, 4 };

static void own_namespace(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
		return; /* the host's loopback does as well */
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert(fd != -1);
	ifr.ifr_flags = IFF_UP;
	ck_assert(ioctl(fd, SIOCSIFFLAGS, &ifr) == 0);
	close(fd);
}

static void on_msg(void *arg, uint32_t node, const struct peer_msg *m)
{
	struct end *e = arg;
	(void)node;
	e->hellos += m->type == PEER_HELLO;
	e->heartbeats += m->type == PEER_HEARTBEAT;
	e->takes += m->type == PEER_TAKE;
	e->last_group = m->group;
}

static void on_state(void *arg, uint32_t node, const struct peer_ctl_state *s)
{
	struct end *e = arg;
	(void)node;
	if (s->up)
		e->ups++;
	else
		e->downs++;
	e->why = s->why;
	snprintf(e->text, sizeof(e->text), "%s", s->text);
}

static void on_probe(void *arg, uint32_t node, enum peer_probe r)
{
	struct end *e = arg;
	(void)node;
	e->probe = (int)r;
}

static const struct peer_ctl_cb ctl_cb = { .on_msg = on_msg, .on_state = on_state, .on_probe = on_probe };

static void on_peer(void *arg, int fd, struct ssl_st *ssl, uint32_t node, unsigned link, bool data)
{
	struct end *e = arg;
	(void)link;
	if (data || !e->ctl) {
		e->data_conns++;
		SSL_free(ssl);
		close(fd);
		return;
	}
	ck_assert_int_eq(peer_ctl_adopt(e->ctl, fd, ssl, node), 0);
}

static const struct peer_listen_cb listen_cb = { .on_peer = on_peer };

static void conf_init(struct sync_conf *c, uint32_t self, unsigned links, const char *key)
{
	*c = (struct sync_conf){ .enabled = true, .self = self, .n_nodes = 2, .port = PORT };
	strcpy(c->cluster, "edge");
	strcpy(c->key_file, key);
	for (unsigned n = 0; n < 2; n++) {
		c->nodes[n].id = n + 1;
		c->nodes[n].n_addrs = (uint8_t)links;
		for (unsigned i = 0; i < links; i++)
			c->nodes[n].addrs[i] = addr_v4(127, 0, (uint8_t)i, (uint8_t)(n + 1));
	}
}

static void setup(void)
{
	char err[256];
	own_namespace();
	log_init(&(struct log_conf){ .ident = "check", .level = LOG_L_ERR });
	strcpy(dir, "/tmp/kt-tls-XXXXXX");
	ck_assert(mkdtemp(dir) != NULL);
	snprintf(key1, sizeof(key1), "%s/1", dir);
	snprintf(key2, sizeof(key2), "%s/2", dir);
	ck_assert_int_eq(key_file_generate(key1, err, sizeof(err)), 0);
	ck_assert_int_eq(key_file_generate(key2, err, sizeof(err)), 0);
	loop = loop_new("test");
	ck_assert(loop != NULL);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	a.probe = b.probe = -1;
	conf_init(&a.conf, 1, 1, key1);
	conf_init(&b.conf, 2, 1, key1);
}

static void teardown(void)
{
	peer_ctl_free(a.ctl, NULL);
	peer_ctl_free(b.ctl, NULL);
	peer_listen_free(b.listen);
	peer_tls_free(b.tls);
	loop_free(loop);
	unlink(key1);
	unlink(key2);
	rmdir(dir);
}

static void start_ctl(struct end *e, uint64_t nonce)
{
	char err[256] = "";
	e->ctl = peer_ctl_new(loop, &e->conf, nonce, digest, &ctl_cb, e, err, sizeof(err));
	ck_assert_msg(e->ctl != NULL, "%s", err);
}

static void start_listen(struct end *e)
{
	char err[256] = "";
	ck_assert_msg(peer_tls_new(&e->conf, &e->tls, err, sizeof(err)) == 0, "%s", err);
	e->listen = peer_listen_new(loop, &e->conf, e->tls, &listen_cb, e, err, sizeof(err));
	ck_assert_msg(e->listen != NULL, "%s", err);
}

static void start_both(void)
{
	start_ctl(&b, 22);
	start_listen(&b);
	start_ctl(&a, 11);
}

/* Runs the loop until the condition holds; fails after 5 s. */
#define until(cond)                                                                      \
	do {                                                                             \
		mono_t end_ = mono_add(clock_mono(), 5 * NS_PER_SEC);                    \
		while (!(cond)) {                                                        \
			ck_assert_msg(mono_before(clock_mono(), end_), "never: " #cond); \
			loop_once(loop, 20 * NS_PER_MS);                                 \
		}                                                                        \
	} while (0)

static void run_for(int64_t ns)
{
	mono_t end = mono_add(clock_mono(), ns);
	while (!mono_due(end, clock_mono()))
		loop_once(loop, 5 * NS_PER_MS);
}

static struct peer_link_info link_of(struct end *e)
{
	struct peer_link_info i[SYNC_LINKS_MAX];
	ck_assert_uint_ge(peer_ctl_links(e->ctl, e == &a ? 2 : 1, i, SYNC_LINKS_MAX), 1);
	return i[0];
}

static void heartbeat(struct end *e)
{
	struct peer_msg m = { .type = PEER_HEARTBEAT };
	peer_ctl_broadcast(e->ctl, &m);
}

START_TEST(handshake)
{
	if (_i == 1)
		a.conf.insecure = b.conf.insecure = true;
	start_both();
	until(a.hellos == 1 && b.hellos == 1);
	ck_assert(peer_ctl_up(a.ctl, 2) && peer_ctl_up(b.ctl, 1));
	ck_assert_uint_eq(peer_ctl_hello(a.ctl, 2)->boot_nonce, 22);
	ck_assert_uint_eq(peer_ctl_hello(b.ctl, 1)->boot_nonce, 11);
	ck_assert_uint_eq(peer_ctl_hello(b.ctl, 1)->config_digest[3], 4);
	struct peer_msg m = { .type = PEER_TAKE, .group = 7 };
	ck_assert_int_eq(peer_ctl_send(a.ctl, 2, &m), 0);
	m.group = 9;
	ck_assert_int_eq(peer_ctl_send(b.ctl, 1, &m), 0);
	ck_assert_int_eq(peer_ctl_send(b.ctl, 3, &m), -ENOENT);
	until(a.takes == 1 && b.takes == 1);
	ck_assert_uint_eq(b.last_group, 7);
	ck_assert_uint_eq(a.last_group, 9);
	ck_assert(link_of(&a).up && link_of(&a).dials && !link_of(&b).dials);
	/* A goodbye is told with its words. */
	peer_ctl_free(a.ctl, "maintenance");
	a.ctl = NULL;
	until(b.downs == 1);
	ck_assert_int_eq(b.why, PEER_WHY_CLOSED);
	ck_assert_msg(strstr(b.text, "maintenance") != NULL, "%s", b.text);
}
END_TEST

START_TEST(two_links_deliver_once)
{
	conf_init(&a.conf, 1, 2, key1);
	conf_init(&b.conf, 2, 2, key1);
	start_both();
	until(a.hellos == 2 && b.hellos == 2);
	ck_assert_uint_eq(a.ups, 1); /* the channel is one */
	struct peer_msg m = { .type = PEER_TAKE };
	for (unsigned i = 0; i < 40; i++)
		ck_assert_int_eq(peer_ctl_send(a.ctl, 2, &m), 0);
	until(b.takes == 40);
	heartbeat(&a);
	until(b.heartbeats == 1);
	run_for(30 * NS_PER_MS);
	ck_assert_uint_eq(b.takes, 40);
	ck_assert_uint_eq(b.heartbeats, 1);
	struct peer_link_info i[2];
	peer_ctl_links(b.ctl, 1, i, 2);
	ck_assert_uint_eq(i[0].rx_records, 42);
	ck_assert_uint_eq(i[1].rx_records, 42);
}
END_TEST

START_TEST(silence_and_return)
{
	start_both();
	until(a.ups == 1 && b.ups == 1);
	mono_t t = clock_mono();
	until(a.downs == 1 && b.downs == 1);
	ck_assert_int_ge(mono_sub(clock_mono(), t), 250 * NS_PER_MS);
	ck_assert_int_eq(a.why, PEER_WHY_SILENT);
	heartbeat(&a);
	until(b.ups == 2);
	ck_assert_uint_eq(a.ups, 1);
	ck_assert_int_gt(peer_ctl_last_heard(b.ctl, 1).ns, t.ns);
}
END_TEST

START_TEST(probe)
{
	start_both();
	until(a.ups == 1 && b.ups == 1);
	ck_assert_int_eq(peer_ctl_probe(a.ctl, 2), 0);
	ck_assert_int_eq(peer_ctl_probe(a.ctl, 2), -EALREADY);
	until(a.probe == PEER_PROBE_ANSWERED);
	/* The listening end asks the dialler: nothing listens there. */
	ck_assert_int_eq(peer_ctl_probe(b.ctl, 1), 0);
	until(b.probe == PEER_PROBE_REFUSED);
	peer_listen_free(b.listen);
	b.listen = NULL;
	ck_assert_int_eq(peer_ctl_probe(a.ctl, 2), 0);
	until(a.probe == PEER_PROBE_REFUSED);
	ck_assert_int_eq(peer_ctl_probe(a.ctl, 9), -ENOENT);
}
END_TEST

START_TEST(reconnect_and_new_boot)
{
	start_both();
	until(a.ups == 1 && b.ups == 1);
	struct peer_msg m = { .type = PEER_TAKE };
	for (unsigned i = 0; i < 5; i++)
		peer_ctl_send(a.ctl, 2, &m);
	until(b.takes == 5);
	peer_ctl_free(a.ctl, NULL);
	until(b.downs == 1);
	ck_assert_int_eq(b.why, PEER_WHY_EOF);
	start_ctl(&a, 12); /* the process was started anew: its numbers begin at 1 again */
	until(b.ups == 2 && a.ups == 2);
	peer_ctl_send(a.ctl, 2, &m);
	until(b.takes == 6);
}
END_TEST

START_TEST(keys_differ)
{
	strcpy(b.conf.key_file, key2);
	start_both();
	until(link_of(&a).why == PEER_WHY_KEY_ID && peer_listen_stats(b.listen)->refused[PEER_WHY_KEY_ID] > 0);
	ck_assert_msg(strstr(link_of(&a).text, "kt1:1:2:") != NULL, "%s", link_of(&a).text);
	ck_assert_uint_eq(a.ups + b.ups, 0);
}
END_TEST

START_TEST(rotation)
{
	char line[256];
	/* Node 1 has the new key above the old one, node 2 still has the old one only. */
	FILE *old = fopen(key1, "r"), *new = fopen(key2, "a");
	ck_assert(old && new);
	while (fgets(line, sizeof(line), old))
		fputs(line, new);
	fclose(old);
	fclose(new);
	strcpy(a.conf.key_file, key2);
	start_both();
	until(a.ups == 1 && b.ups == 1);
	ck_assert_uint_ge(peer_listen_stats(b.listen)->refused[PEER_WHY_KEY_ID], 1);
	ck_assert_uint_ge(link_of(&a).attempts, 2);
}
END_TEST

START_TEST(other_cluster)
{
	strcpy(b.conf.cluster, "lab");
	if (_i == 1)
		a.conf.insecure = b.conf.insecure = true;
	start_both();
	until(link_of(&a).why == PEER_WHY_CLUSTER);
	ck_assert_uint_ge(peer_listen_stats(b.listen)->refused[PEER_WHY_CLUSTER], 1);
	ck_assert_uint_eq(a.ups + b.ups, 0);
}
END_TEST

START_TEST(unknown_node)
{
	b.conf.nodes[0].id = 3; /* node 2 knows node 3 at that address, not node 1 */
	if (_i == 1)
		a.conf.insecure = b.conf.insecure = true;
	start_both();
	until(link_of(&a).why == PEER_WHY_UNKNOWN_NODE);
	ck_assert_uint_ge(peer_listen_stats(b.listen)->refused[PEER_WHY_UNKNOWN_NODE], 1);
}
END_TEST

START_TEST(own_id)
{
	b.conf.self = 1;
	b.conf.nodes[0].id = 2;
	b.conf.nodes[1].id = 1;
	start_listen(&b);
	start_ctl(&a, 11);
	until(peer_listen_stats(b.listen)->refused[PEER_WHY_OWN_ID] >= 1);
	until(link_of(&a).why == PEER_WHY_UNKNOWN_NODE);
}
END_TEST

START_TEST(plaintext_on_one_side)
{
	(_i == 0 ? &a : &b)->conf.insecure = true;
	start_both();
	until(link_of(&a).why != PEER_WHY_NONE);
	if (_i == 0) /* the plaintext dialler sees only that it is not wanted */
		until(peer_listen_stats(b.listen)->refused[PEER_WHY_NOT_TLS] >= 1);
	else
		until(link_of(&a).why == PEER_WHY_NOT_TLS &&
		      peer_listen_stats(b.listen)->refused[PEER_WHY_NOT_TLS] >= 1);
	ck_assert_uint_eq(a.ups + b.ups, 0);
}
END_TEST

START_TEST(nobody_listens)
{
	start_ctl(&a, 11);
	until(link_of(&a).why == PEER_WHY_REFUSED);
	until(link_of(&a).attempts >= 3); /* it goes on */
}
END_TEST

/* A raw connection to node 2 from this address. */
static int raw_connect(uint8_t last)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) }, from = to;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	to.sin_addr.s_addr = htonl(0x7f000002);
	from.sin_addr.s_addr = htonl(0x7f000000u | last);
	from.sin_port = 0;
	ck_assert(bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0);
	ck_assert(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
	return fd;
}

static bool at_end(int fd)
{
	char buf[256];
	ssize_t n;
	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		continue;
	return n == 0 || (errno != EAGAIN && errno != EINTR);
}

START_TEST(strangers)
{
	int fd[12];
	start_ctl(&b, 22);
	start_listen(&b);
	for (unsigned i = 0; i < 12; i++)
		fd[i] = raw_connect(1);
	until(peer_listen_stats(b.listen)->accepted == 12);
	ck_assert_uint_eq(peer_listen_stats(b.listen)->strangers, PEER_STRANGERS_MAX);
	ck_assert_uint_eq(peer_listen_stats(b.listen)->refused[PEER_WHY_STRANGERS], 2);
	until(at_end(fd[10]) && at_end(fd[11]));
	/* A drop of the handshake now and then does not buy more time. */
	mono_t t = clock_mono();
	static const uint8_t hello_head[] = { 22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3 };
	for (unsigned i = 0; peer_listen_stats(b.listen)->strangers > 0; i++) {
		ck_assert_int_lt(mono_sub(clock_mono(), t), 3 * NS_PER_SEC);
		if (i < sizeof(hello_head))
			(void)!send(fd[0], hello_head + i, 1, MSG_NOSIGNAL);
		loop_once(loop, 50 * NS_PER_MS);
	}
	ck_assert_uint_eq(peer_listen_stats(b.listen)->refused[PEER_WHY_TIMEOUT], 10);
	for (unsigned i = 0; i < 12; i++)
		close(fd[i]);
	start_ctl(&a, 11); /* and the peer is let in */
	until(a.ups == 1 && b.ups == 1);
}
END_TEST

START_TEST(plaintext_dribble)
{
	static const char line[] = "keeptrackd-ctl/1 kt1:1:2:-:edge\n";
	b.conf.insecure = true;
	start_ctl(&b, 22);
	start_listen(&b);
	int fd = raw_connect(1);
	for (unsigned i = 0; i < sizeof(line) - 1; i++) {
		ck_assert_uint_eq(peer_listen_stats(b.listen)->authenticated, 0);
		until(send(fd, line + i, 1, MSG_NOSIGNAL) == 1);
		loop_once(loop, NS_PER_MS);
	}
	until(peer_listen_stats(b.listen)->authenticated == 1);
	close(fd);
	fd = raw_connect(1); /* half a line is worth nothing */
	until(send(fd, line, 10, MSG_NOSIGNAL) == 10);
	until(peer_listen_stats(b.listen)->refused[PEER_WHY_TIMEOUT] == 1);
	close(fd);
}
END_TEST

START_TEST(wrong_source)
{
	start_listen(&b);
	int fd = raw_connect(9);
	until(at_end(fd));
	ck_assert_uint_eq(peer_listen_stats(b.listen)->refused[PEER_WHY_SOURCE], 1);
	ck_assert_uint_eq(peer_listen_stats(b.listen)->strangers, 0);
	close(fd);
}
END_TEST

START_TEST(no_tls_at_all)
{
	static const char *const texts[] = { "GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01\x00\x05zzzzzzz",
					     "\0\0\0\0\0\0\0\0\0\0\0\0" };
	start_listen(&b);
	int fd = raw_connect(1);
	until(send(fd, texts[_i], 12, MSG_NOSIGNAL) == 12);
	until(at_end(fd));
	const struct peer_listen_stats *st = peer_listen_stats(b.listen);
	ck_assert_uint_eq(st->refused[PEER_WHY_NOT_TLS] + st->refused[PEER_WHY_TLS], 1);
	close(fd);
}
END_TEST

/* A TLS client with our identity, as a test wants it. */
static const char *client_identity;
static uint8_t client_key[KEY_BYTES];

static int client_psk(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *n, SSL_SESSION **sess)
{
	static const unsigned char suite[] = { 0x13, 0x01 };
	(void)md;
	*sess = SSL_SESSION_new();
	SSL_SESSION_set1_master_key(*sess, client_key, sizeof(client_key));
	SSL_SESSION_set_cipher(*sess, SSL_CIPHER_find(ssl, suite));
	SSL_SESSION_set_protocol_version(*sess, TLS1_3_VERSION);
	*id = (const unsigned char *)client_identity;
	*n = strlen(client_identity);
	return 1;
}

struct client {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	bool done, failed;
	unsigned long error;
};

static void client_start(struct client *c, const char *alpn, bool good_key)
{
	struct key_file k;
	char err[256];
	static char identity[96];
	unsigned char protos[64];
	*c = (struct client){ .fd = raw_connect(1) };
	ck_assert_int_eq(key_file_read(key1, &k, err, sizeof(err)), 0);
	ck_assert_int_eq(key_file_derive(&k, 0, 1, good_key ? 2 : 3, "edge", client_key), 0);
	snprintf(identity, sizeof(identity), "kt1:1:2:%s:edge", k.keys[0].id);
	client_identity = identity;
	c->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_ciphersuites(c->ctx, "TLS_AES_128_GCM_SHA256");
	SSL_CTX_set_psk_use_session_callback(c->ctx, client_psk);
	c->ssl = SSL_new(c->ctx);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_connect_state(c->ssl);
	protos[0] = (unsigned char)strlen(alpn);
	memcpy(protos + 1, alpn, protos[0]);
	if (protos[0] > 0)
		SSL_set_alpn_protos(c->ssl, protos, protos[0] + 1u);
}

static bool client_step(struct client *c)
{
	if (c->done || c->failed)
		return true;
	ERR_clear_error();
	int rc = SSL_do_handshake(c->ssl);
	int e = SSL_get_error(c->ssl, rc);
	c->done = rc == 1;
	c->failed = rc != 1 && e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE &&
		    !(e == SSL_ERROR_SYSCALL && errno == ENOTCONN);
	c->error = ERR_peek_error();
	ERR_clear_error();
	return c->done || c->failed;
}

static void client_free(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
}

START_TEST(wrong_key_under_the_right_name)
{
	struct client c;
	start_listen(&b);
	client_start(&c, PEER_ALPN_CTL, false);
	until(client_step(&c));
	ck_assert(c.failed);
	char text[160];
	ERR_put_error(ERR_GET_LIB(c.error), 0, ERR_GET_REASON(c.error), "", 0);
	ck_assert_int_eq(peer_tls_reason(SSL_ERROR_SSL, 0, text, sizeof(text)), PEER_WHY_WRONG_KEY);
	until(peer_listen_stats(b.listen)->refused[PEER_WHY_WRONG_KEY] == 1);
	client_free(&c);
}
END_TEST

START_TEST(other_protocol_version)
{
	struct client c;
	start_listen(&b);
	client_start(&c, _i == 0 ? "keeptrackd-ctl/9" : "", true);
	until(client_step(&c) && peer_listen_stats(b.listen)->refused[PEER_WHY_VERSION] == 1);
	ck_assert_uint_eq(peer_listen_stats(b.listen)->authenticated, 0);
	client_free(&c);
}
END_TEST

START_TEST(data_is_told_apart)
{
	struct client c;
	start_listen(&b);
	client_start(&c, PEER_ALPN_DATA, true);
	until(client_step(&c) && b.data_conns == 1);
	ck_assert(c.done);
	ck_assert_int_eq(SSL_session_reused(c.ssl), 1);
	ck_assert_str_eq(SSL_get_version(c.ssl), "TLSv1.3");
	EVP_PKEY *exchange = NULL; /* psk_dhe_ke: there was one */
	ck_assert(SSL_get_peer_tmp_key(c.ssl, &exchange) == 1);
	EVP_PKEY_free(exchange);
	client_free(&c);
}
END_TEST

static void client_send(struct client *c, const void *p, int n)
{
	until(client_step(c));
	ck_assert(c->done);
	ck_assert_int_eq(SSL_write(c->ssl, p, n), n);
}

/* After authentication: what the peer does wrong, and what it is told. */
START_TEST(bad_peer)
{
	uint8_t buf[SYNC_CTL_MAX];
	struct client c;
	struct peer_msg m;
	struct peer_self self = { .node = 1, .boot_nonce = 5 };
	int n;
	start_ctl(&b, 22);
	start_listen(&b);
	client_start(&c, PEER_ALPN_CTL, true);
	enum peer_why want = PEER_WHY_MALFORMED;
	peer_hello_make(&self, &a.conf, false, &m);
	switch (_i) {
	case 0: /* no record at all */
		memset(buf, 0xff, 64);
		client_send(&c, buf, 64);
		break;
	case 1: /* a heartbeat before the hello */
		m = (struct peer_msg){ .type = PEER_HEARTBEAT };
		n = sync_msg_write(buf, sizeof(buf), 1, 1, &m);
		client_send(&c, buf, n);
		break;
	case 2: /* a later version only */
		m.hello.version_min = m.hello.version_max = 9;
		n = sync_msg_write(buf, sizeof(buf), 1, 0, &m);
		client_send(&c, buf, n);
		want = PEER_WHY_VERSION;
		break;
	case 3: /* a name that was not authenticated */
		m.hello.node = 3;
		n = sync_msg_write(buf, sizeof(buf), 1, 0, &m);
		client_send(&c, buf, n);
		want = PEER_WHY_UNKNOWN_NODE;
		break;
	default: /* a second hello, of another boot */
		n = sync_msg_write(buf, sizeof(buf), 1, 0, &m);
		client_send(&c, buf, n);
		m.hello.boot_nonce++;
		n = sync_msg_write(buf, sizeof(buf), 1, 0, &m);
		client_send(&c, buf, n);
		break;
	}
	until(link_of(&b).why == want);
	/* It reads a hello, and (but for garbage) the reason. */
	size_t got = 0;
	until((n = SSL_read(c.ssl, buf + got, (int)(sizeof(buf) - got))) <= 0
		  ? SSL_get_error(c.ssl, n) != SSL_ERROR_WANT_READ
		  : (got += (size_t)n, false));
	struct sync_env env;
	size_t used, at = 0;
	enum peer_why told = PEER_WHY_NONE;
	while (at < got && sync_env_read(buf + at, got - at, SYNC_CTL_MAX, SYNC_CHAN_CTL, &env, &used) == SYNC_OK) {
		ck_assert_int_eq(sync_msg_read(&env, &m, NULL), SYNC_OK);
		if (m.type == PEER_CLOSE)
			told = peer_close_why(&m);
		at += used;
	}
	ck_assert_uint_eq(at, got);
	ck_assert_int_eq(told, _i == 0 ? PEER_WHY_NONE : want);
	client_free(&c);
}
END_TEST

/* The peer accepts and then reads nothing: the queue has an end, and sending says so. */
START_TEST(peer_does_not_read)
{
	struct client c;
	uint8_t buf[SYNC_CTL_MAX];
	struct peer_msg m;
	struct peer_self self = { .node = 1, .boot_nonce = 5 };
	start_ctl(&b, 22);
	start_listen(&b);
	client_start(&c, PEER_ALPN_CTL, true);
	int small = 4096;
	setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	peer_hello_make(&self, &a.conf, false, &m);
	int n = sync_msg_write(buf, sizeof(buf), 1, 0, &m);
	client_send(&c, buf, n);
	until(b.ups == 1);
	m = (struct peer_msg){ .type = PEER_HEARTBEAT, .n_groups = PEER_GROUPS_MAX };
	mono_t begun = clock_mono();
	unsigned sent = 0;
	while (peer_ctl_send(b.ctl, 1, &m) == 0 && sent < 100000)
		sent++;
	ck_assert_uint_lt(sent, 100000);
	int64_t elapsed = mono_sub(clock_mono(), begun);
	until(b.downs == 1);
	/* A build that is slow enough finds it silent before the queue is full. */
	ck_assert(b.why == PEER_WHY_FULL || (elapsed > 250 * NS_PER_MS && b.why == PEER_WHY_SILENT));
	client_free(&c);
}
END_TEST

START_TEST(reload)
{
	static struct sync_conf now;
	char err[256] = "";
	start_both();
	until(a.ups == 1 && b.ups == 1);
	now = a.conf;
	strcpy(now.key_file, "/nonexistent");
	ck_assert_int_eq(peer_ctl_conf(a.ctl, &now, digest, err, sizeof(err)), -ENOENT);
	ck_assert(strstr(err, "/nonexistent") != NULL);
	now = a.conf; /* nothing that concerns the peer: the connection stays */
	ck_assert_int_eq(peer_ctl_conf(a.ctl, &now, digest, err, sizeof(err)), 0);
	heartbeat(&a);
	until(b.heartbeats == 1);
	ck_assert_uint_eq(a.downs + b.downs, 0);
	/* New digests are told, and the peer's are judged anew here. */
	static const uint64_t other_digest[4] = { 1, 2, 3, 5 };
	unsigned hellos = a.hellos;
	ck_assert_int_eq(peer_ctl_conf(a.ctl, &now, other_digest, err, sizeof(err)), 0);
	until(b.hellos == 2 && a.hellos == hellos + 1);
	ck_assert_uint_eq(peer_ctl_hello(b.ctl, 1)->config_digest[3], 5);
	ck_assert_uint_eq(a.downs + b.downs, 0);
	/* The listener keeps its socket; another port makes a new one. */
	struct sync_conf later = b.conf;
	ck_assert_int_eq(peer_listen_conf(b.listen, &later, b.tls, err, sizeof(err)), 0);
	later.port = PORT + 1;
	ck_assert_int_eq(peer_listen_conf(b.listen, &later, b.tls, err, sizeof(err)), 0);
	ck_assert_int_eq(peer_ctl_probe(a.ctl, 2), 0);
	until(a.probe == PEER_PROBE_REFUSED);
	now.nodes[1].id = 4; /* node 2 is gone from the configuration */
	static struct sync_conf other;
	other = now;
	ck_assert_int_eq(peer_ctl_conf(a.ctl, &other, digest, err, sizeof(err)), 0);
	ck_assert_uint_eq(a.downs, 1);
	ck_assert(peer_ctl_hello(a.ctl, 2) == NULL);
	until(b.downs == 1);
}
END_TEST

START_TEST(identities)
{
	static const struct {
		const char *text;
		enum peer_why want;
	} rows[] = {
		{ "kt1:1:2:abcdef01:edge", PEER_WHY_UP },
		{ "kt1:1:2:-:edge", PEER_WHY_UP },
		{ "kt1:1:2:abcdef01:lab", PEER_WHY_CLUSTER },
		{ "kt1:1:2:abcdef01:", PEER_WHY_CLUSTER },
		{ "kt1:2:2:abcdef01:edge", PEER_WHY_OWN_ID },
		{ "kt1:7:2:abcdef01:edge", PEER_WHY_UNKNOWN_NODE },
		{ "kt1:1:3:abcdef01:edge", PEER_WHY_UNKNOWN_NODE },
		{ "kt2:1:2:abcdef01:edge", PEER_WHY_MALFORMED },
		{ "kt1:0:2:abcdef01:edge", PEER_WHY_MALFORMED },
		{ "kt1:1:x:abcdef01:edge", PEER_WHY_MALFORMED },
		{ "kt1:99999999999:2:abcdef01:edge", PEER_WHY_MALFORMED },
		{ "kt1:1:2:abcdef012:edge", PEER_WHY_MALFORMED },
		{ "kt1:1:2", PEER_WHY_MALFORMED },
		{ "kt1", PEER_WHY_MALFORMED },
		{ "", PEER_WHY_MALFORMED },
		{ "kt1:1:2:abcdef01:ed\nge", PEER_WHY_MALFORMED },
	};
	uint32_t node;
	char key[9], text[160];
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum peer_why w =
		    peer_identity_check(&b.conf, rows[i].text, strlen(rows[i].text), &node, key, text, sizeof(text));
		ck_assert_msg(w == rows[i].want, "'%s': %s", rows[i].text, peer_why_name(w));
	}
	char id[PEER_IDENTITY_MAX];
	peer_identity_write(&a.conf, 2, "abcdef01", id);
	ck_assert_str_eq(id, rows[0].text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("peer_tls");
	TCase *t = tcase_create("all");
	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, handshake, 0, 2);
	tcase_add_test(t, two_links_deliver_once);
	tcase_add_test(t, silence_and_return);
	tcase_add_test(t, probe);
	tcase_add_test(t, reconnect_and_new_boot);
	tcase_add_test(t, keys_differ);
	tcase_add_test(t, rotation);
	tcase_add_loop_test(t, other_cluster, 0, 2);
	tcase_add_loop_test(t, unknown_node, 0, 2);
	tcase_add_test(t, own_id);
	tcase_add_loop_test(t, plaintext_on_one_side, 0, 2);
	tcase_add_test(t, nobody_listens);
	tcase_add_test(t, strangers);
	tcase_add_test(t, plaintext_dribble);
	tcase_add_test(t, wrong_source);
	tcase_add_loop_test(t, no_tls_at_all, 0, 3);
	tcase_add_test(t, wrong_key_under_the_right_name);
	tcase_add_loop_test(t, other_protocol_version, 0, 2);
	tcase_add_test(t, data_is_told_apart);
	tcase_add_loop_test(t, bad_peer, 0, 5);
	tcase_add_test(t, peer_does_not_read);
	tcase_add_test(t, reload);
	tcase_add_test(t, identities);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
