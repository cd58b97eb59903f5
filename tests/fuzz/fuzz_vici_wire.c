/*
 * A byte stream from the IKE daemon, cut at a place the input itself chooses: whole or in two pieces it gives the same
 * packets, every message either parses to its end or names a reason, and the rows of SAs never run on.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "ike-hooks/vici_sa.h"
#include "ike-hooks/vici_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM (64u * 1024u)

struct outcome {
	enum vici_drop end;
	unsigned packets, bad, rows;
	uint64_t sum; /* of everything read */
};

static void read_message(const struct vici_packet *p, struct outcome *o)
{
	struct vici_rd r;
	struct vici_sa_rd rd;
	struct vici_sa_row row;
	struct ike_sample s = { .present = false };
	char text[32];
	unsigned tokens = 0;
	enum vici_tok t;

	vici_rd_init(&r, p->msg, p->msg_len);
	for (t = vici_next(&r); t != VICI_T_END && t != VICI_T_BAD; t = vici_next(&r)) {
		require(r.depth <= VICI_DEPTH_MAX && ++tokens <= p->msg_len);
		vici_value_text(&r, text, sizeof(text));
		o->sum = o->sum * 31 + (uint64_t)t + vici_value_u64(&r) + strlen(text) + strlen(r.name);
	}
	require((t == VICI_T_BAD) == (vici_check(p->msg, p->msg_len) != VICI_OK));
	require(vici_next(&r) == t);
	o->bad += t == VICI_T_BAD;
	vici_sa_begin(&rd, p->msg, p->msg_len);
	while (vici_sa_next(&rd, &row)) {
		require(++o->rows <= ROOM && strlen(row.ike) < IKE_NAME_MAX && strlen(row.child) < IKE_NAME_MAX);
		vici_sample_add(&s, &row, row.ike, row.child);
		o->sum = o->sum * 31 + row.child_id + row.in_packets;
	}
	require((rd.rd.drop == VICI_OK) == (t == VICI_T_END));
}

static void feed(struct vici_framer *f, const uint8_t *data, size_t n, struct outcome *o)
{
	while (o->end == VICI_OK || o->end == VICI_MORE) {
		struct vici_packet p;
		size_t used;

		o->end = vici_feed(f, data, n, &used, &p);
		require(used <= n);
		data += used;
		n -= used;
		if (o->end == VICI_OK) {
			o->packets++;
			o->sum = o->sum * 31 + (uint64_t)p.type + strlen(p.name);
			read_message(&p, o);
		} else if (o->end == VICI_MORE) {
			require(n == 0);
			return;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t store[ROOM];
	struct vici_framer f;
	struct outcome whole = { .end = VICI_OK }, parts = { .end = VICI_OK };

	if (size < 1)
		return 0;
	size_t cut = data[0] % size;
	data++;
	size--;
	if (cut > size)
		cut = size;
	vici_framer_init(&f, store, ROOM);
	feed(&f, data, size, &whole);
	vici_framer_init(&f, store, ROOM);
	feed(&f, data, cut, &parts);
	feed(&f, data + cut, size - cut, &parts);
	require(whole.end == parts.end && whole.packets == parts.packets && whole.rows == parts.rows);
	require(whole.bad == parts.bad && whole.sum == parts.sum);
	return 0;
}
