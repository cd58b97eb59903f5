#include <string.h>
#include "daemon/base/wire.h"
#include "daemon/journal_wire.h"
#include "daemon/ownfile.h"

#define ENTRY_VERSION 1
#define SLOT_MAGIC    UINT32_C(0x4b544a31) /* "KTJ1" */
#define EPOCH_MAGIC   UINT32_C(0x4b544550) /* "KTEP" */
#define OFFSET_MAX    ((INT64_C(1) << 40) - 1)
#define SLOT_HEADER   (4 + 8 + 2)
#define CRC_BYTES     4

_Static_assert(SLOT_HEADER + JOURNAL_ENTRY_MAX + CRC_BYTES <= JOURNAL_SLOT_BYTES, "an entry fits its slot");

const char *journal_drop_text(enum journal_drop d)
{
	static const char *const text[] = {
#define JOURNAL_TEXT(name, t) [name] = (t),
		JOURNAL_DROP_TABLE(JOURNAL_TEXT)
#undef JOURNAL_TEXT
	};
	return d >= 0 && d < JOURNAL_DROP_N ? text[d] : "unknown";
}

bool journal_phase_add(struct journal_entry *e, uint8_t id, uint8_t flags, int64_t offset_ns)
{
	if (e->n_phases >= JOURNAL_PHASES_MAX)
		return false;
	offset_ns = offset_ns < 0 ? 0 : offset_ns > OFFSET_MAX ? OFFSET_MAX : offset_ns;
	e->phases[e->n_phases++] = (struct journal_phase){ id, flags, offset_ns };
	return true;
}

static void put_text(struct wire_wr *w, const char *text, size_t cap)
{
	size_t n = strnlen(text, cap);
	w->bad |= n == cap;
	wire_put_u8(w, (uint8_t)n);
	wire_put_bytes(w, text, n);
}

/* Text comes from disk or from the peer: only printable ASCII may reach a terminal. */
static bool get_text(struct wire_rd *r, char *out, size_t cap)
{
	uint8_t n = wire_u8(r);
	if (n >= cap)
		return false;
	wire_bytes(r, out, n);
	out[n] = '\0';
	for (uint8_t i = 0; i < n; i++)
		if (out[i] < 0x20 || out[i] > 0x7e)
			return false;
	return true;
}

static void put_phases(struct wire_wr *w, const struct journal_entry *e)
{
	w->bad |= e->n_phases > JOURNAL_PHASES_MAX;
	wire_put_u8(w, e->n_phases);
	for (unsigned i = 0; i < e->n_phases && !w->bad; i++) {
		const struct journal_phase *p = &e->phases[i];
		w->bad |= p->offset_ns < 0 || p->offset_ns > OFFSET_MAX;
		wire_put_u8(w, p->id);
		wire_put_u8(w, p->flags);
		wire_put(w, (uint64_t)p->offset_ns, 5);
	}
}

size_t journal_entry_encode(const struct journal_entry *e, uint8_t *buf, size_t cap)
{
	struct wire_wr w = wire_wr(buf, cap < JOURNAL_ENTRY_MAX ? cap : JOURNAL_ENTRY_MAX);
	wire_put_u8(&w, ENTRY_VERSION);
	wire_put_u64(&w, e->epoch.counter);
	wire_put_u32(&w, e->epoch.node);
	wire_put_u32(&w, e->node);
	wire_put_u8(&w, e->reason);
	wire_put_u8(&w, e->kind);
	wire_put_u8(&w, e->trigger);
	wire_put_u8(&w, e->from);
	wire_put_u8(&w, e->to);
	wire_put_u8(&w, e->outcome);
	wire_put_u32(&w, (uint32_t)e->err);
	wire_put_u64(&w, (uint64_t)e->wall_us);
	put_text(&w, e->group, sizeof(e->group));
	put_text(&w, e->detail, sizeof(e->detail));
	put_phases(&w, e);
	return w.bad ? 0 : wire_len(&w);
}

static enum journal_drop get_entry(struct wire_rd *r, struct journal_entry *e)
{
	*e = (struct journal_entry){ 0 };
	uint8_t version = wire_u8(r);
	if (version != ENTRY_VERSION)
		return r->bad ? JOURNAL_SHORT : JOURNAL_VERSION;
	e->epoch.counter = wire_u64(r);
	e->epoch.node = wire_u32(r);
	e->node = wire_u32(r);
	e->reason = wire_u8(r);
	e->kind = wire_u8(r);
	e->trigger = wire_u8(r);
	e->from = wire_u8(r);
	e->to = wire_u8(r);
	e->outcome = wire_u8(r);
	e->err = (int32_t)wire_u32(r);
	e->wall_us = (int64_t)wire_u64(r);
	if (!get_text(r, e->group, sizeof(e->group)) || !get_text(r, e->detail, sizeof(e->detail)))
		return r->bad ? JOURNAL_SHORT : JOURNAL_FIELD;
	uint8_t n = wire_u8(r);
	if (n > JOURNAL_PHASES_MAX)
		return JOURNAL_FIELD;
	for (unsigned i = 0; i < n; i++) {
		e->phases[i].id = wire_u8(r);
		e->phases[i].flags = wire_u8(r);
		e->phases[i].offset_ns = (int64_t)wire_get(r, 5);
	}
	e->n_phases = n;
	if (r->bad)
		return JOURNAL_SHORT;
	return JOURNAL_OK;
}

enum journal_drop journal_entry_decode(const uint8_t *buf, size_t len, struct journal_entry *out)
{
	struct wire_rd r = wire_rd(buf, len);
	enum journal_drop d = get_entry(&r, out);
	if (d == JOURNAL_OK && wire_left(&r))
		d = JOURNAL_FIELD;
	if (d != JOURNAL_OK)
		*out = (struct journal_entry){ 0 };
	return d;
}

bool journal_slot_encode(uint64_t seq, const struct journal_entry *e, uint8_t slot[JOURNAL_SLOT_BYTES])
{
	memset(slot, 0, JOURNAL_SLOT_BYTES);
	size_t len = journal_entry_encode(e, slot + SLOT_HEADER, JOURNAL_ENTRY_MAX);
	if (!len)
		return false;
	struct wire_wr w = wire_wr(slot, JOURNAL_SLOT_BYTES);
	wire_put_u32(&w, SLOT_MAGIC);
	wire_put_u64(&w, seq);
	wire_put_u16(&w, (uint16_t)len);
	w.p = slot + JOURNAL_SLOT_BYTES - CRC_BYTES;
	wire_put_u32(&w, crc32_ieee(0, slot, JOURNAL_SLOT_BYTES - CRC_BYTES));
	return true;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	uint8_t any = 0;
	for (size_t i = 0; i < n; i++)
		any |= p[i];
	return !any;
}

enum journal_drop journal_slot_decode(const uint8_t *slot, size_t len, uint64_t *seq, struct journal_entry *out)
{
	*out = (struct journal_entry){ 0 };
	*seq = 0;
	if (len < JOURNAL_SLOT_BYTES)
		return JOURNAL_SHORT;
	if (all_zero(slot, JOURNAL_SLOT_BYTES))
		return JOURNAL_EMPTY;
	struct wire_rd r = wire_rd(slot, JOURNAL_SLOT_BYTES);
	if (wire_u32(&r) != SLOT_MAGIC)
		return JOURNAL_MAGIC;
	uint64_t number = wire_u64(&r);
	uint16_t n = wire_u16(&r);
	struct wire_rd crc = wire_rd(slot + JOURNAL_SLOT_BYTES - CRC_BYTES, CRC_BYTES);
	if (wire_u32(&crc) != crc32_ieee(0, slot, JOURNAL_SLOT_BYTES - CRC_BYTES))
		return JOURNAL_CRC;
	if (n > JOURNAL_ENTRY_MAX)
		return JOURNAL_FIELD;
	enum journal_drop d = journal_entry_decode(slot + SLOT_HEADER, n, out);
	if (d == JOURNAL_OK)
		*seq = number;
	return d;
}

void epoch_file_encode(struct epoch e, uint8_t buf[EPOCH_FILE_BYTES])
{
	uint8_t room[EPOCH_FILE_BYTES + 8]; /* the compiler cannot see that the cursor stops at the end */
	struct wire_wr w = wire_wr(room, sizeof(room));
	wire_put_u32(&w, EPOCH_MAGIC);
	wire_put_u32(&w, ENTRY_VERSION);
	wire_put_u64(&w, e.counter);
	wire_put_u32(&w, e.node);
	wire_put_u32(&w, crc32_ieee(0, room, EPOCH_FILE_BYTES - CRC_BYTES));
	memcpy(buf, room, EPOCH_FILE_BYTES);
}

enum journal_drop epoch_file_decode(const uint8_t *buf, size_t len, struct epoch *out)
{
	*out = (struct epoch){ 0 };
	if (len != EPOCH_FILE_BYTES)
		return JOURNAL_SHORT;
	struct wire_rd r = wire_rd(buf, len);
	if (wire_u32(&r) != EPOCH_MAGIC)
		return JOURNAL_MAGIC;
	uint32_t version = wire_u32(&r);
	struct epoch e;
	e.counter = wire_u64(&r);
	e.node = wire_u32(&r);
	if (wire_u32(&r) != crc32_ieee(0, buf, EPOCH_FILE_BYTES - CRC_BYTES))
		return JOURNAL_CRC;
	if (version != ENTRY_VERSION)
		return JOURNAL_VERSION;
	*out = e;
	return JOURNAL_OK;
}
