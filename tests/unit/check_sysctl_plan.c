/* Which kernel settings a virtual MAC needs, when those of a base change and come back, and their record. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/ownfile.h"
#include "daemon/sysctl_plan.h"
#include "tests/unit/run.h"

static struct sysctl_plan p;
static uint8_t buf[SYSCTL_RECORD_MAX];

static void setup(void)
{
	memset(&p, 0, sizeof(p));
}

static const struct sysctl_item *find(const struct sysctl_item *it, unsigned n, const char *path)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(it[i].path, path) == 0)
			return &it[i];
	ck_abort_msg("no item %s", path);
}

START_TEST(test_vmac_items)
{
	struct sysctl_vmac v = { .name = "vrrp.10", .base = "lan0.5" };
	struct sysctl_item it[SYSCTL_ITEMS_MAX];
	unsigned n = sysctl_plan_vmac(&v, it);
	ck_assert_int_eq(find(it, n, "net/ipv4/conf/vrrp.10/arp_ignore")->value, 1);
	ck_assert_int_eq(find(it, n, "net/ipv4/conf/vrrp.10/arp_announce")->value, 2);
	ck_assert_str_eq(find(it, n, "net/ipv4/conf/vrrp.10/rp_filter")->from, "net/ipv4/conf/all/rp_filter");
	ck_assert_str_eq(find(it, n, "net/ipv4/conf/vrrp.10/forwarding")->from, "net/ipv4/conf/lan0.5/forwarding");
	ck_assert_str_eq(find(it, n, "net/ipv6/conf/vrrp.10/forwarding")->from, "net/ipv6/conf/lan0.5/forwarding");
	ck_assert_int_eq(find(it, n, "net/ipv6/conf/vrrp.10/accept_ra")->value, 0);
	ck_assert_int_eq(find(it, n, "net/ipv6/conf/vrrp.10/autoconf")->value, 0);
	/* addr_gen_mode: 1 is none; the kernel makes a link-local address only where nobody gave one and one is needed */
	ck_assert_int_eq(find(it, n, "net/ipv6/conf/vrrp.10/addr_gen_mode")->value, 1);
	ck_assert_int_eq(find(it, n, "net/ipv6/conf/vrrp.10/dad_transmits")->value, 0);
	v.link_local = v.dad = true;
	n = sysctl_plan_vmac(&v, it);
	ck_assert_int_eq(find(it, n, "net/ipv6/conf/vrrp.10/addr_gen_mode")->value, 0);
	ck_assert_int_eq(find(it, n, "net/ipv6/conf/vrrp.10/dad_transmits")->value, 1);
}
END_TEST

START_TEST(test_values)
{
	struct sysctl_item set = { .rule = SYSCTL_SET, .value = 1 }, least = { .rule = SYSCTL_AT_LEAST, .value = 2 },
			   copy = { .rule = SYSCTL_COPY }, rp = { .rule = SYSCTL_RP_FILTER };
	ck_assert_int_eq(sysctl_plan_value(&set, 0, 0), 1);
	ck_assert_int_eq(sysctl_plan_value(&set, 1, 0), SYSCTL_UNTOUCHED);
	ck_assert_int_eq(sysctl_plan_value(&least, 0, 0), 2);
	ck_assert_int_eq(sysctl_plan_value(&least, 2, 0), SYSCTL_UNTOUCHED);
	ck_assert_int_eq(sysctl_plan_value(&least, 8, 0), SYSCTL_UNTOUCHED);
	ck_assert_int_eq(sysctl_plan_value(&copy, 0, 1), 1);
	ck_assert_int_eq(sysctl_plan_value(&copy, 1, 0), 0);
	ck_assert_int_eq(sysctl_plan_value(&copy, 1, 1), SYSCTL_UNTOUCHED);
	/* the higher one of `all` and the interface counts: strict (1) is only overruled by loose (2) */
	ck_assert_int_eq(sysctl_plan_value(&rp, 1, 0), 0);
	ck_assert_int_eq(sysctl_plan_value(&rp, 1, 1), 2);
	ck_assert_int_eq(sysctl_plan_value(&rp, 0, 1), 2);
	ck_assert_int_eq(sysctl_plan_value(&rp, 0, 2), SYSCTL_UNTOUCHED);
	ck_assert_int_eq(sysctl_plan_value(&rp, 0, 0), SYSCTL_UNTOUCHED);
}
END_TEST

/* What a job does, without a kernel. */
static void job(int32_t ignore, int32_t announce, int err)
{
	const struct sysctl_base *next = sysctl_plan_next(&p);
	ck_assert_ptr_nonnull(next);
	struct sysctl_base b = *next;
	if (b.wanted) {
		b.old[0] = ignore;
		b.set[0] = 1;
		b.old[1] = announce == 2 ? SYSCTL_UNTOUCHED : announce;
		b.set[1] = announce == 2 ? SYSCTL_UNTOUCHED : 2;
	}
	b.applied = b.wanted && err == 0;
	sysctl_plan_done(&p, &b, err);
}

START_TEST(test_life)
{
	sysctl_plan_begin(&p);
	ck_assert_ptr_null(sysctl_plan_next(&p));
	sysctl_plan_want(&p, 4, "lan0");
	sysctl_plan_want(&p, 4, "lan0"); /* two virtual MACs on it */
	ck_assert_uint_eq(p.n, 1);
	job(0, 2, 0);
	ck_assert_ptr_null(sysctl_plan_next(&p));
	ck_assert_int_eq(sysctl_plan_restore(&p.base[0], SYSCTL_BASE_ARP_IGNORE, 1), 0);
	ck_assert_int_eq(sysctl_plan_restore(&p.base[0], SYSCTL_BASE_ARP_IGNORE, 8), SYSCTL_UNTOUCHED);
	ck_assert_int_eq(sysctl_plan_restore(&p.base[0], SYSCTL_BASE_ARP_ANNOUNCE, 2), SYSCTL_UNTOUCHED);
	/* still wanted after a reload */
	sysctl_plan_begin(&p);
	sysctl_plan_want(&p, 4, "lan0");
	ck_assert_ptr_null(sysctl_plan_next(&p));
	/* wanted no longer: back, under the name it has now */
	sysctl_plan_begin(&p);
	sysctl_plan_named(&p, 4, "old0");
	ck_assert_str_eq(sysctl_plan_next(&p)->name, "old0");
	ck_assert(!sysctl_plan_next(&p)->wanted);
	job(0, 0, 0);
	ck_assert_uint_eq(p.n, 0);
	/* one that was never set is forgotten at once */
	sysctl_plan_want(&p, 5, "lan1");
	sysctl_plan_begin(&p);
	ck_assert_uint_eq(p.n, 0);
	sysctl_plan_named(&p, 5, "lan1");
	sysctl_plan_gone(&p, 5);
}
END_TEST

START_TEST(test_failure_and_loss)
{
	sysctl_plan_want(&p, 4, "lan0");
	job(0, 0, -13);
	ck_assert_ptr_null(sysctl_plan_next(&p)); /* not again and again */
	sysctl_plan_named(&p, 4, "lan0");
	ck_assert_ptr_nonnull(sysctl_plan_next(&p));
	struct sysctl_base b = *sysctl_plan_next(&p);
	sysctl_plan_gone(&p, 4);
	sysctl_plan_want(&p, 9, "lan0"); /* the new one of that name */
	b.applied = true;
	sysctl_plan_done(&p, &b, 0); /* of the old one: late */
	ck_assert_uint_eq(p.n, 1);
	ck_assert_int_eq(sysctl_plan_next(&p)->ifindex, 9);
}
END_TEST

START_TEST(test_full)
{
	char name[IFNAMSIZ];
	for (int i = 1; i <= SYSCTL_BASES_MAX + 3; i++) {
		snprintf(name, sizeof(name), "if%d", i);
		sysctl_plan_want(&p, i, name);
	}
	ck_assert_uint_eq(p.n, SYSCTL_BASES_MAX);
	ck_assert_uint_eq(p.full, 3);
	for (unsigned i = 0; i < p.n; i++) {
		p.base[i].applied = true;
		memset(p.base[i].name, 'x', IFNAMSIZ - 1);
	}
	ck_assert_uint_gt(sysctl_record_encode(&p, buf, sizeof(buf)), 0);
}
END_TEST

static size_t record_of_two(void)
{
	sysctl_plan_want(&p, 4, "lan0");
	job(0, 0, 0);
	sysctl_plan_want(&p, 5, "bond0.17");
	job(0, 2, 0);
	sysctl_plan_want(&p, 6, "not-set");
	size_t len = sysctl_record_encode(&p, buf, sizeof(buf));
	ck_assert_uint_gt(len, 0);
	for (size_t cap = 0; cap < len; cap++)
		ck_assert_uint_eq(sysctl_record_encode(&p, buf, cap), 0);
	return sysctl_record_encode(&p, buf, sizeof(buf));
}

/* The next process: what the configuration still wants is made sure of, the rest goes back. */
START_TEST(test_record)
{
	size_t len = record_of_two();
	struct sysctl_plan q = { 0 };
	ck_assert_int_eq(sysctl_record_decode(&q, buf, len), SYSCTL_RECORD_OK);
	ck_assert_uint_eq(q.n, 2);
	p = q;
	sysctl_plan_begin(&p);
	sysctl_plan_want(&p, 5, "bond0.17");
	const struct sysctl_base *b = sysctl_plan_next(&p);
	ck_assert_int_eq(b->ifindex, 4);
	ck_assert(!b->wanted);
	ck_assert_int_eq(sysctl_plan_restore(b, SYSCTL_BASE_ARP_IGNORE, 1), 0);
	ck_assert_int_eq(sysctl_plan_restore(b, SYSCTL_BASE_ARP_ANNOUNCE, 2), 0);
	job(0, 0, 0);
	b = sysctl_plan_next(&p);
	ck_assert_int_eq(b->ifindex, 5);
	ck_assert(b->wanted && b->applied && b->unsure);
	job(0, 2, 0);
	ck_assert_ptr_null(sysctl_plan_next(&p));
}
END_TEST

START_TEST(test_record_refused)
{
	size_t len = record_of_two();
	struct sysctl_plan *q = calloc(1, sizeof(*q));
	for (size_t n = 0; n < len; n++) {
		ck_assert_int_ne(sysctl_record_decode(q, buf, n), SYSCTL_RECORD_OK);
		ck_assert_uint_eq(q->n, 0);
	}
	for (size_t at = 0; at < len; at++) {
		buf[at] ^= 0x41;
		enum sysctl_record_drop d = sysctl_record_decode(q, buf, len);
		ck_assert_int_ne(d, SYSCTL_RECORD_OK);
		ck_assert_uint_gt(strlen(sysctl_record_text(d)), 3);
		buf[at] ^= 0x41;
	}
	free(q);
	ck_assert_str_eq(sysctl_record_text(SYSCTL_RECORD_DROP_N), "unknown");
}
END_TEST

static enum sysctl_record_drop with_crc(size_t len)
{
	static struct sysctl_plan q;
	q.n = 0;
	uint32_t crc = crc32_ieee(0, buf, len - 4);
	for (unsigned i = 0; i < 4; i++)
		buf[len - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
	return sysctl_record_decode(&q, buf, len);
}

START_TEST(test_record_entries)
{
	size_t len = record_of_two();
	enum { FIRST = 12, NAME = FIRST + 5 };
	ck_assert_int_eq(with_crc(len), SYSCTL_RECORD_OK);
	buf[NAME] = '/';
	ck_assert_int_eq(with_crc(len), SYSCTL_RECORD_ENTRY);
	memcpy(buf + NAME, "..\0\0", 4);
	ck_assert_int_eq(with_crc(len), SYSCTL_RECORD_ENTRY);
	memcpy(buf + NAME, "lan0", 4);
	buf[FIRST + 3] = 5; /* the index of the other one */
	ck_assert_int_eq(with_crc(len), SYSCTL_RECORD_ENTRY);
	buf[FIRST + 3] = 0;
	ck_assert_int_eq(with_crc(len), SYSCTL_RECORD_ENTRY);
	buf[FIRST + 3] = 4;
	buf[FIRST + 4] = IFNAMSIZ;
	ck_assert_int_eq(with_crc(len), SYSCTL_RECORD_ENTRY);
	buf[FIRST + 4] = 4;
	buf[11] = 1; /* one entry fewer than there are */
	ck_assert_int_eq(with_crc(len), SYSCTL_RECORD_COUNT);
	buf[11] = 3;
	ck_assert_int_eq(with_crc(len), SYSCTL_RECORD_SHORT);
	buf[10] = 0xff;
	ck_assert_int_eq(with_crc(len), SYSCTL_RECORD_COUNT);
	buf[10] = 0;
	buf[11] = 2;
	buf[7] = SYSCTL_BASE_N + 1;
	ck_assert_int_eq(with_crc(len), SYSCTL_RECORD_VERSION);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sysctl_plan");
	TCase *t = tcase_create("all");
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, test_vmac_items);
	tcase_add_test(t, test_values);
	tcase_add_test(t, test_life);
	tcase_add_test(t, test_failure_and_loss);
	tcase_add_test(t, test_full);
	tcase_add_test(t, test_record);
	tcase_add_test(t, test_record_refused);
	tcase_add_test(t, test_record_entries);
	suite_add_tcase(s, t);
	return unit_run(s);
}
