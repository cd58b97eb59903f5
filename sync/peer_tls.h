/*
 * Purpose: TLS 1.3 with an external pre-shared key: contexts, identities, the handshake step, reasons in our own words.
 * Owns:    struct peer_tls (two SSL_CTX, keys). SSL objects belong to the caller.
 * Thread:  an object may be used on one thread; SSL objects made from it may move to another thread after the handshake.
 * In:      configuration, key file, connected sockets.
 * Out:     authenticated SSL objects with the peer's node id.
 * Errors:  constructors NULL with a text; a failed handshake yields an enum peer_why and a text.
 *
 * Identity: "kt1:FROM:TO:KEYID:CLUSTER", FROM dials. Key: key_file_derive for this ordered pair, so that a key taken
 * from one direction or pair is of no use for another. psk_dhe_ke only, X25519, TLS_AES_128_GCM_SHA256, no tickets, no
 * early data, no certificates: without the key there is no handshake. ALPN tells a ctl from a data connection, so that
 * nothing of the application is read before a connection is handed to its thread.
 */
#ifndef KT_SYNC_PEER_TLS_H
#define KT_SYNC_PEER_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sync/peer_why.h"
#include "sync/sync_conf.h"

struct peer_tls;
struct ssl_st;

#define PEER_IDENTITY_MAX 96
#define PEER_SHAKE_TEXT   160
#define PEER_ALPN_CTL     "keeptrackd-ctl/1"
#define PEER_ALPN_DATA    "keeptrackd-data/1"

/* NULL with insecure is not an error: *out is NULL and 0 is returned. 0 or -errno / ERR_* with err filled. */
int peer_tls_new(const struct sync_conf *conf, struct peer_tls **out, char *err, size_t err_len);
void peer_tls_free(struct peer_tls *t);
/* Keys in the file: 1 or 2. */
unsigned peer_tls_keys(const struct peer_tls *t);

/* One handshake; must stay where it is from peer_tls_begin until the handshake is over. */
struct peer_shake {
	const struct peer_tls *tls;
	bool dials;
	bool data;     /* dialling: asked; accepting: found by ALPN */
	uint32_t node; /* dialling: expected; accepting: found by the identity */
	unsigned key;  /* dialling: which key of the file is used */
	char identity[PEER_IDENTITY_MAX];
	enum peer_why why;
	char text[PEER_SHAKE_TEXT]; /* details, one line */
};

enum peer_step { PEER_STEP_DONE = 0, PEER_STEP_READ, PEER_STEP_WRITE, PEER_STEP_FAILED };

/* Makes the SSL object of a connected non-blocking socket. For a dialler, node, data and key of *s are set by the
 * caller. NULL: no memory. The SSL object does not own the socket. */
struct ssl_st *peer_tls_begin(const struct peer_tls *t, struct peer_shake *s, bool dials, int fd);
/* Goes on; READ, WRITE: call again when the socket is. FAILED: s->why and s->text say why. */
enum peer_step peer_tls_step(struct ssl_st *ssl, struct peer_shake *s);

/* Checks an identity against the configuration: PEER_WHY_UP, or what is wrong, with text. *node is FROM if readable.
 * Also used for the first line of a plaintext connection. Pure but for the texts. */
enum peer_why peer_identity_check(const struct sync_conf *conf, const char *identity, size_t len, uint32_t *node,
				  char key_id[9], char *text, size_t text_len);
/* Writes the identity of the connection from conf->self to `to`. key_id "-": plaintext. */
void peer_identity_write(const struct sync_conf *conf, uint32_t to, const char *key_id, char out[PEER_IDENTITY_MAX]);

/* The oldest error of OpenSSL's queue (emptied) as text; the reason mapped to our words. sys_errno: errno of the call.
 */
enum peer_why peer_tls_reason(int ssl_error, int sys_errno, char *text, size_t text_len);

#endif
