#include <sodium.h>
#include <string.h>
#include "daemon/base/mutant.h"
#include "sync/sync_digest.h"

#define KEY_BYTES  40
#define RARE_BYTES (1 + 8 + CT_LABELS_LEN + 24 + 12)
#define ITEM_BYTES (KEY_BYTES + 36 + 8 + RARE_BYTES)

_Static_assert(crypto_shorthash_KEYBYTES == 16 && crypto_shorthash_BYTES == 8, "SipHash-2-4");

static uint8_t *put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, (uint16_t)(v >> 16)), (uint16_t)v);
}

static uint64_t hash(const uint8_t key[16], const uint8_t *p, size_t n)
{
	uint8_t out[8];
	uint64_t h = 0;

	crypto_shorthash(out, p, n, key);
	for (unsigned i = 0; i < 8; i++)
		h = h << 8 | out[i];
	return h;
}

/* Both machines compute over the same bytes, whatever their byte order: addresses as long as they are, and ports. */
static uint8_t *put_ends(uint8_t *p, const struct ct_tuple *t)
{
	size_t a = t->l3 == 4 ? 4 : 16;

	memcpy(p, t->src, a);
	memcpy(p + a, t->dst, a);
	return put16(put16(p + 2 * a, t->sport), t->dport);
}

static uint8_t *put_key(uint8_t *p, const struct ct_tuple *t)
{
	p = put16(put_ends(p, t), t->zone);
	*p++ = t->l3;
	*p++ = t->l4;
	return p;
}

void digest_init(struct digest_set *d, const uint8_t key[16])
{
	memset(d, 0, sizeof(*d));
	memcpy(d->key, key, sizeof(d->key));
}

struct digest_item digest_key(const uint8_t key[16], const struct ct_tuple *orig)
{
	uint8_t buf[KEY_BYTES];

	uint64_t h = hash(key, buf, (size_t)(put_key(buf, orig) - buf));
	return (struct digest_item){ .bucket = h % SYNC_BUCKETS, .check = (uint32_t)(h >> 32) };
}

/* Only what is there, so that the many without any cost nothing. */
static uint8_t *put_rare(uint8_t *p, const struct ct_entry *e)
{
	if (e->has & CT_HAS_SCTP) {
		*p++ = e->sctp_state;
		p = put32(put32(p, e->sctp_vtag[0]), e->sctp_vtag[1]);
	}
	if (e->has & CT_HAS_LABELS) {
		memcpy(p, e->labels, CT_LABELS_LEN);
		p += CT_LABELS_LEN;
	}
	for (unsigned dir = 0; dir < 2 && e->has & CT_HAS_SEQADJ; dir++) {
		const struct ct_seqadj *a = &e->seqadj[dir];
		p = put32(put32(put32(p, a->position), (uint32_t)a->before), (uint32_t)a->after);
	}
	if (e->has & CT_HAS_SYNPROXY)
		p = put32(put32(put32(p, e->synproxy.isn), e->synproxy.its), e->synproxy.tsoff);
	return p;
}

struct digest_item digest_entry(const uint8_t key[16], const struct ct_entry *e)
{
	uint8_t buf[ITEM_BYTES], *p = buf;
	struct digest_item it = digest_key(key, &e->orig);

	p = put_ends(put_key(p, &e->orig), &e->reply);
	uint32_t nat = MUTANT(M_DIGEST_WITHOUT_NAT) ? CT_ST_SRC_NAT | CT_ST_DST_NAT : 0;
	p = put16(p, (uint16_t)(e->status & SYNC_STATUS_STABLE & ~nat));
	p = put16(p, e->has & CT_HAS_TCP ? e->tcp_state : 0);
	p = put16(p, (uint16_t)(e->mark >> 16));
	p = put16(p, (uint16_t)e->mark);
	p = put_rare(p, e);
	it.digest = hash(key, buf, (size_t)(p - buf));
	return it;
}

void digest_add(struct digest_set *d, const struct digest_item *it)
{
	struct sync_bucket *b = &d->b[it->bucket];

	d->count++;
	d->root ^= it->digest;
	b->count++;
	b->digest ^= it->digest;
}

void digest_del(struct digest_set *d, const struct digest_item *it)
{
	struct sync_bucket *b = &d->b[it->bucket];

	d->count--;
	d->root ^= it->digest;
	b->count--;
	b->digest ^= it->digest;
}

unsigned digest_buckets(const struct digest_set *d, unsigned first, struct sync_rec *rec)
{
	unsigned n = SYNC_BUCKETS - first < SYNC_BUCKETS_PER_REC ? SYNC_BUCKETS - first : SYNC_BUCKETS_PER_REC;

	rec->first = (uint16_t)first;
	rec->n = (uint16_t)n;
	memcpy(rec->buckets, &d->b[first], n * sizeof(d->b[0]));
	return first + n;
}

unsigned digest_differ(const struct digest_set *d, const struct sync_rec *rec, uint8_t mask[SYNC_BUCKETS / 8])
{
	unsigned diff = 0;

	for (unsigned i = 0; i < rec->n && i < SYNC_BUCKETS_PER_REC && rec->first + i < SYNC_BUCKETS; i++) {
		unsigned b = rec->first + i;
		if (d->b[b].count == rec->buckets[i].count && d->b[b].digest == rec->buckets[i].digest)
			continue;
		mask[b / 8] |= (uint8_t)(1u << b % 8);
		diff++;
	}
	return diff;
}
