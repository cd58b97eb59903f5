/* Who is not the peer, and a peer that misbehaves: what the listening end does about it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "sync/key_file.h"
#include "sync/ossl.h"
#include "sync/peer_conn.h"
#include "tests/unit/peer_ends.h"

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

int main(void)
{
	TCase *t = tcase_create("one node");

	tcase_add_test(t, strangers);
	tcase_add_test(t, plaintext_dribble);
	tcase_add_test(t, wrong_source);
	tcase_add_loop_test(t, no_tls_at_all, 0, 3);
	tcase_add_test(t, wrong_key_under_the_right_name);
	tcase_add_loop_test(t, other_protocol_version, 0, 2);
	tcase_add_test(t, data_is_told_apart);
	tcase_add_loop_test(t, bad_peer, 0, 5);
	tcase_add_test(t, peer_does_not_read);
	return peer_ends_run("peer_strangers", t);
}
