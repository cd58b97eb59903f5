/*
 * Purpose: a small VICI server for unit tests, in the loop of the client that is tested: good answers, and bad ones of every
 *          kind. One thread serves both ends, so a client that waited for anything would never see it.
 * Owns:    srv: its socket in a folder of its own, connections, and what they asked.
 * Thread:  the test's.
 * In:      a mode.   Out: answers; what was asked, in srv.
 * Errors:  what a client must never send fails the test.
 */
#ifndef KT_TESTS_VICI_SERVER_H
#define KT_TESTS_VICI_SERVER_H

#include <check.h>
#include "daemon/base/loop.h"
#include "ike-hooks/vici_wire.h"

/* What the server does with a command. */
enum vici_mode {
	M_GOOD = 0,
	M_PIECES,       /* answers in pieces of 7 bytes */
	M_SILENT,       /* reads, never answers */
	M_NO_ACCEPT,    /* listens only: a stopped daemon */
	M_HUGE,         /* a segment longer than allowed */
	M_BAD_TYPE,     /* an unknown packet type */
	M_BAD_MESSAGE,  /* a reply that is not well-formed */
	M_CUT,          /* closes in the middle of a reply */
	M_UNKNOWN,      /* knows no command */
	M_REFUSES_LIST, /* does not know the list-sa event */
	M_CHATTY,       /* unexpected packets before each reply */
};

#define VICI_SERVER_CONNS 16

struct vici_client {
	int fd;
	struct loop_fd *lf;
	struct vici_framer f;
	uint8_t store[4096];
	bool events; /* has registered child-updown */
};

struct vici_server {
	struct loop *loop;
	enum vici_mode mode;
	char path[108];
	int fd;
	struct loop_fd *lf;
	struct vici_client peer[VICI_SERVER_CONNS];
	unsigned accepted, commands;
	char last[64];    /* newest command */
	char log[16][96]; /* of initiate, terminate, rekey, list-sas: "command ike child timeout" */
	unsigned logged;
	unsigned list_children;
	bool hold; /* commands are read, answered later by vici_server_release() */
	int held_fd;
	char held[64];
};
extern struct vici_server srv;

/* Nothing listens yet; the path is made. */
void vici_server_init(struct loop *loop);
void vici_server_start(enum vici_mode mode);
void vici_server_stop(void);
/* Stops, and removes the path. */
void vici_server_free(void);
/* Answers the command that srv.hold has kept. */
void vici_server_release(void);
/* An event to those who have registered it. */
void vici_server_emit(const char *event, bool up, unsigned children);

#endif
