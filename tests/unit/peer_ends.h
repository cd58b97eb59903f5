/*
 * Purpose: the channel between two nodes in one process and one loop, over loopback of an own network namespace.
 * Owns:    loop, a, b, the key files.
 * Thread:  the test's.
 * In/Out:  see below.
 * Errors:  what does not come about within 5 s fails the running test.
 */
#ifndef KT_TESTS_PEER_ENDS_H
#define KT_TESTS_PEER_ENDS_H

#include "daemon/base/clock.h"
#include "daemon/base/loop.h"
#include "sync/peer_hello.h"
#include "sync/peer_io.h"
#include "sync/peer_listen.h"
#include "tests/unit/run.h"

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

extern struct loop *loop;
extern struct end a, b;         /* node 1 dials, node 2 listens */
extern char key1[96], key2[96]; /* key files; both ends begin with the first */
extern const uint64_t digest[4];

/* As node self, with this many links. */
void conf_init(struct sync_conf *c, uint32_t self, unsigned links, const char *key);
void start_ctl(struct end *e, uint64_t nonce);
void start_listen(struct end *e);
void start_both(void);
void run_for(int64_t ns);
/* How an end sees its first link. */
struct peer_link_info link_of(struct end *e);
void heartbeat(struct end *e);
/* A raw connection to node 2 from this address; was it closed? */
int raw_connect(uint8_t last);
bool at_end(int fd);

/* Runs the loop until the condition holds; fails after 5 s. */
#define until(cond)                                                                      \
	do {                                                                             \
		mono_t end_ = mono_add(clock_mono(), 5 * NS_PER_SEC);                    \
		while (!(cond)) {                                                        \
			ck_assert_msg(mono_before(clock_mono(), end_), "never: " #cond); \
			loop_once(loop, 20 * NS_PER_MS);                                 \
		}                                                                        \
	} while (0)

/* Runs t, each test with two ends that have not begun; the exit status of the program. */
int peer_ends_run(const char *name, TCase *t);

#endif
