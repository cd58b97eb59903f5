/* Connections and SAs out of VICI messages: bytes recorded from charon 5.9.8, other forms, cuts at every byte. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ike-hooks/vici_conn.h"
#include "ike-hooks/vici_detail.h"
#include "tests/unit/run.h"

/* Messages as charon sent them: a connection of IKEv2 with two children, one of IKEv1, an SA of each. */
#define RECORDED SRCDIR "/tests/fuzz/corpus/vici_conn/"

static size_t recorded(const char *name, uint8_t *buf, size_t cap)
{
	char path[400];

	snprintf(path, sizeof(path), RECORDED "%s", name);
	FILE *f = fopen(path, "rb");
	ck_assert_msg(f != NULL, "%s", path);
	size_t n = fread(buf, 1, cap, f);
	fclose(f);
	ck_assert_uint_gt(n, 50);
	return n;
}

static struct vici_conn conn_of(const uint8_t *msg, size_t len)
{
	struct vici_conn_rd r;
	struct vici_conn c = { .name = "" }, more;

	vici_conn_begin(&r, msg, len);
	ck_assert(vici_conn_next(&r, &c));
	ck_assert(!vici_conn_next(&r, &more));
	ck_assert_int_eq(r.rd.drop, VICI_OK);
	return c;
}

START_TEST(recorded_ikev2)
{
	uint8_t buf[4096];
	size_t n = recorded("conn-ikev2", buf, sizeof(buf));
	struct vici_conn c = conn_of(buf, n);

	ck_assert_str_eq(c.name, "hq");
	ck_assert_uint_eq(c.local.n, 1);
	struct addr vip = addr_v4(192, 0, 2, 1), peer = addr_v4(192, 0, 2, 2), other = addr_v4(192, 0, 2, 3);
	ck_assert(vici_ends_has(&c.local, &vip) && !vici_ends_has(&c.local, &other) && !c.local.any);
	ck_assert(vici_ends_has(&c.remote, &peer));
	ck_assert(c.v2 && !c.v1);
	ck_assert_int_eq(c.unique, VICI_UNIQUE_REPLACE);
	ck_assert(!c.has_mobike);
	ck_assert_uint_eq(c.dpd_delay_s, 7);
	ck_assert_str_eq(c.remote_id, "peer.example.net");
	ck_assert(!c.id_wild);
	ck_assert_uint_eq(c.n_children, 2);
	const struct vici_child_conf *k = vici_conn_child(&c, "net");
	ck_assert_ptr_nonnull(k);
	ck_assert_int_eq(k->close, VICI_DO_NOTHING);
	ck_assert_int_eq(k->dpd, VICI_DO_NOTHING);
	ck_assert_int_eq(k->start, VICI_DO_UNKNOWN);
	k = vici_conn_child(&c, "net2");
	ck_assert_ptr_nonnull(k);
	ck_assert_int_eq(k->close, VICI_DO_START);
	ck_assert_int_eq(k->dpd, VICI_DO_TRAP);
	ck_assert_ptr_null(vici_conn_child(&c, "ne"));
}
END_TEST

START_TEST(recorded_ikev1)
{
	uint8_t buf[4096];
	size_t n = recorded("conn-ikev1", buf, sizeof(buf));
	struct vici_conn c = conn_of(buf, n);

	ck_assert_str_eq(c.name, "old");
	ck_assert(c.v1 && !c.v2);
	ck_assert(c.local.any && c.remote.any);
	ck_assert(c.id_wild);
	ck_assert_uint_eq(c.dpd_delay_s, 3);
	ck_assert_uint_eq(c.dpd_timeout_s, 9);
	ck_assert_int_eq(c.unique, VICI_UNIQUE_NEVER);
}
END_TEST

START_TEST(recorded_sa)
{
	uint8_t buf[4096];
	size_t n = recorded("sa-ikev2", buf, sizeof(buf));
	struct vici_detail_rd r;
	struct vici_detail d, more;

	vici_detail_begin(&r, buf, n);
	ck_assert(vici_detail_next(&r, &d));
	ck_assert(!vici_detail_next(&r, &more));
	ck_assert_int_eq(r.rd.drop, VICI_OK);
	ck_assert_str_eq(d.ike.name, "hq");
	ck_assert_uint_eq(d.ike.version, 2);
	ck_assert_str_eq(d.ike.state, "ESTABLISHED");
	ck_assert(d.ike.initiator);
	ck_assert_str_eq(d.ike.remote_id, "peer.example.net");
	ck_assert_str_eq(d.ike.algorithms, "AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519");
	ck_assert(d.has_child);
	ck_assert_str_eq(d.child.name, "net");
	ck_assert_str_eq(d.child.state, "INSTALLED");
	ck_assert_str_eq(d.child.mode, "TUNNEL");
	ck_assert_str_eq(d.child.protocol, "ESP");
	ck_assert(d.child.encap);
	ck_assert_uint_ne(d.child.spi_in, 0);
	ck_assert_uint_ne(d.child.spi_out, 0);
	ck_assert_str_eq(d.child.local_ts, "198.51.100.1/32");
	ck_assert_str_eq(d.child.remote_ts, "203.0.113.1/32");
	ck_assert_uint_gt(d.child.rekey_s, 100);
	ck_assert_uint_gt(d.child.life_s, d.child.rekey_s);
	ck_assert(!d.child.used_in && !d.child.used_out);
}
END_TEST

/* ---- other forms ---- */

static uint8_t buf[65536];

struct msg {
	struct vici_wr w;
	size_t skip;
};

static void begin(struct msg *m)
{
	vici_begin(&m->w, buf, sizeof(buf), VICI_EVENT, "x");
	m->skip = 4 + 1 + 2;
}

static const uint8_t *end(struct msg *m, size_t *len)
{
	size_t n = vici_end(&m->w);

	ck_assert_uint_gt(n, 0);
	*len = n - m->skip;
	return buf + m->skip;
}

static struct vici_conn with(const char *key, const char *value)
{
	struct msg m;
	size_t n;

	begin(&m);
	vici_put_section(&m.w, "c");
	vici_put_key(&m.w, key, value);
	vici_put_section_end(&m.w);
	const uint8_t *p = end(&m, &n);
	return conn_of(p, n);
}

START_TEST(words)
{
	ck_assert_int_eq(with("unique", "UNIQUE_NO").unique, VICI_UNIQUE_NO);
	ck_assert_int_eq(with("unique", "keep").unique, VICI_UNIQUE_KEEP);
	ck_assert_int_eq(with("unique", "Never").unique, VICI_UNIQUE_NEVER);
	ck_assert_int_eq(with("unique", "sometimes").unique, VICI_UNIQUE_UNKNOWN);
	ck_assert(with("mobike", "yes").mobike && with("mobike", "yes").has_mobike);
	ck_assert(!with("mobike", "no").mobike && with("mobike", "no").has_mobike);
	ck_assert(!with("other", "no").has_mobike);
	ck_assert(with("version", "IKEv1/2").v1 && with("version", "IKEv1/2").v2);
	ck_assert(with("version", "IKEv1").v1 && !with("version", "IKEv1").v2);
	ck_assert(!with("version", "IKEv2").v1 && with("version", "IKEv2").v2);
	ck_assert(with("version", "0").v1 && with("version", "0").v2);
	ck_assert_uint_eq(with("dpd_delay", "99999999999").dpd_delay_s, UINT32_MAX);
	ck_assert_uint_eq(with("reauth_time", "17").reauth_s, 17);
	ck_assert_int_eq(vici_action_of("trap|start"), VICI_DO_START);
	ck_assert_int_eq(vici_action_of("restart"), VICI_DO_START);
	ck_assert_int_eq(vici_action_of("hold"), VICI_DO_TRAP);
	ck_assert_int_eq(vici_action_of("clear"), VICI_DO_NOTHING);
	ck_assert_int_eq(vici_action_of("?"), VICI_DO_UNKNOWN);
	for (int a = VICI_DO_NOTHING; a <= VICI_DO_START; a++)
		ck_assert_int_eq(vici_action_of(vici_action_name((enum vici_action)a)), a);
	ck_assert_str_eq(vici_action_name(VICI_DO_UNKNOWN), "");
	static const char *const unique[] = { "", "never", "no", "replace", "keep" };
	for (int u = 0; u < 5; u++)
		ck_assert_str_eq(vici_unique_name((enum vici_unique)u), unique[u]);
}
END_TEST

static struct vici_conn ends(const char *const *addrs)
{
	struct msg m;
	size_t n;

	begin(&m);
	vici_put_section(&m.w, "c");
	vici_put_list(&m.w, "local_addrs");
	for (; *addrs; addrs++)
		vici_put_item(&m.w, *addrs);
	vici_put_list_end(&m.w);
	vici_put_section_end(&m.w);
	const uint8_t *p = end(&m, &n);
	return conn_of(p, n);
}

START_TEST(forms_of_addresses)
{
	static const char *const any[] = { "%any", NULL }, *const any6[] = { "%any6", NULL }, *const none[] = { NULL },
				 *const names[] = { "vpn.example.net", "10.0.0.0/8", "10.0.0.1-10.0.0.9", "", NULL },
				 *const exact[] = { "192.0.2.1/32", "2001:db8::1", NULL },
				 *const many[] = {
					 "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", NULL
				 };

	ck_assert(ends(any).local.any && ends(any6).local.any && ends(none).local.any);
	struct vici_conn c = ends(names);
	ck_assert(!c.local.any);
	ck_assert_uint_eq(c.local.n, 0);
	ck_assert_uint_eq(c.local.other, 3);
	c = ends(exact);
	ck_assert_uint_eq(c.local.n, 2);
	ck_assert_int_eq(c.local.addr[1].af, ADDR_V6);
	c = ends(many);
	ck_assert_uint_eq(c.local.n, VICI_CONN_ADDRS);
	ck_assert_uint_eq(c.local.other, 1);
}
END_TEST

START_TEST(many_children_and_long_names)
{
	struct msg m;
	char name[100];
	size_t n;

	begin(&m);
	vici_put_section(&m.w, "c");
	vici_put_section(&m.w, "remote-1");
	vici_put_key(&m.w, "id", "CN=*, O=x");
	vici_put_section_end(&m.w);
	vici_put_section(&m.w, "remote-2");
	vici_put_key(&m.w, "id", "second");
	vici_put_section_end(&m.w);
	vici_put_section(&m.w, "children");
	for (int i = 0; i < VICI_CONN_CHILDREN + 3; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		vici_put_section(&m.w, name);
		vici_put_key(&m.w, "start_action", "trap");
		vici_put_section_end(&m.w);
	}
	vici_put_section_end(&m.w);
	vici_put_section_end(&m.w);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	vici_put_section(&m.w, name);
	vici_put_section_end(&m.w);
	const uint8_t *p = end(&m, &n);
	struct vici_conn_rd r;
	struct vici_conn c;
	vici_conn_begin(&r, p, n);
	ck_assert(vici_conn_next(&r, &c));
	ck_assert_uint_eq(c.n_children, VICI_CONN_CHILDREN);
	ck_assert_uint_eq(c.more_children, 3);
	ck_assert_int_eq(c.child[3].start, VICI_DO_TRAP);
	ck_assert_str_eq(c.remote_id, "CN=*, O=x"); /* the first round names the peer */
	ck_assert(c.id_wild);
	ck_assert(vici_conn_next(&r, &c)); /* a second connection begins from nothing */
	ck_assert_str_eq(c.name, "");
	ck_assert_uint_eq(c.n_children, 0);
	ck_assert(!vici_conn_next(&r, &c));
}
END_TEST

START_TEST(sa_without_child_and_with_many)
{
	struct msg m;
	struct vici_detail_rd r;
	struct vici_detail d;
	char name[8];
	size_t n;

	begin(&m);
	vici_put_section(&m.w, "hq");
	vici_put_key(&m.w, "version", "2");
	vici_put_key(&m.w, "local-host", "fe80::1%eth0");
	vici_put_key(&m.w, "remote-host", "nonsense");
	vici_put_key(&m.w, "remote-port", "70000");
	vici_put_section_end(&m.w);
	vici_put_section(&m.w, "b");
	vici_put_section(&m.w, "child-sas");
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "k-%d", i);
		vici_put_section(&m.w, name);
		vici_put_key(&m.w, "spi-in", i % 2 ? "c0ffee01" : "xyz");
		vici_put_key(&m.w, "use-in", "7");
		vici_put_list(&m.w, "local-ts");
		for (int k = 0; k < 30; k++)
			vici_put_item(&m.w, "192.0.2.0/24");
		vici_put_list_end(&m.w);
		vici_put_section_end(&m.w);
	}
	vici_put_section_end(&m.w);
	vici_put_section_end(&m.w);
	const uint8_t *p = end(&m, &n);
	vici_detail_begin(&r, p, n);
	ck_assert(vici_detail_next(&r, &d));
	ck_assert(!d.has_child);
	ck_assert_int_eq(d.ike.local.af, ADDR_V6);
	ck_assert_int_eq(d.ike.remote.af, ADDR_NONE);
	ck_assert_uint_eq(d.ike.remote_port, 0);
	for (unsigned i = 0; i < 40; i++) {
		ck_assert(vici_detail_next(&r, &d));
		ck_assert_str_eq(d.ike.name, "b");
		ck_assert_uint_eq(d.child.spi_in, i % 2 ? 0xc0ffee01 : 0);
		ck_assert(d.child.used_in && !d.child.used_out);
		ck_assert_uint_eq(d.child.use_in_s, 7);
		ck_assert_uint_lt(strlen(d.child.local_ts), VICI_TS_MAX);
	}
	ck_assert(!vici_detail_next(&r, &d));
}
END_TEST

START_TEST(floated)
{
	struct vici_ike_sa s = { .version = 2, .initiator = true, .local_port = 4500 };

	ck_assert(vici_detail_floated(&s));
	s.nat = true;
	ck_assert(!vici_detail_floated(&s));
	s.nat = false;
	s.initiator = false;
	ck_assert(!vici_detail_floated(&s));
	s.initiator = true;
	s.version = 1;
	ck_assert(!vici_detail_floated(&s));
	s.version = 2;
	s.local_port = 500;
	ck_assert(!vici_detail_floated(&s));
}
END_TEST

/* Every cut of what was recorded is malformed, or ends between two sections, and never read beyond. */
START_TEST(cut_at_every_byte)
{
	static const char *const names[] = { "conn-ikev2", "conn-ikev1", "sa-ikev2" };
	uint8_t whole[4096];

	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
		size_t len = recorded(names[k], whole, sizeof(whole));
		for (size_t n = 0; n < len; n++) {
			uint8_t *copy = malloc(n + 1);
			struct vici_conn_rd rc;
			struct vici_conn c;
			struct vici_detail_rd rd;
			struct vici_detail d;
			memcpy(copy, whole, n);
			enum vici_drop well = vici_check(copy, n);
			vici_conn_begin(&rc, copy, n);
			while (vici_conn_next(&rc, &c))
				ck_assert_uint_lt(strlen(c.name), IKE_NAME_MAX);
			ck_assert_int_eq(rc.rd.drop, well);
			vici_detail_begin(&rd, copy, n);
			while (vici_detail_next(&rd, &d))
				ck_assert_uint_lt(strlen(d.ike.name), IKE_NAME_MAX);
			ck_assert_int_eq(rd.rd.drop, well);
			free(copy);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vici_conn");
	TCase *t = tcase_create("conn");

	tcase_add_test(t, recorded_ikev2);
	tcase_add_test(t, recorded_ikev1);
	tcase_add_test(t, recorded_sa);
	tcase_add_test(t, words);
	tcase_add_test(t, forms_of_addresses);
	tcase_add_test(t, many_children_and_long_names);
	tcase_add_test(t, sa_without_child_and_with_many);
	tcase_add_test(t, floated);
	tcase_add_test(t, cut_at_every_byte);
	suite_add_tcase(s, t);
	return unit_run(s);
}
