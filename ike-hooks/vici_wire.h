/*
 * Purpose: the VICI protocol of strongSwan's charon: segments, packets, and the elements of a message.
 * Owns:    nothing; the framer's buffer is the caller's.
 * Thread:  any (pure).
 * In:      bytes of the stream in pieces of any size.   Out: packets, elements; or bytes to send.
 * Errors:  enum vici_drop; after any of the DROP values the connection cannot be used further.
 *
 * Format, as read in strongSwan's src/libcharon/plugins/vici and seen on the socket: u32 length, then u8 packet type,
 * for named types u8 length and name, then the message: elements of u8 type, names with u8 length, values with u16
 * length.
 */
#ifndef KT_VICI_WIRE_H
#define KT_VICI_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/wire.h"

#define VICI_SEGMENT_MAX (512u * 1024u)
#define VICI_DEPTH_MAX   16
#define VICI_NAME_MAX    256 /* longest name and its NUL */

enum vici_type {
	VICI_CMD_REQUEST = 0, /* named */
	VICI_CMD_RESPONSE,
	VICI_CMD_UNKNOWN,
	VICI_EVENT_REGISTER,   /* named */
	VICI_EVENT_UNREGISTER, /* named */
	VICI_EVENT_CONFIRM,
	VICI_EVENT_UNKNOWN,
	VICI_EVENT, /* named */
	VICI_TYPE_N
};

#define VICI_DROP_TABLE(X)                                                                 \
	X(VICI_OK, "a packet")                                                             \
	X(VICI_MORE, "more bytes are needed")                                              \
	X(VICI_ROOM, "a larger buffer is needed")                                          \
	X(VICI_DROP_EMPTY, "segment without a packet type")                                \
	X(VICI_DROP_SIZE, "segment longer than 512 KiB")                                   \
	X(VICI_DROP_TYPE, "unknown packet type")                                           \
	X(VICI_DROP_NAME, "name missing, longer than its segment, or with a NUL")          \
	X(VICI_DROP_TRUNCATED, "element longer than its message")                          \
	X(VICI_DROP_ELEMENT, "unknown element type")                                       \
	X(VICI_DROP_DEPTH, "more than 16 sections inside each other")                      \
	X(VICI_DROP_BALANCE, "section or list ends that did not begin, or is never ended") \
	X(VICI_DROP_LIST, "list item outside a list, or something else inside one")

enum vici_drop {
#define VICI_ENUM(name, text) name,
	VICI_DROP_TABLE(VICI_ENUM)
#undef VICI_ENUM
	    VICI_DROP_N
};

const char *vici_drop_text(enum vici_drop d);

struct vici_packet {
	enum vici_type type;
	char name[VICI_NAME_MAX]; /* empty for types without a name */
	const uint8_t *msg;       /* inside the framer's buffer, until the next feed */
	size_t msg_len;
};

/* Collects one segment at a time. */
struct vici_framer {
	uint8_t *buf;
	uint32_t cap;  /* of buf */
	uint32_t need; /* length of the segment under way; valid when hdr_len is 4 */
	uint32_t have;
	uint8_t hdr[4];
	uint8_t hdr_len;
};

void vici_framer_init(struct vici_framer *f, uint8_t *buf, uint32_t cap);
/*
 * Takes bytes until a packet is complete. *used: how many were taken; call again with the rest after VICI_OK.
 * VICI_ROOM: let buf grow to at least f->need bytes (never above VICI_SEGMENT_MAX; keep the first f->have), call again.
 */
enum vici_drop vici_feed(struct vici_framer *f, const uint8_t *data, size_t n, size_t *used, struct vici_packet *out);

enum vici_tok {
	VICI_T_END = 0, /* the message is complete */
	VICI_T_SECTION,
	VICI_T_SECTION_END,
	VICI_T_KEY,
	VICI_T_LIST,
	VICI_T_ITEM,
	VICI_T_LIST_END,
	VICI_T_BAD /* see drop */
};

/* Pull parser over one message; depth counts open sections. */
struct vici_rd {
	struct wire_rd rd;
	unsigned depth;
	bool in_list;
	enum vici_drop drop;
	char name[VICI_NAME_MAX]; /* of the section, key or list returned last */
	const uint8_t *value;     /* KEY, ITEM; not terminated */
	uint16_t value_len;
};

void vici_rd_init(struct vici_rd *r, const void *msg, size_t len);
enum vici_tok vici_next(struct vici_rd *r);
/* True when the value equals the text. */
bool vici_value_is(const struct vici_rd *r, const char *text);
/* Copies the value, cut to cap-1 bytes, unprintable bytes as '?', NUL-terminated. */
void vici_value_text(const struct vici_rd *r, char *buf, size_t cap);
/* Copies a name. One that does not fit cannot be one of ours: it becomes empty, never a prefix that could match by accident. */
void vici_name_copy(char *buf, size_t cap, const char *name);
/* The value as a name: as above, and empty when there is a NUL in it. */
void vici_value_name(const struct vici_rd *r, char *buf, size_t cap);
/* Up to eight hexadecimal digits, as SPIs are written; 0 when it is anything else. */
uint32_t vici_value_hex32(const struct vici_rd *r);
/* Decimal value; 0 when it is not a number or above UINT64_MAX. */
uint64_t vici_value_u64(const struct vici_rd *r);

/* Whole message well-formed? VICI_OK or the drop reason. */
enum vici_drop vici_check(const void *msg, size_t len);
/* The value of a top-level key as text; false (and empty) when there is none. */
bool vici_find(const void *msg, size_t len, const char *key, char *buf, size_t cap);

/* Encoder: begin, elements, end. */
struct vici_wr {
	struct wire_wr wr;
};
/* Starts a packet; name NULL for types without one. */
void vici_begin(struct vici_wr *w, void *buf, size_t cap, enum vici_type type, const char *name);
void vici_put_section(struct vici_wr *w, const char *name);
void vici_put_section_end(struct vici_wr *w);
void vici_put_key(struct vici_wr *w, const char *name, const char *value);
void vici_put_list(struct vici_wr *w, const char *name);
void vici_put_item(struct vici_wr *w, const char *value);
void vici_put_list_end(struct vici_wr *w);
/* Fills in the length. Total bytes to send, or 0 when the buffer or a name's length did not suffice. */
size_t vici_end(struct vici_wr *w);

#endif
