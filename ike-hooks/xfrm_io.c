#include "ike-hooks/xfrm_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "ike-hooks/xfrm_sock.h"

#define RECV_BUF        (64u * 1024u)
#define PASSES_MAX      8
#define SAS_PER_PASS    4096u /* more are found by the next pass: what was deleted is no longer listed */
#define DELETES_AT_ONCE 64u
#define NO_ANSWER       1 /* no error code of the kernel */

enum phase { PH_START = 0, PH_DUMP_FROM, PH_DUMP_TO, PH_DELETE, PH_DONE };

struct xfrm_scan {
	struct xfrm_filter filter;
	const struct sa_bridges *spare;
	bool dry;
	enum phase phase;
	struct xfrm_sock sock;
	uint32_t dump_seq;
	bool begun;
	mono_t from, until;
	struct xfrm_sa *list;
	uint32_t n, cap, next;  /* next: of the list, to be deleted */
	uint32_t failed_before; /* when this pass began */
	bool repeat;            /* the table changed during the dump, or the list was full */
	uint8_t *buf;
	struct xfrm_sweep_result out;
};

static void keep(struct xfrm_scan *s, const struct xfrm_sa *sa)
{
	if (!xfrm_selected(sa, &s->filter) || sa_bridge_holds(s->spare, sa)) {
		s->out.other++;
		return;
	}
	/* Both ends may be the VIP: the second dump finds it again. */
	for (uint32_t i = s->n; i-- > 0 && addr_eq(&sa->src, &sa->dst);)
		if (s->list[i].spi == sa->spi && s->list[i].proto == sa->proto && addr_eq(&s->list[i].dst, &sa->dst))
			return;
	bool room = s->n < s->cap;
	if (room)
		s->list[s->n++] = *sa;
	else
		s->repeat = true;
	/* What a sweep has no room for is counted when a later pass lists it. */
	s->out.found += room || s->dry;
	s->out.larval += sa->larval && (room || s->dry);
}

static int ask_dump(struct xfrm_scan *s, bool from)
{
	uint8_t msg[XFRM_BUF_LEN];
	const struct addr *vip = &s->filter.vip, *peer = &s->filter.peer;

	s->dump_seq = ++s->sock.seq;
	size_t len = xfrm_put_dump(msg, sizeof(msg), s->dump_seq, from ? vip : peer, from ? peer : vip);
	return len ? xfrm_sock_send(&s->sock, msg, len) : -EINVAL;
}

/* One datagram of the dump. 1: there is more of it. */
static int read_dump(struct xfrm_scan *s)
{
	ssize_t n = xfrm_sock_receive(&s->sock);

	if (n < 0)
		return (int)n;
	for (size_t at = 0, used; at < (size_t)n; at += used) {
		struct xfrm_msg m;
		xfrm_get(s->buf + at, (size_t)n - at, &m, &used);
		if (used == 0)
			return -EBADMSG;
		if (m.seq != s->dump_seq)
			continue;
		s->repeat = s->repeat || m.interrupted;
		if (m.kind == XFRM_DONE || m.kind == XFRM_ACK)
			return m.error;
		if (m.kind == XFRM_OK)
			keep(s, &m.sa);
		else
			s->out.unread++;
	}
	return 1;
}

/* The kernel shows keys, too: they do not stay in the buffer. */
static int read_and_wipe(struct xfrm_scan *s)
{
	int rc = read_dump(s);

	explicit_bzero(s->buf, RECV_BUF);
	return rc;
}

static void tally(struct xfrm_sweep_result *out, const int *result, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (result[i] == 0) {
			out->deleted++;
		} else if (result[i] == -ESRCH) {
			out->gone++;
		} else if (result[i] != NO_ANSWER) {
			out->failed++;
			out->last_error = result[i];
		}
	}
}

/* The next few of the list. */
static int delete_some(struct xfrm_scan *s)
{
	uint8_t batch[DELETES_AT_ONCE * XFRM_BUF_LEN];
	int result[DELETES_AT_ONCE];
	size_t len = 0;
	unsigned k = 0;
	uint32_t first = s->sock.seq + 1;

	for (; k < DELETES_AT_ONCE && s->next < s->n; s->next++) {
		len += xfrm_put_delete(batch + len, sizeof(batch) - len, ++s->sock.seq, &s->list[s->next]);
		result[k++] = NO_ANSWER;
	}
	int rc = len ? xfrm_sock_send(&s->sock, batch, len) : -EINVAL;
	if (rc == 0)
		rc = xfrm_sock_acks(&s->sock, first, s->sock.seq, result);
	tally(&s->out, result, k);
	return rc;
}

static int begin_pass(struct xfrm_scan *s)
{
	s->out.passes++;
	s->repeat = false;
	s->n = s->next = 0;
	s->failed_before = s->out.failed;
	s->out.other = s->out.unread = 0;
	if (s->dry)
		s->out.found = s->out.larval = 0;
	s->phase = PH_DUMP_FROM;
	return ask_dump(s, true);
}

static bool pass_is_last(const struct xfrm_scan *s)
{
	if (!s->repeat || s->out.passes == PASSES_MAX)
		return true;
	/* A pass that could delete nothing would find the same again; a full list grows no longer. */
	return s->dry ? s->n == s->cap : s->out.failed - s->failed_before == s->n;
}

static int end_pass(struct xfrm_scan *s)
{
	if (!pass_is_last(s))
		return begin_pass(s);
	s->phase = PH_DONE;
	return 0;
}

/* One piece of work. 0, or the error that ends it all. */
static int step(struct xfrm_scan *s)
{
	int rc;

	switch (s->phase) {
	case PH_START:
		rc = xfrm_sock_open(&s->sock, s->buf, RECV_BUF, s->until);
		return rc ? rc : begin_pass(s);
	case PH_DUMP_FROM:
		rc = read_and_wipe(s);
		if (rc)
			return rc < 0 ? rc : 0;
		s->phase = PH_DUMP_TO;
		return ask_dump(s, false);
	case PH_DUMP_TO:
		rc = read_and_wipe(s);
		if (rc)
			return rc < 0 ? rc : 0;
		if (s->dry || s->n == 0)
			return end_pass(s);
		s->phase = PH_DELETE;
		return 0;
	case PH_DELETE:
		rc = delete_some(s);
		if (rc == 0 && s->next == s->n)
			rc = end_pass(s);
		return rc;
	case PH_DONE:
		return 0;
	}
	return -EINVAL;
}

int xfrm_scan_run(struct xfrm_scan *s, int64_t slice_ns)
{
	mono_t now = clock_mono(), end = mono_add(now, slice_ns);
	int rc = 0;

	if (!s->begun) {
		s->begun = true;
		s->from = now;
		s->until = mono_add(now, XFRM_SWEEP_NS);
	}
	while (rc == 0 && s->phase != PH_DONE) {
		rc = step(s);
		now = clock_mono();
		if (rc == 0 && s->phase != PH_DONE && mono_due(end, now))
			return 1;
	}
	s->phase = PH_DONE;
	xfrm_sock_close(&s->sock);
	if (rc)
		s->out.last_error = rc;
	s->out.took_ns = mono_sub(now, s->from);
	return rc;
}

struct xfrm_scan *xfrm_scan_new(const struct xfrm_filter *f, bool dry, uint32_t cap)
{
	bool bad = !addr_len(f->vip.af) || (addr_len(f->peer.af) && f->peer.af != f->vip.af);
	struct xfrm_scan *s = bad ? NULL : calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->filter = *f;
	s->dry = dry;
	s->sock.fd = -1;
	s->cap = cap;
	s->buf = malloc(RECV_BUF);
	s->list = calloc(cap ? cap : 1, sizeof(*s->list));
	if (s->buf && s->list)
		return s;
	xfrm_scan_free(s);
	return NULL;
}

void xfrm_scan_spare(struct xfrm_scan *s, const struct sa_bridges *spare)
{
	s->spare = spare;
}

const struct xfrm_sweep_result *xfrm_scan_result(const struct xfrm_scan *s)
{
	return &s->out;
}

const struct xfrm_sa *xfrm_scan_list(const struct xfrm_scan *s, uint32_t *n)
{
	*n = s->n;
	return s->list;
}

void xfrm_scan_free(struct xfrm_scan *s)
{
	if (!s)
		return;
	xfrm_sock_close(&s->sock);
	free(s->buf);
	free(s->list);
	free(s);
}

/* ---- in one go ---- */

static int at_once(const struct addr *vip, const struct addr *peer, struct xfrm_sa *list, uint32_t cap, bool dry,
		   struct xfrm_sweep_result *out)
{
	struct xfrm_filter f = { .vip = *vip };
	uint32_t n;

	memset(out, 0, sizeof(*out));
	if (peer)
		f.peer = *peer;
	if (!addr_len(vip->af) || (addr_len(f.peer.af) && f.peer.af != vip->af))
		return out->last_error = -EINVAL;
	struct xfrm_scan *s = xfrm_scan_new(&f, dry, cap);
	if (!s)
		return out->last_error = -ENOMEM;
	int rc = xfrm_scan_run(s, XFRM_SWEEP_NS);
	if (rc == 1) /* the deadline of the whole and of the slice are one: the next look says so */
		rc = xfrm_scan_run(s, XFRM_SWEEP_NS);
	*out = s->out;
	const struct xfrm_sa *found = xfrm_scan_list(s, &n);
	if (dry && n)
		memcpy(list, found, n * sizeof(*list));
	xfrm_scan_free(s);
	return rc;
}

int xfrm_sweep(const struct addr *vip, struct xfrm_sweep_result *out)
{
	return at_once(vip, NULL, NULL, SAS_PER_PASS, false, out);
}

int xfrm_sweep_pair(const struct addr *vip, const struct addr *peer, struct xfrm_sweep_result *out)
{
	return at_once(vip, peer, NULL, SAS_PER_PASS, false, out);
}

int xfrm_list(const struct addr *vip, const struct addr *peer, struct xfrm_sa *list, uint32_t cap,
	      struct xfrm_sweep_result *out)
{
	return at_once(vip, peer, list, cap, true, out);
}
