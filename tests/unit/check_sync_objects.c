/* Values in the objects of the stream: what is read, what is skipped, and what is a named drop. */
#include <string.h>
#include "tests/unit/sync_samples.h"

/* A session object of raw fields: what a packer never writes. */
struct object {
	uint16_t type; /* enum sync_rec_type, with SYNC_TLV_CRITICAL allowed */
	uint8_t flags; /* 1 full, 2 bulk, 4 same version, 8 plain reply */
	uint16_t has;
	uint8_t l3, reply_l3, reply_l4; /* reply_l3 0: no reply tuple is written */
	uint8_t state[16], n_state;     /* behind the tuples */
	uint8_t subs[40], n_subs;
	enum sync_drop want;
};

static void put_raw_tuple(struct wire_wr *w, uint8_t l3, uint8_t l4)
{
	static const uint8_t address[32] = { 192, 0, 2, 1 };
	wire_put_u8(w, l3);
	wire_put_u8(w, l4);
	wire_put_u16(w, 0);
	wire_put_u16(w, 1000);
	wire_put_u16(w, 80);
	wire_put_bytes(w, address, l3 == 6 ? 32 : 8);
}

#define FULL_TCP 1, CT_HAS_STATUS, 4, 0, 0, { 0, 0 }, 2

static const struct object objects[] = {
	{ SYNC_REC_SESSION, FULL_TCP, { 0 }, 0, SYNC_OK },
	{ SYNC_REC_SESSION, 1, CT_HAS_STATUS, 6, 0, 0, { 0, 0 }, 2, { 0 }, 0, SYNC_OK },
	{ SYNC_REC_SESSION, 1, CT_HAS_STATUS, 5, 0, 0, { 0, 0 }, 2, { 0 }, 0, SYNC_DROP_TLV_VALUE }, /* family 5 */
	{ SYNC_REC_SESSION, 16, 0, 0, 0, 0, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE }, /* flag of a later version */
	{ SYNC_REC_SESSION, 8, 0, 0, 0, 0, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE },  /* plain, but not full */
	{ SYNC_REC_SESSION, 9, 0, 4, 0, 0, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE },  /* plain, but no reply */
	{ SYNC_REC_SESSION, 9, CT_HAS_REPLY, 4, 0, 0, { 0 }, 0, { 0 }, 0, SYNC_OK },
	{ SYNC_REC_SESSION, 1, CT_HAS_REPLY, 4, 4, 6, { 0 }, 0, { 0 }, 0, SYNC_OK },
	{ SYNC_REC_SESSION, 1, CT_HAS_REPLY, 4, 6, 6, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE },  /* families differ */
	{ SYNC_REC_SESSION, 1, CT_HAS_REPLY, 4, 4, 17, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE }, /* protocols differ */
	{ SYNC_REC_SESSION, 1, CT_HAS_REPLY, 4, 9, 6, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE },  /* family 9 */
	{ SYNC_REC_SESSION, 0, CT_HAS_REPLY, 0, 0, 0, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE }, /* only full has one */
	{ SYNC_REC_DELETE, 1, CT_HAS_REPLY, 4, 4, 6, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE },  /* names it only */
	{ SYNC_REC_SESSION,
	  0,
	  CT_HAS_HELPER,
	  0,
	  0,
	  0,
	  { 0 },
	  0,
	  { 0 },
	  0,
	  SYNC_DROP_TLV_VALUE }, /* bit without a field */
	{ SYNC_REC_SESSION, 0, CT_HAS_TCP, 0, 0, 0, { CT_TCP_SYN_SENT2 }, 1, { 0 }, 0, SYNC_OK },
	{ SYNC_REC_SESSION, 0, CT_HAS_TCP, 0, 0, 0, { CT_TCP_SYN_SENT2 + 1 }, 1, { 0 }, 0, SYNC_DROP_TLV_VALUE },
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 9, 0, 1, 7 }, 5, SYNC_OK }, /* skipped */
	{ SYNC_REC_SESSION, FULL_TCP, { 0x80, 9, 0, 1, 7 }, 5, SYNC_DROP_TLV_CRITICAL },
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 9, 0, 2, 7 }, 5, SYNC_DROP_TLV_CUT },
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 1, 0, 3, 'f', 't', 'p' }, 7, SYNC_OK },
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 1, 0, 0 }, 4, SYNC_DROP_TLV_LENGTH },                       /* no name */
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 1, 0, 16, 'a', 'a', 'a', 'a' }, 20, SYNC_DROP_TLV_LENGTH }, /* too long */
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 1, 0, 3, 'f', ' ', 'p' }, 7, SYNC_DROP_TEXT },
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 1, 0, 3, 'f', 0x7f, 'p' }, 7, SYNC_DROP_TEXT },
	{ SYNC_REC_DELETE,
	  FULL_TCP,
	  { 0x80, 1, 0, 3, 'f', 't', 'p' },
	  7,
	  SYNC_DROP_TLV_CRITICAL },                                                    /* no place for it */
	{ SYNC_REC_DELETE, FULL_TCP, { 0, 2, 0, 1, 4 }, 5, SYNC_OK },                  /* as unknown */
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 2, 0, 2, 4, 6 }, 6, SYNC_DROP_TLV_VALUE },  /* cut master */
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 2, 0, 8, 7, 6 }, 12, SYNC_DROP_TLV_VALUE }, /* master's family */
	{ SYNC_REC_REFUSED, FULL_TCP, { 0, 3, 0, 1, 17 }, 5, SYNC_OK },
	{ SYNC_REC_REFUSED, FULL_TCP, { 0, 3, 0, 0 }, 4, SYNC_DROP_TLV_LENGTH },
	{ SYNC_REC_WANT, FULL_TCP, { 0x80, 3, 0, 1, 17 }, 5, SYNC_DROP_TLV_CRITICAL },
};

START_TEST(session_values)
{
	const struct object *o = &objects[_i];
	uint8_t buf[256];
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	struct sync_wire_stats st = { 0 };
	struct sync_unpack u;
	struct sync_rec out;

	wire_put_u16(&w, o->type);
	wire_put_u16(&w, 0);
	wire_put_u8(&w, o->flags);
	wire_put_u32(&w, 5);
	wire_put_u32(&w, 6);
	for (unsigned i = 0; i < 20; i++) /* version */
		wire_put_u8(&w, 0);
	wire_put_u16(&w, o->has);
	if ((o->flags & 1) != 0)
		put_raw_tuple(&w, o->l3, 6);
	if (o->reply_l3 != 0)
		put_raw_tuple(&w, o->reply_l3, o->reply_l4);
	wire_put_bytes(&w, o->state, o->n_state);
	wire_put_bytes(&w, o->subs, o->n_subs);
	wire_patch_u16(&w, 2, (uint16_t)(wire_len(&w) - 4));
	struct sync_env env = { .type = SYNC_OBJ_SESSION, .owner = 1, .seq = 1, .body = buf, .len = wire_len(&w) };
	sync_unpack_begin(&u, &env);
	enum sync_drop d = sync_unpack_next(&u, &out, &st);
	ck_assert_msg(d == o->want, "object %d: %s instead of %s", _i, sync_drop_name(d), sync_drop_name(o->want));
	bool skipped = d == SYNC_OK && o->n_subs > 0 && (o->subs[1] == 9 || o->type == SYNC_REC_DELETE);
	ck_assert_uint_eq(st.tlvs_skipped, skipped);
	ck_assert_int_eq(sync_unpack_next(&u, &out, &st), SYNC_MORE);
}
END_TEST

START_TEST(bucket_values)
{
	static const struct {
		uint16_t first, n, written;
		enum sync_drop want;
	} t[] = {
		{ 0, 0, 0, SYNC_OK },
		{ SYNC_BUCKETS - 1, 1, 1, SYNC_OK },
		{ SYNC_BUCKETS, 0, 0, SYNC_DROP_TLV_VALUE },
		{ SYNC_BUCKETS - 1, 2, 2, SYNC_DROP_TLV_VALUE },
		{ 0, SYNC_BUCKETS_PER_REC + 1, SYNC_BUCKETS_PER_REC + 1, SYNC_DROP_TLV_VALUE },
		{ 0, 2, 1, SYNC_DROP_TLV_LENGTH },
	};
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint8_t buf[512];
		struct wire_wr w = wire_wr(buf, sizeof(buf));
		struct sync_unpack u;
		struct sync_rec out;
		wire_put_u16(&w, SYNC_REC_DIGEST_BUCKETS);
		wire_put_u16(&w, (uint16_t)(4 + 12 * t[i].written));
		wire_put_u16(&w, t[i].first);
		wire_put_u16(&w, t[i].n);
		for (unsigned b = 0; b < 12u * t[i].written; b++)
			wire_put_u8(&w, (uint8_t)b);
		struct sync_env env = { .type = SYNC_OBJ_STREAM, .owner = 1, .body = buf, .len = wire_len(&w) };
		sync_unpack_begin(&u, &env);
		ck_assert_int_eq(sync_unpack_next(&u, &out, NULL), t[i].want);
	}
}
END_TEST

/* Flows whose reply is not the plain inverse of something known keep both tuples. */
START_TEST(reply_without_an_inverse)
{
	struct sync_rec in = { .type = SYNC_REC_SESSION, .owner = 1, .seq = 1, .version = version, .full = true },
			out[2];
	uint8_t buf[512];
	struct sync_pack p;
	struct sync_wire_stats st = { 0 };
	in.e.has = CT_HAS_REPLY | CT_HAS_STATUS;
	in.e.orig.l3 = in.e.reply.l3 = 4;
	in.e.orig.l4 = in.e.reply.l4 = 1;
	in.e.orig.dport = 5 << 8; /* an ICMP redirect: no type answers it */
	ck_assert(!ct_tuple_invert(&in.e.orig, &out[0].e.reply));
	sync_pack_begin(&p, buf, sizeof(buf));
	ck_assert_int_eq(sync_pack_add(&p, &in), 0);
	ck_assert_uint_eq(unpack(buf, sync_pack_end(&p), out, &st), 1);
	ck_assert_mem_eq(&in, &out[0], sizeof(in));
}
END_TEST

/* What a later version says in the end of a bulk is read as far as it is known, and an empty one says nothing. */
START_TEST(end_of_a_bulk)
{
	struct sync_rec in = { .type = SYNC_REC_BULK_END, .owner = 1, .seq = 1, .knew = true }, out[2];
	struct sync_wire_stats st = { 0 };
	uint8_t buf[256];
	struct sync_pack p;
	sync_pack_begin(&p, buf, sizeof(buf));
	ck_assert_int_eq(sync_pack_add(&p, &in), 0);
	ck_assert_uint_eq(unpack(buf, sync_pack_end(&p), out, &st), 1);
	ck_assert_mem_eq(&in, &out[0], sizeof(in));
	in.forgot = true;
	for (unsigned i = 0; i < 2; i++) {
		in.knew = i != 0;
		sync_pack_begin(&p, buf, sizeof(buf));
		ck_assert_int_eq(sync_pack_add(&p, &in), 0);
		ck_assert_uint_eq(unpack(buf, sync_pack_end(&p), out, &st), 1);
		ck_assert_mem_eq(&in, &out[0], sizeof(in));
	}
	static const uint8_t body[] = { 0, 8, 0, 0, 0, 8, 0, 1, 0, 0, 8, 0, 2, 0, 1, 0, 8, 0, 3, 1, 0, 9 };
	static const bool knew[] = { false, false, false, true }, forgot[] = { false, false, true, false };
	struct sync_env env = { .type = SYNC_OBJ_STREAM, .owner = 1, .seq = 1, .body = body, .len = sizeof(body) };
	struct sync_unpack u;
	sync_unpack_begin(&u, &env);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_int_eq(sync_unpack_next(&u, out, NULL), SYNC_OK);
		ck_assert_int_eq(out[0].type, SYNC_REC_BULK_END);
		ck_assert(out[0].knew == knew[i] && out[0].forgot == forgot[i]);
	}
}
END_TEST

START_TEST(unknown_objects)
{
	struct sync_unpack u;
	struct sync_rec out;
	struct sync_wire_stats st = { 0 };
	static const uint8_t body[] = { 0, 50, 0, 1, 9, 0, 8, 0, 0, 0x80, 50, 0, 0, 0, 50, 0, 9 };
	struct sync_env env = { .type = SYNC_OBJ_STREAM, .owner = 1, .seq = 1, .body = body, .len = sizeof(body) };
	sync_unpack_begin(&u, &env);
	ck_assert_int_eq(sync_unpack_next(&u, &out, &st), SYNC_OK);
	ck_assert_int_eq(out.type, SYNC_REC_BULK_END);
	ck_assert_uint_eq(out.seq, 2); /* what was skipped has a number too */
	ck_assert_uint_eq(st.tlvs_skipped, 1);
	ck_assert_int_eq(sync_unpack_next(&u, &out, &st), SYNC_DROP_TLV_CRITICAL);
	ck_assert_int_eq(sync_unpack_next(&u, &out, &st), SYNC_DROP_TLV_CUT);
	ck_assert_int_eq(sync_unpack_next(&u, &out, &st), SYNC_MORE);
	static const uint8_t session[] = { 0, SYNC_REC_SESSION, 0, 0 };
	env.body = session; /* a session among stream objects */
	env.len = sizeof(session);
	sync_unpack_begin(&u, &env);
	ck_assert_int_eq(sync_unpack_next(&u, &out, &st), SYNC_DROP_CHANNEL);
	env.body = body;
	env.len = sizeof(body);
	env.type = SYNC_OBJ_SESSION; /* a stream object among sessions */
	sync_unpack_begin(&u, &env);
	ck_assert_int_eq(sync_unpack_next(&u, &out, &st), SYNC_DROP_CHANNEL);
}
END_TEST

/* An answer with one byte changed: what is out of range is a named drop, and nothing is shown that is no word. */
START_TEST(answer_values)
{
	static const struct {
		size_t from_end; /* of the object */
		uint8_t byte;
		enum sync_drop want;
	} t[] = {
		{ 1, 'z', SYNC_OK },
		{ 1, ' ', SYNC_DROP_TEXT },
		{ 1, 'A', SYNC_DROP_TEXT },
		{ 1, 0x1b, SYNC_DROP_TEXT },
		{ 18, 18, SYNC_DROP_TLV_LENGTH }, /* the word's length */
		{ 18, 255, SYNC_DROP_TLV_LENGTH },
		{ 18, 0, SYNC_OK },                          /* what follows belongs to a later version */
		{ 18 + 8 + 16 + 1, 5, SYNC_DROP_TLV_VALUE }, /* family of the address */
		{ 18 + 8 + 16 + 1, 0, SYNC_DROP_TLV_VALUE },
		{ 18 + 8 + 16 + 2, 5, SYNC_DROP_TLV_VALUE }, /* why it counts as own */
		{ 18 + 8 + 16 + 2, 0, SYNC_DROP_TLV_VALUE },
	};
	uint8_t buf[1024];
	struct sync_rec in = { .type = SYNC_REC_ANSWER, .owner = 1, .seq = 1, .ask_id = 5 }, out;
	facts(&in.facts);
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct sync_pack p;
		struct sync_unpack u;
		struct sync_env env;
		size_t used;
		sync_pack_begin(&p, buf, sizeof(buf));
		ck_assert_int_eq(sync_pack_add(&p, &in), 0);
		size_t len = sync_pack_end(&p);
		buf[len - t[i].from_end] = t[i].byte;
		ck_assert_int_eq(sync_env_read(buf, len, SYNC_DATA_MAX, SYNC_CHAN_DATA, &env, &used), SYNC_OK);
		sync_unpack_begin(&u, &env);
		ck_assert_msg(sync_unpack_next(&u, &out, NULL) == t[i].want, "case %u", i);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sync_objects");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, answer_values);
	tcase_add_test(t, end_of_a_bulk);
	tcase_add_loop_test(t, session_values, 0, sizeof(objects) / sizeof(objects[0]));
	tcase_add_test(t, bucket_values);
	tcase_add_test(t, reply_without_an_inverse);
	tcase_add_test(t, unknown_objects);
	suite_add_tcase(s, t);
	return unit_run(s);
}
