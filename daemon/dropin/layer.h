/*
 * Purpose: two names, one engine: the messages between the process that runs the engine and one that adds its
 *          configuration to it as a layer.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  a message <-> a line of text: one datagram of a SOCK_SEQPACKET connection.
 * Errors:  what is no such line is LAYER_BAD.
 *
 * The processes meet at an abstract socket, whose names belong to a network namespace: one engine for each. Who runs
 * virtual routers is always the engine, because nothing may interrupt it; a conntrackd that was there first gives the
 * engine away (YIELD) and comes back as a layer. A layer lives exactly as long as its connection.
 *
 *   layer -> engine   attach PATH   reload   yield PLACE
 *   engine -> layer   hold WHAT     ok       no WHY   end
 *
 * HOLD brings descriptors that have to outlive the engine (legacy.h), so that a layer whose engine was killed can go on
 * with everything that it served. The same goes to whoever the engine yields to.
 */
#ifndef KT_LAYER_H
#define KT_LAYER_H

#include <stddef.h>

#define LAYER_SOCKET   "keeptrackd-engine" /* in the abstract namespace */
#define LAYER_TEXT_MAX 512
#define LAYER_MSG_MAX  (LAYER_TEXT_MAX + 16)

enum layer_msg_type {
	LAYER_BAD = 0,
	LAYER_ATTACH, /* text: absolute path of a conntrackd.conf. Answered when it is in force, or refused */
	LAYER_RELOAD, /* read the files anew. Answered likewise */
	LAYER_YIELD, /* text: run directory of who wants the engine, "-" without one. ok: the engine ends now, without touching
			 anything; no: it serves virtual routers of its own */
	LAYER_HOLD, /* text: what the descriptors are that come with it */
	LAYER_OK,
	LAYER_NO,  /* text: why */
	LAYER_END, /* the process of the layer shall end: conntrackd -k */
	LAYER_MSG_N
};

struct layer_msg {
	enum layer_msg_type type;
	char text[LAYER_TEXT_MAX];
};

/* Bytes written to out, without NUL. A text that is too long is cut. */
size_t layer_encode(const struct layer_msg *m, char out[LAYER_MSG_MAX]);
/* The type; LAYER_BAD with an empty text when it is none. */
enum layer_msg_type layer_decode(const char *bytes, size_t len, struct layer_msg *m);

#endif
