/*
 * What a node knows of one session, as bytes: flags u16, [tuple orig, tuple reply], kernel: status u16, left u32, TCP
 * state u8, errno u8; table: version 20, left u32, quiet u32, errno u8, rule u16; address: why u8, family u8, [4 or 16
 * bytes]; table size: entries u32, limit u32; word: length u8, text. Tuple and version as in sync_wire_data.c.
 */
#include <string.h>
#include "sync/sync_wire_ask.h"
#include "sync/sync_wire_tlv.h"

void sync_facts_put(struct wire_wr *w, const struct sync_facts *f)
{
	size_t n = strnlen(f->word, sizeof(f->word) - 1);

	wire_put_u16(w, (uint16_t)f->flags);
	if (f->flags & SYNC_FACT_TUPLES) {
		put_tuple(w, &f->orig);
		put_tuple(w, &f->reply);
	}
	wire_put_u16(w, f->status);
	wire_put_u32(w, f->left_s);
	wire_put_u8(w, f->tcp_state);
	wire_put_u8(w, f->kernel_err);
	put_version(w, f->version);
	wire_put_u32(w, f->table_left_s);
	wire_put_u32(w, f->quiet_s);
	wire_put_u8(w, f->err);
	wire_put_u16(w, f->rule);
	wire_put_u8(w, f->cause);
	wire_put_u8(w, f->cause_l3);
	wire_put_bytes(w, f->cause_ip, addr_len(f->cause_l3));
	wire_put_u32(w, f->kernel_count);
	wire_put_u32(w, f->kernel_max);
	wire_put_u8(w, (uint8_t)n);
	wire_put_bytes(w, f->word, n);
}

/* A reason's word is shown to people: letters and dashes only. */
static enum sync_drop get_word(struct wire_rd *r, char *out)
{
	size_t n = wire_u8(r);

	if (r->bad || n > wire_left(r))
		return SYNC_DROP_TLV_LENGTH;
	if (n >= SYNC_FACT_WORD)
		return SYNC_DROP_TLV_VALUE;
	wire_bytes(r, out, n);
	for (size_t i = 0; i < n; i++)
		if ((out[i] < 'a' || out[i] > 'z') && out[i] != '-')
			return SYNC_DROP_TEXT;
	return SYNC_OK;
}

static bool in_range(const struct sync_facts *f)
{
	bool address = f->cause == SYNC_ADDR_NONE ? f->cause_l3 == 0 : f->cause_l3 == 4 || f->cause_l3 == 6;

	return f->tcp_state <= CT_TCP_SYN_SENT2 && f->cause <= SYNC_ADDR_GROUP && address;
}

enum sync_drop sync_facts_get(struct wire_rd *r, struct sync_facts *f)
{
	/* Later versions may say more. */
	f->flags = wire_u16(r) & SYNC_FACT_ALL;
	if (f->flags & SYNC_FACT_TUPLES && (!get_tuple(r, &f->orig) || !get_tuple(r, &f->reply)))
		return r->bad ? SYNC_DROP_TLV_LENGTH : SYNC_DROP_TLV_VALUE;
	f->status = wire_u16(r);
	f->left_s = wire_u32(r);
	f->tcp_state = wire_u8(r);
	f->kernel_err = wire_u8(r);
	get_version(r, &f->version);
	f->table_left_s = wire_u32(r);
	f->quiet_s = wire_u32(r);
	f->err = wire_u8(r);
	f->rule = wire_u16(r);
	f->cause = wire_u8(r);
	f->cause_l3 = wire_u8(r);
	if (r->bad)
		return SYNC_DROP_TLV_LENGTH;
	if (!in_range(f))
		return SYNC_DROP_TLV_VALUE;
	wire_bytes(r, f->cause_ip, addr_len(f->cause_l3));
	f->kernel_count = wire_u32(r);
	f->kernel_max = wire_u32(r);
	return r->bad ? SYNC_DROP_TLV_LENGTH : get_word(r, f->word);
}
