/* The text that another node sends: read, written anew, and compared with itself and with a fixed node. */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/pair_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct pair_facts *f)
{
	static char buf[PAIR_TEXT_MAX];
	static struct pair_facts back;
	struct pair_text t;
	pair_text_begin(&t, buf, sizeof(buf));
	for (unsigned i = 0; i < f->n; i++)
		pair_text_put(&t, f->fact[i].key, "%s", f->fact[i].value);
	size_t n = t.len;
	if (t.cut)
		return;
	require(pair_facts_read(buf, n, &back) == PAIR_OK);
	require(back.n == f->n);
	for (unsigned i = 0; i < f->n; i++)
		require(strcmp(f->fact[i].key, back.fact[i].key) == 0 &&
			strcmp(f->fact[i].value, back.fact[i].value) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pair_facts theirs, ours;
	static struct pair_result r;
	static char text[PAIR_TEXT_MAX + 8];
	static const struct pair_clock clock = { true, 5000000, 10 };
	char fixed[] = PAIR_HEAD "\nsysctl.nf_conntrack_max=100\nvrrp[lan].vrid=1\nconf.vrrp.instances[lan].vrid=1\n"
				 "channel[0].mtu=1500\ntable.count=90\nhelper[ftp]=absent\nzones.support=no\n";
	if (size > sizeof(text))
		return 0;
	memcpy(text, data, size);
	require(pair_facts_read(fixed, sizeof(fixed) - 1, &ours) == PAIR_OK);
	if (pair_facts_read(text, size, &theirs) != PAIR_OK) {
		require(theirs.n == 0);
		return 0;
	}
	again(&theirs);
	pair_check(&ours, &theirs, &clock, &r);
	require(r.n <= PAIR_FINDINGS_MAX && r.n_unsure <= PAIR_UNSURE_MAX);
	pair_check(&theirs, &ours, &clock, &r);
	for (unsigned i = 1; i < r.n; i++)
		require(r.finding[i - 1].grade >= r.finding[i].grade);
	return 0;
}
