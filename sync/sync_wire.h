/*
 * Purpose: the bytes on the channel: record envelope, TLVs, the ctl messages, and the registry of object types.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      bytes of a stream.   Out: struct sync_env, struct peer_msg; or values in, bytes out.
 * Errors:  readers return enum sync_drop: one counter (struct sync_wire_stats) and one text each. Writers return the
 *          number of bytes or ERR_FULL.
 *
 * Envelope, big endian, 32 bytes:
 *   0 type u16 | 2 flags u16 | 4 owner u32 | 8 epoch counter u64 | 16 epoch node u32 | 20 sequence u64 | 28 length u32
 * then `length` bytes of TLVs: type u16 (bit 15: critical), length u16, value. What is unknown is skipped and counted,
 * unless it is critical: then the record (type) or the message (TLV) is refused. A receiver of an older version thus
 * reads what it knows, and a sender can force a refusal where skipping would be wrong.
 */
#ifndef KT_SYNC_SYNC_WIRE_H
#define KT_SYNC_SYNC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/epoch.h"
#include "daemon/base/wire.h"
#include "sync/peer_msg.h"
#include "sync/rec.h"

#define SYNC_WIRE_VERSION  1 /* the only one so far: hello carries a range */
#define SYNC_ENV_LEN       32
#define SYNC_CTL_MAX       4096  /* whole record on a ctl connection */
#define SYNC_DATA_MAX      16384 /* whole record on a data connection: one TLS record holds it */
#define SYNC_TLV_CRITICAL  0x8000
#define SYNC_FLAG_CRITICAL 0x0001

/* name, text */
#define SYNC_DROP_TABLE(X)                                                               \
	X(SYNC_DROP_LENGTH, "record length is above the limit of this connection")       \
	X(SYNC_DROP_FLAGS, "record flags that must be zero are set")                     \
	X(SYNC_DROP_TYPE, "record type is unknown; it was skipped")                      \
	X(SYNC_DROP_TYPE_CRITICAL, "record type is unknown and marked critical")         \
	X(SYNC_DROP_CHANNEL, "record type does not belong on this connection")           \
	X(SYNC_DROP_OWNER, "record owner is not the node on the other end")              \
	X(SYNC_DROP_TLV_CUT, "a TLV runs past the end of its record")                    \
	X(SYNC_DROP_TLV_CRITICAL, "a TLV is unknown and marked critical")                \
	X(SYNC_DROP_TLV_TWICE, "a TLV that may stand once stands twice")                 \
	X(SYNC_DROP_TLV_LENGTH, "a TLV has the wrong length for its type")               \
	X(SYNC_DROP_TLV_VALUE, "a TLV holds a value that is out of range")               \
	X(SYNC_DROP_TLV_MISSING, "a TLV that must be there is missing")                  \
	X(SYNC_DROP_TLV_MANY, "there are more objects in the record than fit")           \
	X(SYNC_DROP_SEQ, "a record is not the next one of its stream: replayed or lost") \
	X(SYNC_DROP_TEXT, "a text holds bytes that cannot be shown, or no end")

enum sync_drop {
	SYNC_OK = 0,
	SYNC_MORE = 1, /* not a drop: the record is not complete yet */
#define SYNC_DROP_ENUM(name, text) name,
	SYNC_DROP_TABLE(SYNC_DROP_ENUM)
#undef SYNC_DROP_ENUM
	    SYNC_DROP_N
};

/* Static text; never NULL. */
const char *sync_drop_text(enum sync_drop d);
const char *sync_drop_name(enum sync_drop d);

struct sync_wire_stats {
	uint64_t records; /* understood */
	uint64_t drops[SYNC_DROP_N];
	uint64_t tlvs_skipped; /* unknown, not critical */
};

/* Object types. 1..255 are enum peer_msg_type (ctl); data objects follow. Numbers are never reused. */
enum sync_obj {
	SYNC_OBJ_SESSION = 0x0100, /* sessions, renewals, removals: one or more per record */
	SYNC_OBJ_STREAM = 0x0101,  /* about the stream itself: bulk begin and end, digest, acknowledgement, request */
	SYNC_OBJ_SA = 0x0102,      /* about IPsec SAs: bytes that mean nothing here, on a ctl connection */
};

enum sync_channel { SYNC_CHAN_CTL = 0, SYNC_CHAN_DATA = 1, SYNC_CHAN_BOTH = 2 };

/* What the engine does with an object type; one row per type, see sync_type_find. */
enum sync_digest_kind { SYNC_DIGEST_NONE = 0, SYNC_DIGEST_BUCKETS = 1 };
struct sync_type {
	uint16_t type;
	const char *name; /* as shown in statistics */
	enum sync_channel channel;
	enum sync_digest_kind digest;
	bool fenced; /* records below the fence are refused or applied create-only */
};
/* The row of a type, or NULL when this version does not know it. */
const struct sync_type *sync_type_find(uint16_t type);

struct sync_env {
	uint16_t type, flags;
	uint32_t owner;
	struct epoch epoch;
	uint64_t seq;
	uint32_t len;        /* of body */
	const uint8_t *body; /* inside the buffer that was read */
};

/*
 * Reads the envelope at the start of buf. SYNC_OK: *used bytes belong to the record. SYNC_MORE: not all there yet.
 * SYNC_DROP_LENGTH: the stream cannot be followed any more, close it. SYNC_DROP_TYPE and _CHANNEL: *used is set, go on
 * behind it. max = whole record. channel = of this connection.
 */
enum sync_drop sync_env_read(const uint8_t *buf, size_t len, uint32_t max, enum sync_channel channel,
			     struct sync_env *out, size_t *used);
/* Begins a record at w; the length is filled in by sync_env_end. Returns the offset of the record for sync_env_end. */
size_t sync_env_begin(struct wire_wr *w, const struct sync_env *env);
void sync_env_end(struct wire_wr *w, size_t off);

/* Bytes of the whole record, or ERR_FULL. seq numbers the messages of one sender; m->epoch goes into the envelope. */
int sync_msg_write(uint8_t *buf, size_t cap, uint32_t owner, uint64_t seq, const struct peer_msg *m);
/*
 * A record that the channel carries without knowing what is in it: one TLV. Bytes of the whole record, or ERR_FULL. The
 * reader's bytes lie inside the record.
 */
int sync_obj_write(uint8_t *buf, size_t cap, enum sync_obj type, uint32_t owner, uint64_t seq, const uint8_t *bytes,
		   size_t len);
enum sync_drop sync_obj_read(const struct sync_env *env, const uint8_t **bytes, size_t *len);
#define SYNC_OBJ_BYTES_MAX (SYNC_CTL_MAX - SYNC_ENV_LEN - 4)

/* The record as a message. On a drop *out is all zero. st may be NULL; it counts skipped TLVs only. */
enum sync_drop sync_msg_read(const struct sync_env *env, struct peer_msg *out, struct sync_wire_stats *st);

/*
 * Data records. A record of the wire holds several objects: consecutive struct sync_rec of one stream share an envelope
 * while class, owner and epoch stay and numbers follow each other; the envelope has the first one's number. Per object:
 * a TLV whose type is enum sync_rec_type.
 */
struct sync_pack {
	struct wire_wr w;
	bool open;
	size_t env_off;
	struct sync_env env;
	uint64_t next_seq;
	struct flow_version version; /* of the object before: equal ones are not repeated */
};
/* cap: at most SYNC_DATA_MAX, so that one TLS record holds all of it. */
void sync_pack_begin(struct sync_pack *p, uint8_t *buf, size_t cap);
/* 0, or ERR_FULL: the record did not fit and nothing was added. */
int sync_pack_add(struct sync_pack *p, const struct sync_rec *rec);
/* Bytes written so far; the pack must be begun anew after it. */
size_t sync_pack_end(struct sync_pack *p);
/* No object is larger than this. */
#define SYNC_PACK_OBJ_MAX 768

struct sync_unpack {
	struct sync_env env;
	struct wire_rd r;
	uint64_t seq;
	struct flow_version version;
	bool version_lost; /* an object was refused before its version was read: the next may not refer to it */
};
void sync_unpack_begin(struct sync_unpack *u, const struct sync_env *env);
/* The next object. SYNC_OK; SYNC_MORE: there is none left; a drop: this object is refused, go on with the next one. */
enum sync_drop sync_unpack_next(struct sync_unpack *u, struct sync_rec *out, struct sync_wire_stats *st);
/* Stream control beside the objects of the core: which of several data connections of a peer carries the stream. */
#define SYNC_STREAM_ACTIVATE 0x40
int sync_activate_write(uint8_t *buf, size_t cap, uint32_t owner);
bool sync_activate_is(const struct sync_env *env);

/* Counts one outcome. */
void sync_wire_count(struct sync_wire_stats *st, enum sync_drop d);

#endif
