/*
 * Purpose: the messages of the ctl channel as plain values; sync_wire turns them into records and back.
 * Owns:    nothing.
 * Thread:  any (pure); sent and received on CONTROL.
 * In/Out:  host order.
 * Errors:  none here; the codec names what is wrong with a record.
 */
#ifndef KT_SYNC_PEER_MSG_H
#define KT_SYNC_PEER_MSG_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/epoch.h"
#include "sync/sync_conf.h"

#define PEER_GROUPS_MAX 64 /* group states in one heartbeat; more groups: several heartbeats */
#define PEER_TEXT_MAX   120
#define PEER_BLOB_MAX   288

enum peer_msg_type {
	PEER_HELLO = 1,      /* first record on every connection, both directions */
	PEER_HEARTBEAT = 2,  /* every 100 ms and at every change */
	PEER_TAKE = 3,       /* master -> backup: please take this group over (operator's force, stop, maintenance) */
	PEER_PREPARED = 4,   /* new -> old: everything invisible is done, let go */
	PEER_GO = 5,         /* old -> new: authority given up; last_seq is the last data record of mine */
	PEER_UP = 6,         /* new -> old: committed */
	PEER_LEAVING = 7,    /* I am going, whatever you do: fault, stop */
	PEER_JOURNAL = 8,    /* a copy of a journal entry, for the joined timeline */
	PEER_CLOSE = 9,      /* refused or closed on purpose, with the reason in text */
	PEER_FACTS_ASK = 10, /* a piece of the text that describes the other node, please */
	PEER_FACTS = 11,     /* that piece */
};

/* Role of a group as its node sees it. */
enum peer_role { PEER_ROLE_INIT = 0, PEER_ROLE_BACKUP, PEER_ROLE_MASTER, PEER_ROLE_FAULT, PEER_ROLE_MOVING };

struct peer_group_state {
	uint16_t group;
	uint8_t role;       /* enum peer_role */
	uint8_t priority;   /* lowest effective priority among its members */
	bool ready;         /* could take this group over now without loss */
	struct epoch epoch; /* of its last change */
};

struct peer_hello {
	uint16_t version_min, version_max;
	uint64_t features;
	uint32_t node;
	uint64_t boot_nonce;
	char cluster[SYNC_NAME_MAX];
	uint32_t record_max;
	struct epoch epoch_max;
	uint8_t digest_key[16];
	uint64_t config_digest[4];
	bool data; /* this connection is the data channel */
};

/*
 * The text is asked for piece by piece: each answer fits into one packet of any link, so that also a link that loses
 * full-size packets can be described, and never more than one answer waits for the reader.
 */
struct peer_facts {
	uint32_t id;            /* chosen by the asker, who gets pieces of one text under one id */
	uint32_t offset, total; /* bytes; ASK: total is 0 */
	bool sessions;          /* ASK: walk the session table too */
	bool config;            /* ASK: the configuration too */
	uint64_t wall_us;       /* FACTS: the sender's clock when this left */
};

struct peer_msg {
	enum peer_msg_type type;
	uint16_t group;
	struct epoch epoch; /* of the transaction; heartbeat: highest seen */
	uint64_t last_seq;  /* GO */
	bool you_have_all;  /* heartbeat: everything I had for this boot of yours was acknowledged as stored */
	bool maintenance;   /* heartbeat: this node stays out of elections until its operator says otherwise */
	bool planned;       /* LEAVING: part of an orderly stop */
	uint32_t successor; /* LEAVING: the node that is to take over; 0: whoever can */
	uint8_t reason;     /* enum role_reason of daemon/role.h, carried as a number */
	struct peer_hello hello;
	struct peer_group_state groups[PEER_GROUPS_MAX];
	uint8_t n_groups;
	char text[PEER_TEXT_MAX];    /* CLOSE: reason in words */
	uint8_t blob[PEER_BLOB_MAX]; /* JOURNAL: an encoded entry; FACTS: the piece */
	uint16_t blob_len;
	struct peer_facts facts; /* FACTS_ASK, FACTS */
};

#endif
