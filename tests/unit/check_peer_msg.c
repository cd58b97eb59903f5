/* Messages of the ctl connection: round trips, golden bytes, every truncation, named drops; hello. */
#include <stdio.h>
#include <string.h>
#include "daemon/base/err.h"
#include "sync/peer_hello.h"
#include "tests/unit/sync_samples.h"

static struct peer_msg hello(void)
{
	struct peer_msg m = { .type = PEER_HELLO, .epoch = { 7, 2 } };
	struct peer_hello *h = &m.hello;
	*h = (struct peer_hello){ .version_min = 1, .version_max = 3, .features = 0x1122334455667788, .node = 2 };
	h->boot_nonce = 0xa1a2a3a4a5a6a7a8;
	strcpy(h->cluster, "edge");
	h->record_max = SYNC_CTL_MAX;
	h->epoch_max = (struct epoch){ 7, 2 };
	for (unsigned i = 0; i < 16; i++)
		h->digest_key[i] = (uint8_t)(i + 1);
	for (unsigned i = 0; i < 4; i++)
		h->config_digest[i] = 0x0101010101010101u * (i + 1);
	h->data = true;
	return m;
}

static struct peer_msg sample(enum peer_msg_type type)
{
	struct peer_msg m = { .type = type, .epoch = { 12, 1 } };
	switch (type) {
	case PEER_HELLO:
		return hello();
	case PEER_HEARTBEAT:
		m.you_have_all = m.maintenance = true;
		m.n_groups = 3;
		for (unsigned i = 0; i < m.n_groups; i++)
			m.groups[i] = (struct peer_group_state){
				(uint16_t)(i * 300), (uint8_t)(i + 1), 150, i == 1, { 12 - i, 1 }
			};
		break;
	case PEER_GO:
		m.last_seq = 0x123456789a;
		m.group = 3;
		m.reason = 4;
		break;
	case PEER_TAKE:
	case PEER_PREPARED:
	case PEER_UP:
	case PEER_LEAVING:
		m.group = 513;
		m.reason = 2;
		m.planned = type == PEER_LEAVING;
		m.successor = type == PEER_LEAVING ? 7 : 0;
		break;
	case PEER_JOURNAL:
		m.blob_len = 200;
		for (unsigned i = 0; i < m.blob_len; i++)
			m.blob[i] = (uint8_t)(i * 7);
		break;
	case PEER_CLOSE:
		m.reason = PEER_WHY_CLUSTER;
		strcpy(m.text, "cluster 'a' of node 2 is not 'b'");
		break;
	case PEER_FACTS_ASK:
		m.facts = (struct peer_facts){ .id = 9, .offset = 512, .sessions = true, .config = true };
		break;
	case PEER_FACTS:
		m.facts = (struct peer_facts){ .id = 9, .offset = 512, .total = 800, .wall_us = 0x60a0b0c0d0e0f };
		m.blob_len = 256;
		memset(m.blob, 'k', m.blob_len);
		break;
	}
	return m;
}

static enum sync_drop read_one(const uint8_t *buf, size_t len, enum sync_channel chan, struct peer_msg *m)
{
	struct sync_env env;
	size_t used;
	enum sync_drop d = sync_env_read(buf, len, SYNC_CTL_MAX, chan, &env, &used);
	if (d != SYNC_OK)
		return d;
	ck_assert_uint_eq(used, len);
	return sync_msg_read(&env, m, NULL);
}

START_TEST(message_round_trip)
{
	uint8_t buf[SYNC_CTL_MAX];
	char name[32];
	struct peer_msg m = sample((enum peer_msg_type)_i), back;
	int n = sync_msg_write(buf, sizeof(buf), 2, 77, &m);
	ck_assert_int_gt(n, SYNC_ENV_LEN - 1);
	ck_assert_int_eq(read_one(buf, (size_t)n, SYNC_CHAN_CTL, &back), SYNC_OK);
	ck_assert_mem_eq(&m, &back, sizeof(m));
	snprintf(name, sizeof(name), "msg_%s", sync_type_find((uint16_t)_i)->name);
	golden(name, buf, (size_t)n);
	/* No room: nothing half written is taken for a record. */
	for (int cap = 0; cap < n; cap++)
		ck_assert_int_eq(sync_msg_write(buf, (size_t)cap, 2, 77, &m), ERR_FULL);
}
END_TEST

/* Cut at every byte: incomplete in the stream; with a matching length it is a named drop, or still good when the cut
 * falls behind the last TLV that is needed. */
START_TEST(message_cut)
{
	uint8_t buf[SYNC_CTL_MAX], cut[SYNC_CTL_MAX];
	struct peer_msg m = sample((enum peer_msg_type)_i), back, zero = { 0 };
	int n = sync_msg_write(buf, sizeof(buf), 2, 77, &m);
	for (int len = 0; len < n; len++) {
		ck_assert_int_eq(read_one(buf, (size_t)len, SYNC_CHAN_CTL, &back), SYNC_MORE);
		if (len < SYNC_ENV_LEN)
			continue;
		memcpy(cut, buf, (size_t)len);
		cut[30] = (uint8_t)((len - SYNC_ENV_LEN) >> 8);
		cut[31] = (uint8_t)(len - SYNC_ENV_LEN);
		enum sync_drop d = read_one(cut, (size_t)len, SYNC_CHAN_CTL, &back);
		ck_assert(d == SYNC_OK || d == SYNC_DROP_TLV_CUT || d == SYNC_DROP_TLV_MISSING);
		if (d != SYNC_OK)
			ck_assert_mem_eq(&back, &zero, sizeof(zero));
	}
}
END_TEST

START_TEST(full_heartbeat_fits)
{
	uint8_t buf[SYNC_CTL_MAX];
	struct peer_msg m = { .type = PEER_HEARTBEAT, .n_groups = PEER_GROUPS_MAX }, back;
	int n = sync_msg_write(buf, sizeof(buf), 1, 1, &m);
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(read_one(buf, (size_t)n, SYNC_CHAN_CTL, &back), SYNC_OK);
	ck_assert_uint_eq(back.n_groups, PEER_GROUPS_MAX);
}
END_TEST

/* Builds a record of raw bytes. */
static size_t raw(uint8_t *buf, uint16_t type, uint16_t flags, const uint8_t *body, size_t len)
{
	struct wire_wr w = wire_wr(buf, SYNC_CTL_MAX);
	struct sync_env env = { .type = type, .flags = flags, .owner = 2 };
	size_t off = sync_env_begin(&w, &env);
	wire_put_bytes(&w, body, len);
	sync_env_end(&w, off);
	return wire_len(&w);
}

START_TEST(envelope_drops)
{
	uint8_t buf[SYNC_CTL_MAX], big[64] = { 0 };
	struct sync_env env;
	size_t used;
	size_t n = raw(buf, 200, 0, NULL, 0);
	ck_assert_int_eq(sync_env_read(buf, n, SYNC_CTL_MAX, SYNC_CHAN_CTL, &env, &used), SYNC_DROP_TYPE);
	ck_assert_uint_eq(used, n);
	n = raw(buf, 200, SYNC_FLAG_CRITICAL, NULL, 0);
	ck_assert_int_eq(sync_env_read(buf, n, SYNC_CTL_MAX, SYNC_CHAN_CTL, &env, &used), SYNC_DROP_TYPE_CRITICAL);
	n = raw(buf, PEER_HEARTBEAT, 2, NULL, 0);
	ck_assert_int_eq(sync_env_read(buf, n, SYNC_CTL_MAX, SYNC_CHAN_CTL, &env, &used), SYNC_DROP_FLAGS);
	n = raw(buf, PEER_HEARTBEAT, 0, NULL, 0);
	ck_assert_int_eq(sync_env_read(buf, n, SYNC_DATA_MAX, SYNC_CHAN_DATA, &env, &used), SYNC_DROP_CHANNEL);
	n = raw(buf, SYNC_OBJ_SESSION, 0, NULL, 0);
	ck_assert_int_eq(sync_env_read(buf, n, SYNC_CTL_MAX, SYNC_CHAN_CTL, &env, &used), SYNC_DROP_CHANNEL);
	n = raw(buf, PEER_HEARTBEAT, 0, big, sizeof(big));
	ck_assert_int_eq(sync_env_read(buf, n, 64, SYNC_CHAN_CTL, &env, &used), SYNC_DROP_LENGTH);
	ck_assert_uint_eq(used, 0);
	ck_assert_int_eq(sync_env_read(buf, n, 8, SYNC_CHAN_CTL, &env, &used), SYNC_DROP_LENGTH);
}
END_TEST

static const struct {
	uint16_t type;
	uint8_t body[40];
	size_t len;
	enum sync_drop want;
} bad_bodies[] = {
	{ PEER_HEARTBEAT, { 0, 99, 0, 0 }, 4, SYNC_OK },                   /* unknown: skipped */
	{ PEER_HEARTBEAT, { 0x80, 99, 0, 0 }, 4, SYNC_DROP_TLV_CRITICAL }, /* unknown and critical */
	{ PEER_HEARTBEAT, { 0x80, 8, 0, 0 }, 4, SYNC_DROP_TLV_CRITICAL },  /* known, but not in a heartbeat */
	{ PEER_HEARTBEAT, { 0, 99, 0, 1 }, 4, SYNC_DROP_TLV_CUT },
	{ PEER_HEARTBEAT, { 0, 99, 0 }, 3, SYNC_DROP_TLV_CUT },
	{ PEER_HEARTBEAT, { 0, 13, 0, 0, 0, 13, 0, 0 }, 8, SYNC_DROP_TLV_TWICE },
	{ PEER_HEARTBEAT, { 0, 12, 0, 3, 0, 0, 0 }, 7, SYNC_DROP_TLV_LENGTH },
	{ PEER_HEARTBEAT, { 0, 12, 0, 17, 0, 0, 9 }, 21, SYNC_DROP_TLV_VALUE }, /* role 9 */
	{ PEER_TAKE, { 0 }, 0, SYNC_DROP_TLV_MISSING },
	{ PEER_GO, { 0, 11, 0, 2, 0, 1 }, 6, SYNC_DROP_TLV_MISSING },
	{ PEER_CLOSE, { 0, 17, 0, 2, 'a', 7 }, 6, SYNC_DROP_TEXT }, /* a bell in the reason */
	{ PEER_CLOSE, { 0, 17, 0, 0 }, 4, SYNC_DROP_TLV_LENGTH },
	{ PEER_FACTS_ASK, { 0 }, 0, SYNC_DROP_TLV_MISSING },
	{ PEER_FACTS_ASK, { 0, 21, 0, 12 }, 16, SYNC_DROP_TLV_LENGTH },
	{ PEER_FACTS, { 0, 21, 0, 13 }, 17, SYNC_DROP_TLV_MISSING },        /* no piece */
	{ PEER_HELLO, { 0, 1, 0, 4, 0, 2, 0, 1 }, 8, SYNC_DROP_TLV_VALUE }, /* versions 2..1 */
	{ PEER_HELLO, { 0, 3, 0, 4, 0, 0, 0, 0 }, 8, SYNC_DROP_TLV_VALUE }, /* node 0 */
	{ PEER_HELLO, { 0, 6, 0, 4, 0, 0, 0, 9 }, 8, SYNC_DROP_TLV_VALUE }, /* record limit 9 */
};

START_TEST(body_drops)
{
	uint8_t buf[SYNC_CTL_MAX];
	struct peer_msg m;
	size_t n = raw(buf, bad_bodies[_i].type, 0, bad_bodies[_i].body, bad_bodies[_i].len);
	ck_assert_int_eq(read_one(buf, n, SYNC_CHAN_CTL, &m), bad_bodies[_i].want);
}
END_TEST

START_TEST(too_many_groups)
{
	uint8_t buf[SYNC_CTL_MAX], body[21 * (PEER_GROUPS_MAX + 1)] = { 0 };
	struct peer_msg m;
	for (unsigned i = 0; i <= PEER_GROUPS_MAX; i++)
		memcpy(body + 21 * i, (uint8_t[]){ 0, 12, 0, 17 }, 4);
	size_t n = raw(buf, PEER_HEARTBEAT, 0, body, sizeof(body));
	ck_assert_int_eq(read_one(buf, n, SYNC_CHAN_CTL, &m), SYNC_DROP_TLV_MANY);
	uint8_t blob[4 + PEER_BLOB_MAX + 1] = { 0, 18, (PEER_BLOB_MAX + 1) >> 8, (PEER_BLOB_MAX + 1) & 0xff };
	n = raw(buf, PEER_JOURNAL, 0, blob, sizeof(blob));
	ck_assert_int_eq(read_one(buf, n, SYNC_CHAN_CTL, &m), SYNC_DROP_TLV_LENGTH);
}
END_TEST

/* A later version may append to a TLV. */
START_TEST(longer_values_are_read)
{
	uint8_t buf[SYNC_CTL_MAX];
	struct peer_msg m;
	static const uint8_t body[] = { 0, 11, 0, 5, 0, 3, 1, 2, 3 };
	size_t n = raw(buf, PEER_TAKE, 0, body, sizeof(body));
	ck_assert_int_eq(read_one(buf, n, SYNC_CHAN_CTL, &m), SYNC_OK);
	ck_assert_uint_eq(m.group, 3);
}
END_TEST

START_TEST(hello_is_judged)
{
	struct sync_conf c = { .self = 1, .n_nodes = 2, .nodes = { { .id = 1 }, { .id = 2 } } };
	char text[PEER_TEXT_MAX];
	struct peer_msg m = hello();
	strcpy(c.cluster, "edge");
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, true, text, sizeof(text)), PEER_WHY_UP);
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, false, text, sizeof(text)), PEER_WHY_MALFORMED);
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 3, true, text, sizeof(text)), PEER_WHY_UNKNOWN_NODE);
	m.hello.version_min = 2;
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, true, text, sizeof(text)), PEER_WHY_VERSION);
	ck_assert(strstr(text, "2..3") != NULL);
	m = hello();
	m.hello.version_min = m.hello.version_max = 0;
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, true, text, sizeof(text)), PEER_WHY_VERSION);
	m = hello();
	m.hello.data = false;
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, true, text, sizeof(text)), PEER_WHY_MALFORMED);
	ck_assert_str_eq(text, "a ctl hello on a data connection");
	m = hello();
	strcpy(m.hello.cluster, "other");
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, true, text, sizeof(text)), PEER_WHY_CLUSTER);
	m = hello();
	m.hello.node = 1;
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, true, text, sizeof(text)), PEER_WHY_OWN_ID);
	peer_close_make(&m, PEER_WHY_VERSION, "x");
	ck_assert_int_eq(peer_close_why(&m), PEER_WHY_VERSION);
	m.reason = PEER_WHY_UP; /* no reason to close */
	ck_assert_int_eq(peer_close_why(&m), PEER_WHY_CLOSED);
	m.reason = 200; /* of a later version */
	ck_assert_int_eq(peer_close_why(&m), PEER_WHY_CLOSED);
}
END_TEST

/* What one node says of itself, the other accepts; each channel has its own record limit. */
START_TEST(hello_is_made)
{
	struct sync_conf c = { .self = 2, .n_nodes = 2, .nodes = { { .id = 1 }, { .id = 2 } } };
	struct peer_self self = { .node = 2, .boot_nonce = 99, .epoch_max = { 7, 1 } };
	char text[PEER_TEXT_MAX];
	struct peer_msg m;
	strcpy(c.cluster, "edge");
	for (unsigned data = 0; data < 2; data++) {
		for (unsigned on = 0; on < 2; on++) {
			c.self = 2;
			c.replicate = on;
			peer_hello_make(&self, &c, data, &m);
			ck_assert_int_eq(m.type, PEER_HELLO);
			ck_assert_uint_eq(m.hello.features,
					  (on ? PEER_FEATURE_SESSIONS : 0) | PEER_FEATURE_FACTS | PEER_FEATURE_SA);
			ck_assert_uint_eq(m.hello.record_max, data ? SYNC_DATA_MAX : SYNC_CTL_MAX);
			ck_assert_uint_eq(m.hello.epoch_max.counter, 7);
			c.self = 1;
			ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, data, text, sizeof(text)), PEER_WHY_UP);
		}
	}
}
END_TEST

START_TEST(window)
{
	struct peer_window w = { 0 };
	ck_assert(peer_window_new(&w, 1));
	ck_assert(!peer_window_new(&w, 1));
	ck_assert(peer_window_new(&w, 5));
	ck_assert(peer_window_new(&w, 3)); /* late, but new */
	ck_assert(!peer_window_new(&w, 3));
	ck_assert(!peer_window_new(&w, 5));
	ck_assert(peer_window_new(&w, 200));
	ck_assert(!peer_window_new(&w, 136)); /* too old to know */
	ck_assert(peer_window_new(&w, 137));
	ck_assert(peer_window_new(&w, 201));
	ck_assert(!peer_window_new(&w, 200));
}
END_TEST

START_TEST(retry)
{
	struct peer_retry r = { .random = 4711 };
	int64_t full = PEER_RETRY_MIN_NS;
	for (unsigned i = 0; i < 10; i++) {
		int64_t d = peer_retry_next(&r);
		ck_assert_int_le(d, full);
		ck_assert_int_ge(d, full * 3 / 4);
		full = full * 2 < PEER_RETRY_MAX_NS ? full * 2 : PEER_RETRY_MAX_NS;
	}
}
END_TEST

START_TEST(texts)
{
	for (unsigned d = 0; d < SYNC_DROP_N; d++) {
		ck_assert(sync_drop_text((enum sync_drop)d)[0] != '\0');
		ck_assert(sync_drop_name((enum sync_drop)d)[0] != '\0');
	}
	ck_assert_str_eq(sync_drop_text(SYNC_DROP_N), "unknown drop reason");
	ck_assert_str_eq(sync_drop_name(SYNC_DROP_N), "SYNC_DROP_UNKNOWN");
	for (unsigned w = 0; w < PEER_WHY_N; w++) {
		ck_assert(peer_why_text((enum peer_why)w)[0] != '\0');
		ck_assert(peer_why_name((enum peer_why)w)[0] != '\0');
	}
	ck_assert_str_eq(peer_why_text(PEER_WHY_N), "unknown reason");
	ck_assert_str_eq(peer_why_name(PEER_WHY_N), "unknown");
	struct sync_wire_stats st = { 0 };
	sync_wire_count(&st, SYNC_OK);
	sync_wire_count(&st, SYNC_DROP_TEXT);
	sync_wire_count(&st, SYNC_DROP_N);
	ck_assert_uint_eq(st.records, 1);
	ck_assert_uint_eq(st.drops[SYNC_DROP_TEXT], 1);
	ck_assert(sync_type_find(4000) == NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("peer_msg");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, message_round_trip, PEER_HELLO, PEER_FACTS + 1);
	tcase_add_loop_test(t, message_cut, PEER_HELLO, PEER_FACTS + 1);
	tcase_add_test(t, full_heartbeat_fits);
	tcase_add_test(t, envelope_drops);
	tcase_add_loop_test(t, body_drops, 0, sizeof(bad_bodies) / sizeof(bad_bodies[0]));
	tcase_add_test(t, too_many_groups);
	tcase_add_test(t, longer_values_are_read);
	tcase_add_test(t, hello_is_judged);
	tcase_add_test(t, hello_is_made);
	tcase_add_test(t, window);
	tcase_add_test(t, retry);
	tcase_add_test(t, texts);
	suite_add_tcase(s, t);
	return unit_run(s);
}
