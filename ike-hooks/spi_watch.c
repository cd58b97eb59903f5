#include "ike-hooks/spi_watch.h"

#include <netinet/in.h>
#include <string.h>
#include "daemon/base/require.h"

#define TOKEN        1000 /* one question */
#define EXPIRE_GAP   (1 * NS_PER_SEC)
#define UDP_HEAD_LEN 8u

static const char *const verdict_text[] = {
#define SPI_TEXT(name, text) [name] = text,
	SPI_VERDICT_TABLE(SPI_TEXT)
#undef SPI_TEXT
};

/* Pause after the n-th question about one peer; the last one repeats. */
static const int64_t pause_ns[] = { 3 * NS_PER_MS, 20 * NS_PER_MS, 100 * NS_PER_MS, 1 * NS_PER_SEC };
#define N_PAUSE (sizeof(pause_ns) / sizeof(pause_ns[0]))

const char *spi_verdict_text(enum spi_verdict v)
{
	return (unsigned)v < SPI_VERDICT_N ? verdict_text[v] : "?";
}

void spi_watch_init(struct spi_watch *w, struct spi_pair *pair, uint16_t cap, struct spi_known *known,
		    uint32_t cap_known, mono_t now)
{
	*w = (struct spi_watch){ .pair = pair, .cap = cap, .known = known, .cap_known = cap_known };
	w->open_until = MONO_ZERO;
	w->tokens = SPI_ASK_BURST * TOKEN;
	w->refilled = w->expired = now;
}

/* ---- pairs ---- */

static int pair_cmp(const struct spi_pair *p, const struct addr *vip, const struct addr *peer)
{
	int c = addr_cmp(&p->vip, vip);

	return c ? c : addr_cmp(&p->peer, peer);
}

/* First pair that is not below (vip, peer). */
static uint16_t pair_at(const struct spi_watch *w, const struct addr *vip, const struct addr *peer)
{
	uint16_t lo = 0, hi = w->n;

	while (lo < hi) {
		uint16_t mid = (uint16_t)((lo + hi) / 2);
		if (pair_cmp(&w->pair[mid], vip, peer) < 0)
			lo = (uint16_t)(mid + 1);
		else
			hi = mid;
	}
	return lo;
}

bool spi_watch_add(struct spi_watch *w, const struct addr *vip, const struct addr *peer)
{
	require(w->n_known == 0); /* they name pairs by number */
	if (vip->af != peer->af || !addr_len(vip->af))
		return false;
	uint16_t i = pair_at(w, vip, peer);
	if (i < w->n && pair_cmp(&w->pair[i], vip, peer) == 0)
		return true;
	if (w->n == w->cap)
		return false;
	memmove(&w->pair[i + 1], &w->pair[i], (size_t)(w->n - i) * sizeof(*w->pair));
	w->pair[i] = (struct spi_pair){ .vip = *vip, .peer = *peer, .next_ask = MONO_ZERO, .last_at = MONO_NEVER };
	w->n++;
	return true;
}

struct spi_pair *spi_watch_find(struct spi_watch *w, const struct addr *vip, const struct addr *peer)
{
	uint16_t i = pair_at(w, vip, peer);

	return i < w->n && pair_cmp(&w->pair[i], vip, peer) == 0 ? &w->pair[i] : NULL;
}

static bool vip_index(const struct spi_watch *w, const struct addr *vip, uint16_t *out)
{
	static const struct addr first; /* ADDR_NONE sorts before all */

	*out = pair_at(w, vip, &first);
	return *out < w->n && addr_eq(&w->pair[*out].vip, vip);
}

void spi_watch_active(struct spi_watch *w, struct spi_pair *p, bool active)
{
	if (p->active == active)
		return;
	p->active = active;
	p->asks = 0;
	p->next_ask = MONO_ZERO;
	w->generation++;
}

bool spi_watch_any(const struct spi_watch *w, uint8_t af)
{
	for (uint16_t i = 0; i < w->n; i++)
		if (w->pair[i].active && w->pair[i].vip.af == af)
			return true;
	return false;
}

void spi_watch_open(struct spi_watch *w, mono_t now)
{
	if (!spi_watch_wanted(w, now))
		w->openings++;
	w->open_until = mono_add(now, SPI_OPEN_NS);
}

bool spi_watch_wanted(const struct spi_watch *w, mono_t now)
{
	return mono_before(now, w->open_until);
}

/* ---- known SPIs ---- */

static uint32_t known_at(const struct spi_watch *w, uint32_t spi, uint16_t vip)
{
	uint32_t lo = 0, hi = w->n_known;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		const struct spi_known *k = &w->known[mid];
		if (k->spi < spi || (k->spi == spi && k->vip < vip))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_known(const struct spi_watch *w, uint32_t spi, uint16_t vip)
{
	uint32_t i = known_at(w, spi, vip);

	return i < w->n_known && w->known[i].spi == spi && w->known[i].vip == vip;
}

bool spi_watch_knows(const struct spi_watch *w, const struct addr *vip, uint32_t spi)
{
	uint16_t v;

	return vip_index(w, vip, &v) && is_known(w, spi, v);
}

static void drop_known(struct spi_watch *w, uint32_t i)
{
	memmove(&w->known[i], &w->known[i + 1], (size_t)(w->n_known - i - 1) * sizeof(*w->known));
	w->n_known--;
	w->generation++;
}

static void drop_oldest(struct spi_watch *w)
{
	uint32_t oldest = 0;

	for (uint32_t i = 1; i < w->n_known; i++)
		if (mono_before(w->known[i].seen, w->known[oldest].seen))
			oldest = i;
	drop_known(w, oldest);
	w->evicted++;
}

void spi_watch_learn(struct spi_watch *w, const struct addr *vip, uint32_t spi, mono_t now)
{
	uint16_t v;

	if (spi < SPI_FIRST || !w->cap_known || !vip_index(w, vip, &v))
		return;
	if (is_known(w, spi, v)) {
		w->known[known_at(w, spi, v)].seen = now;
		return;
	}
	if (w->n_known == w->cap_known)
		drop_oldest(w);
	uint32_t i = known_at(w, spi, v);
	memmove(&w->known[i + 1], &w->known[i], (size_t)(w->n_known - i) * sizeof(*w->known));
	w->known[i] = (struct spi_known){ .spi = spi, .vip = v, .seen = now };
	w->n_known++;
	w->generation++;
}

/* Keeps what is to stay; one pass. */
static void keep(struct spi_watch *w, bool by_age, uint16_t vip, mono_t now)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n_known; i++) {
		const struct spi_known *k = &w->known[i];
		bool goes = by_age ? mono_due(mono_add(k->seen, SPI_KEEP_NS), now) : k->vip == vip;
		if (!goes)
			w->known[n++] = *k;
	}
	if (n != w->n_known)
		w->generation++;
	w->n_known = n;
}

void spi_watch_forget(struct spi_watch *w, const struct addr *vip)
{
	uint16_t v;

	if (vip_index(w, vip, &v))
		keep(w, false, v, MONO_ZERO);
}

void spi_watch_expire(struct spi_watch *w, mono_t now)
{
	if (mono_before(now, mono_add(w->expired, EXPIRE_GAP)))
		return;
	w->expired = now;
	keep(w, true, 0, now);
}

/* ---- packets ---- */

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static enum spi_verdict parse_esp(const uint8_t *p, size_t len, struct spi_pkt *out)
{
	if (len < SPI_HEAD_LEN)
		return SPI_DROP_SHORT;
	out->spi = be32(p);
	return out->spi < SPI_FIRST ? SPI_DROP_RESERVED : SPI_KNOWN;
}

/* RFC 3948 2: a zero word is the marker of IKE, one byte 0xff a keepalive; anything else is ESP. */
static enum spi_verdict parse_udp(const uint8_t *p, size_t len, struct spi_pkt *out)
{
	if (len < UDP_HEAD_LEN)
		return SPI_DROP_SHORT;
	if (be16(p + 2) != SPI_NAT_PORT)
		return SPI_DROP_PORT;
	/* What was cut off behind the sequence number is of no interest, the length field tells what was sent. */
	uint16_t told = be16(p + 4);
	if (told < UDP_HEAD_LEN)
		return SPI_DROP_SHORT;
	if (told - UDP_HEAD_LEN <= SPI_HEAD_LEN)
		return SPI_DROP_KEEPALIVE;
	if (len < UDP_HEAD_LEN + SPI_HEAD_LEN)
		return SPI_DROP_SHORT;
	if (be32(p + UDP_HEAD_LEN) == 0)
		return SPI_DROP_IKE;
	return parse_esp(p + UDP_HEAD_LEN, len - UDP_HEAD_LEN, out);
}

enum spi_verdict spi_parse_v4(const void *data, size_t len, struct spi_pkt *out)
{
	const uint8_t *p = data;

	*out = (struct spi_pkt){ .spi = 0 };
	if (len < 20)
		return SPI_DROP_SHORT;
	size_t head = (size_t)(p[0] & 0x0f) * 4;
	if (p[0] >> 4 != 4 || head < 20)
		return SPI_DROP_VERSION;
	if (len < head)
		return SPI_DROP_SHORT;
	if (be16(p + 6) & 0x3fff) /* more fragments, or an offset */
		return SPI_DROP_FRAGMENT;
	out->src = addr_from_bytes(ADDR_V4, p + 12);
	out->dst = addr_from_bytes(ADDR_V4, p + 16);
	out->udp = p[9] == IPPROTO_UDP;
	if (p[9] == IPPROTO_ESP)
		return parse_esp(p + head, len - head, out);
	return out->udp ? parse_udp(p + head, len - head, out) : SPI_DROP_PROTO;
}

enum spi_verdict spi_parse_v6(const void *data, size_t len, bool udp, struct spi_pkt *out)
{
	out->udp = udp;
	return udp ? parse_udp(data, len, out) : parse_esp(data, len, out);
}

void spi_watch_drop(struct spi_watch *w, enum spi_verdict why)
{
	require((unsigned)why < SPI_VERDICT_N);
	w->count[why]++;
}

static bool take_token(struct spi_watch *w, mono_t now)
{
	int64_t more = mono_sub(now, w->refilled) / (NS_PER_SEC / (SPI_ASK_RATE * TOKEN));

	if (more > 0) {
		w->tokens = w->tokens + more < SPI_ASK_BURST * TOKEN ? w->tokens + more : SPI_ASK_BURST * TOKEN;
		w->refilled = now;
	}
	if (w->tokens < TOKEN)
		return false;
	w->tokens -= TOKEN;
	return true;
}

static enum spi_verdict judge_unknown(struct spi_watch *w, struct spi_pair *p, uint32_t spi, mono_t now)
{
	if (!mono_is_never(p->last_at) && mono_sub(now, p->last_at) >= SPI_CALM_NS)
		p->asks = 0;
	p->unknown++;
	p->last_at = now;
	p->last_spi = spi;
	if (mono_before(now, p->next_ask))
		return SPI_QUIET;
	if (!take_token(w, now))
		return SPI_SPENT;
	p->next_ask = mono_add(now, pause_ns[p->asks < N_PAUSE ? p->asks : N_PAUSE - 1]);
	if (p->asks < N_PAUSE)
		p->asks++;
	p->asked++;
	return SPI_ASK;
}

void spi_watch_later(struct spi_watch *w, struct spi_pair *p, mono_t at)
{
	p->asks = 0;
	p->next_ask = at;
	p->asked--;
	w->tokens += TOKEN;
}

enum spi_verdict spi_watch_packet(struct spi_watch *w, const struct spi_pkt *pkt, mono_t now, struct spi_pair **pair)
{
	uint16_t v;
	enum spi_verdict r = SPI_NOT_OURS;

	*pair = NULL;
	if (vip_index(w, &pkt->dst, &v)) {
		struct spi_pair *p = spi_watch_find(w, &pkt->dst, &pkt->src);
		if (is_known(w, pkt->spi, v))
			r = SPI_KNOWN;
		else if (!p)
			r = w->pair[v].active ? SPI_STRANGER : SPI_NOT_OURS;
		else if (p->active)
			r = judge_unknown(w, p, pkt->spi, now);
		*pair = r == SPI_ASK || r == SPI_QUIET ? p : NULL;
	}
	w->count[r]++;
	return r;
}
