/*
 * OpenSSL's external PSK interface for TLS 1.3: a SSL_SESSION that holds the key, found by identity on both ends.
 *
 * When an identity is refused, OpenSSL would go on without PSK and end in handshake_failure, since there is no
 * certificate. That alert does not say why; a plain alert record with a telling code is sent before (RFC 8446, 6.2:
 * nothing of the server was sent yet, so an alert is in the clear), and the dialler can name the reason too.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "daemon/base/err.h"
#include "sync/key_file.h"
#include "sync/ossl.h"
#include "sync/peer_tls.h"

/* RFC 8446, 6: alert codes that we send or read. */
enum {
	ALERT_BAD_RECORD_MAC = 20,
	ALERT_HANDSHAKE_FAILURE = 40,
	ALERT_ILLEGAL_PARAMETER = 47,
	ALERT_ACCESS_DENIED = 49,
	ALERT_DECRYPT_ERROR = 51,
	ALERT_PROTOCOL_VERSION = 70,
	ALERT_UNRECOGNIZED_NAME = 112,
	ALERT_UNKNOWN_PSK_IDENTITY = 115,
	ALERT_NO_APPLICATION_PROTOCOL = 120,
	REASON_ALERT_BASE = 1000, /* OpenSSL: reason of a received alert */
};

static const char identity_tag[] = "kt1";
static const unsigned char suite_aes_128_gcm_sha256[2] = { 0x13, 0x01 };

struct peer_tls {
	SSL_CTX *client, *server;
	struct sync_conf conf;
	struct key_file keys;
};

void peer_identity_write(const struct sync_conf *conf, uint32_t to, const char *key_id, char out[PEER_IDENTITY_MAX])
{
	snprintf(out, PEER_IDENTITY_MAX, "%s:%" PRIu32 ":%" PRIu32 ":%s:%s", identity_tag, conf->self, to, key_id,
		 conf->cluster);
}

/* Decimal node id up to ':'; 0 when it is none. */
static uint32_t take_id(const char **p)
{
	uint64_t v = 0;
	const char *at = *p;
	while (*at >= '0' && *at <= '9' && at - *p < 10)
		v = v * 10 + (uint64_t)(*at++ - '0');
	if (at == *p || *at != ':' || v > INT32_MAX)
		return 0;
	*p = at + 1;
	return (uint32_t)v;
}

static bool node_known(const struct sync_conf *conf, uint32_t id)
{
	for (unsigned i = 0; i < conf->n_nodes; i++) {
		if (conf->nodes[i].id == id)
			return true;
	}
	return false;
}

static bool printable(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] < 0x20 || p[i] > 0x7e)
			return false;
	}
	return n > 0;
}

enum peer_why peer_identity_check(const struct sync_conf *conf, const char *identity, size_t len, uint32_t *node,
				  char key_id[9], char *text, size_t cap)
{
	char buf[PEER_IDENTITY_MAX];
	*node = 0;
	if (len >= sizeof(buf) || !printable(identity, len)) {
		snprintf(text, cap, "the identity is %zu bytes that are not ours", len);
		return PEER_WHY_MALFORMED;
	}
	memcpy(buf, identity, len);
	buf[len] = '\0';
	const char *p = buf + sizeof(identity_tag);
	uint32_t from = 0, to = 0;
	if (strncmp(buf, "kt1:", sizeof(identity_tag)) == 0)
		from = take_id(&p);
	if (from != 0)
		to = take_id(&p);
	const char *sep = to != 0 ? strchr(p, ':') : NULL;
	if (!sep || sep - p >= 9) {
		snprintf(text, cap, "the identity '%s' is not ours", buf);
		return PEER_WHY_MALFORMED;
	}
	memcpy(key_id, p, (size_t)(sep - p));
	key_id[sep - p] = '\0';
	*node = from;
	if (strcmp(sep + 1, conf->cluster) != 0) {
		snprintf(text, cap, "node %" PRIu32 " belongs to cluster '%s', this node to '%s'", from, sep + 1,
			 conf->cluster);
		return PEER_WHY_CLUSTER;
	}
	if (from == conf->self) {
		snprintf(text, cap, "another node uses the id %" PRIu32 " of this node", from);
		return PEER_WHY_OWN_ID;
	}
	if (!node_known(conf, from)) {
		snprintf(text, cap, "node %" PRIu32 " is not in the list of nodes", from);
		return PEER_WHY_UNKNOWN_NODE;
	}
	if (to != conf->self) {
		snprintf(text, cap, "node %" PRIu32 " looks for node %" PRIu32 " here, this is node %" PRIu32, from, to,
			 conf->self);
		return PEER_WHY_UNKNOWN_NODE;
	}
	return PEER_WHY_UP;
}

static SSL_SESSION *psk_session(SSL *ssl, const struct peer_tls *t, unsigned key, uint32_t from, uint32_t to)
{
	uint8_t secret[KEY_BYTES];
	if (key_file_derive(&t->keys, key, from, to, t->conf.cluster, secret) != 0)
		return NULL;
	SSL_SESSION *sess = SSL_SESSION_new();
	const SSL_CIPHER *suite = SSL_CIPHER_find(ssl, suite_aes_128_gcm_sha256);
	if (!sess || !suite || !SSL_SESSION_set1_master_key(sess, secret, sizeof(secret)) ||
	    !SSL_SESSION_set_cipher(sess, suite) || !SSL_SESSION_set_protocol_version(sess, TLS1_3_VERSION)) {
		SSL_SESSION_free(sess);
		sess = NULL;
	}
	OPENSSL_cleanse(secret, sizeof(secret));
	return sess;
}

/* Dialler: offers the identity. Called a second time after a HelloRetryRequest. */
static int on_psk_use(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *id_len, SSL_SESSION **sess)
{
	struct peer_shake *s = SSL_get_app_data(ssl);
	const struct peer_tls *t = s->tls;
	*sess = NULL;
	if (md && EVP_MD_get_type(md) != NID_sha256)
		return 1; /* a suite that is not ours was chosen: no PSK, hence no handshake */
	peer_identity_write(&t->conf, s->node, t->keys.keys[s->key].id, s->identity);
	*sess = psk_session(ssl, t, s->key, t->conf.self, s->node);
	*id = (const unsigned char *)s->identity;
	*id_len = strlen(s->identity);
	return *sess != NULL;
}

/* Best effort: a peer that does not get it learns handshake_failure. */
static void send_alert(const SSL *ssl, uint8_t code)
{
	const uint8_t record[] = { 21, 3, 3, 0, 2, 2, code }; /* alert, legacy version, length 2, fatal */
	ssize_t n = send(SSL_get_fd(ssl), record, sizeof(record), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)n;
}

static uint8_t alert_of(enum peer_why why)
{
	if (why == PEER_WHY_CLUSTER)
		return ALERT_UNRECOGNIZED_NAME;
	return why == PEER_WHY_UNKNOWN_NODE || why == PEER_WHY_OWN_ID ? ALERT_ACCESS_DENIED
								      : ALERT_UNKNOWN_PSK_IDENTITY;
}

/* Acceptor: finds the key of an identity. */
static int on_psk_find(SSL *ssl, const unsigned char *id, size_t id_len, SSL_SESSION **sess)
{
	struct peer_shake *s = SSL_get_app_data(ssl);
	const struct peer_tls *t = s->tls;
	char key_id[KEY_ID_TEXT];
	*sess = NULL;
	enum peer_why why =
	    peer_identity_check(&t->conf, (const char *)id, id_len, &s->node, key_id, s->text, sizeof(s->text));
	unsigned key = 0;
	while (why == PEER_WHY_UP && key < t->keys.n && strcmp(t->keys.keys[key].id, key_id) != 0)
		key++;
	if (why == PEER_WHY_UP && key == t->keys.n) {
		snprintf(s->text, sizeof(s->text), "node %" PRIu32 " uses key %s, which is not in the key file",
			 s->node, key_id);
		why = PEER_WHY_KEY_ID;
	}
	if (why != PEER_WHY_UP) {
		s->why = why;
		send_alert(ssl, alert_of(why));
		return 1; /* goes on without PSK and fails */
	}
	memcpy(s->identity, id, id_len);
	s->identity[id_len] = '\0';
	*sess = psk_session(ssl, t, key, s->node, t->conf.self);
	return *sess != NULL;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
		   unsigned in_len, void *arg)
{
	(void)arg;
	struct peer_shake *s = SSL_get_app_data(ssl);
	static const char *const known[] = { PEER_ALPN_CTL, PEER_ALPN_DATA };
	for (unsigned at = 0; at < in_len && in[at] <= in_len - at - 1; at += 1u + in[at]) {
		for (unsigned k = 0; k < 2; k++) {
			if (in[at] == strlen(known[k]) && memcmp(in + at + 1, known[k], in[at]) == 0) {
				*out = in + at + 1;
				*out_len = in[at];
				s->data = k == 1;
				return SSL_TLSEXT_ERR_OK;
			}
		}
	}
	if (s->why == PEER_WHY_NONE) {
		s->why = PEER_WHY_VERSION;
		snprintf(s->text, sizeof(s->text), "the peer offers no protocol of this version (%s)", PEER_ALPN_CTL);
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *make_ctx(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	if (!ctx)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL); /* a certificate instead of our key is never good */
	if (!SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") || !SSL_CTX_set1_groups_list(ctx, "X25519") ||
	    !SSL_CTX_set_num_tickets(ctx, 0) || !SSL_CTX_set_max_early_data(ctx, 0)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

int peer_tls_new(const struct sync_conf *conf, struct peer_tls **out, char *err, size_t cap)
{
	*out = NULL;
	if (conf->insecure)
		return 0;
	struct peer_tls *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->conf = *conf;
	int rc = key_file_read(conf->key_file, &t->keys, err, cap);
	if (rc != 0) {
		free(t);
		return rc;
	}
	t->client = make_ctx(TLS_client_method());
	t->server = make_ctx(TLS_server_method());
	/* A server that verifies needs a session context, although it keeps no session; a client must have none. */
	if (t->server)
		SSL_CTX_set_session_id_context(t->server, (const unsigned char *)"keeptrackd", 10);
	if (!t->client || !t->server) {
		snprintf(err, cap, "this OpenSSL lacks TLS 1.3 with AES-128-GCM and X25519");
		ERR_clear_error();
		peer_tls_free(t);
		return -EPROTONOSUPPORT;
	}
	SSL_CTX_set_psk_use_session_callback(t->client, on_psk_use);
	SSL_CTX_set_psk_find_session_callback(t->server, on_psk_find);
	SSL_CTX_set_alpn_select_cb(t->server, on_alpn, NULL);
	*out = t;
	return 0;
}

void peer_tls_free(struct peer_tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->client);
	SSL_CTX_free(t->server);
	key_file_wipe(&t->keys);
	free(t);
}

unsigned peer_tls_keys(const struct peer_tls *t)
{
	return t->keys.n;
}

struct ssl_st *peer_tls_begin(const struct peer_tls *t, struct peer_shake *s, bool dials, int fd)
{
	static const unsigned char alpn_ctl[] = "\x10" PEER_ALPN_CTL, alpn_data[] = "\x11" PEER_ALPN_DATA;
	s->tls = t;
	s->dials = dials;
	s->why = PEER_WHY_NONE;
	s->text[0] = '\0';
	if (dials && s->key >= t->keys.n)
		s->key = 0;
	SSL *ssl = SSL_new(dials ? t->client : t->server);
	if (!ssl)
		return NULL;
	const unsigned char *alpn = s->data ? alpn_data : alpn_ctl;
	bool ok = SSL_set_fd(ssl, fd) == 1 && SSL_set_app_data(ssl, s) == 1;
	if (ok && dials)
		ok = SSL_set_alpn_protos(ssl, alpn, alpn[0] + 1u) == 0;
	if (!ok) {
		SSL_free(ssl);
		return NULL;
	}
	if (dials)
		SSL_set_connect_state(ssl);
	else
		SSL_set_accept_state(ssl);
	return ssl;
}

static enum peer_why why_of_alert(int code)
{
	switch (code) {
	case ALERT_BAD_RECORD_MAC:
	case ALERT_ILLEGAL_PARAMETER:
	case ALERT_DECRYPT_ERROR:
		return PEER_WHY_WRONG_KEY;
	case ALERT_ACCESS_DENIED:
		return PEER_WHY_UNKNOWN_NODE;
	case ALERT_UNRECOGNIZED_NAME:
		return PEER_WHY_CLUSTER;
	case ALERT_UNKNOWN_PSK_IDENTITY:
		return PEER_WHY_KEY_ID;
	case ALERT_PROTOCOL_VERSION:
	case ALERT_NO_APPLICATION_PROTOCOL:
		return PEER_WHY_VERSION;
	default:
		return PEER_WHY_ALERT;
	}
}

static enum peer_why why_of_reason(int reason)
{
	if (reason >= REASON_ALERT_BASE && reason < REASON_ALERT_BASE + 256)
		return why_of_alert(reason - REASON_ALERT_BASE);
	switch (reason) {
	case SSL_R_BINDER_DOES_NOT_VERIFY:
	case SSL_R_BAD_PSK:
	case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
		return PEER_WHY_WRONG_KEY;
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_BAD_RECORD_TYPE:
	case SSL_R_UNEXPECTED_MESSAGE:
	case SSL_R_RECORD_TOO_SMALL:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
		return PEER_WHY_NOT_TLS;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_NO_PROTOCOLS_AVAILABLE:
	case SSL_R_NO_SHARED_CIPHER:
		return PEER_WHY_VERSION;
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		return PEER_WHY_EOF;
	default:
		return PEER_WHY_TLS;
	}
}

enum peer_why peer_tls_reason(int ssl_error, int sys_errno, char *text, size_t cap)
{
	unsigned long e = ERR_get_error();
	ERR_clear_error();
	if (ssl_error == SSL_ERROR_ZERO_RETURN || (ssl_error == SSL_ERROR_SYSCALL && e == 0 && sys_errno == 0)) {
		snprintf(text, cap, "the other end closed the connection");
		return PEER_WHY_EOF;
	}
	if (ssl_error == SSL_ERROR_SYSCALL && e == 0) {
		snprintf(text, cap, "%s", err_text(-sys_errno));
		return sys_errno == ECONNRESET || sys_errno == EPIPE || sys_errno == ETIMEDOUT ? PEER_WHY_LOST
											       : PEER_WHY_ERROR;
	}
	const char *reason = ERR_reason_error_string(e);
	enum peer_why why = why_of_reason(ERR_GET_REASON(e));
	snprintf(text, cap, "TLS: %s", reason ? reason : "unknown error");
	return why;
}

/* Nothing but our PSK may have authenticated the peer, and the protocol must be one of ours. */
static enum peer_step finish(SSL *ssl, struct peer_shake *s)
{
	const unsigned char *alpn = NULL;
	unsigned n = 0;
	SSL_get0_alpn_selected(ssl, &alpn, &n);
	const char *want = s->data ? PEER_ALPN_DATA : PEER_ALPN_CTL;
	if (n != strlen(want) || memcmp(alpn, want, n) != 0) {
		s->why = PEER_WHY_VERSION;
		snprintf(s->text, sizeof(s->text), "the peer named no protocol of this version (%s)", want);
		return PEER_STEP_FAILED;
	}
	if (SSL_session_reused(ssl) != 1) {
		s->why = PEER_WHY_WRONG_KEY;
		snprintf(s->text, sizeof(s->text), "the peer did not use the pre-shared key");
		return PEER_STEP_FAILED;
	}
	SSL_set_app_data(ssl, NULL);
	s->why = PEER_WHY_UP;
	return PEER_STEP_DONE;
}

enum peer_step peer_tls_step(struct ssl_st *ssl, struct peer_shake *s)
{
	ERR_clear_error();
	errno = 0;
	int rc = SSL_do_handshake(ssl);
	int sys_errno = errno;
	if (rc == 1)
		return finish(ssl, s);
	int e = SSL_get_error(ssl, rc);
	if (e == SSL_ERROR_WANT_READ)
		return PEER_STEP_READ;
	if (e == SSL_ERROR_WANT_WRITE)
		return PEER_STEP_WRITE;
	if (s->why != PEER_WHY_NONE) { /* one of our callbacks knows better */
		ERR_clear_error();
		return PEER_STEP_FAILED;
	}
	s->why = peer_tls_reason(e, sys_errno, s->text, sizeof(s->text));
	if (s->dials && (s->why == PEER_WHY_UNKNOWN_NODE || s->why == PEER_WHY_CLUSTER || s->why == PEER_WHY_KEY_ID ||
			 s->why == PEER_WHY_WRONG_KEY))
		snprintf(s->text, sizeof(s->text), "the peer refused our identity '%s'", s->identity);
	return PEER_STEP_FAILED;
}
