#include "ike-hooks/sa_io.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "ike-hooks/xfrm_sa.h"
#include "ike-hooks/xfrm_sock.h"
#include "ike-hooks/xfrm_wire.h"

#define AT_ONCE    24u /* messages in one send: their acknowledgements must fit into the socket's buffer */
#define LISTINGS   4u  /* of a table that changes all the time */
#define PRINT_AT   (SA_ROOM_SIZE - SA_RECORD_MAX)
#define HINTS_READ 64u

_Static_assert(sizeof(struct sa_copy) <= SA_ROOM_SIZE, "one copy fits into the room");
_Static_assert(AT_ONCE *XFRM_SA_MSG_MAX <= SA_ROOM_SIZE, "a batch fits into the room");

static int begin(struct xfrm_sock *s, uint8_t *room)
{
	return xfrm_sock_open(s, room, PRINT_AT, mono_add(clock_mono(), SA_SCAN_NS));
}

static void end(struct xfrm_sock *s)
{
	xfrm_sock_close(s);
	explicit_bzero(s->buf, SA_ROOM_SIZE);
}

/* ---- listing ---- */

int sa_pair_cmp(const void *a, const void *b)
{
	const struct sa_pair *x = a, *y = b;
	int c = addr_cmp(&x->vip, &y->vip);

	return c ? c : addr_cmp(&x->peer, &y->peer);
}

static bool wanted(const struct sa_scan *s, const struct sa_copy *sa)
{
	struct sa_pair exact = { .vip = sa->dst, .peer = sa->src }, any = { .vip = sa->dst };

	return bsearch(&exact, s->pairs, s->n_pairs, sizeof(exact), sa_pair_cmp) ||
	       bsearch(&any, s->pairs, s->n_pairs, sizeof(any), sa_pair_cmp);
}

static void list_one(struct sa_scan *s, const uint8_t *msg, size_t len)
{
	struct sa_copy *sa = &s->list[s->n];

	if (s->n == s->cap) {
		s->drops[SA_DROP_FULL]++;
		return;
	}
	enum sa_drop d = xfrm_sa_get(msg, len, clock_wall_us() / 1000000, sa);
	if (d == SA_OK && !wanted(s, sa)) {
		sa_wipe(sa);
		return;
	}
	/* What cannot be copied carries packets all the same: it counts when bridges are judged. */
	if (d != SA_OK && (!sa->spi || !wanted(s, sa))) {
		sa_wipe(sa);
		return;
	}
	sa->bridge = s->bridges && sa_bridge_is(s->bridges, sa);
	if (d != SA_OK && !sa->bridge)
		s->drops[d]++;
	if (d == SA_OK)
		sa_fingerprint(sa, s->print_key, s->room + PRINT_AT);
	s->n++;
}

/* 1: more of this answer follows. */
static int list_datagram(struct sa_scan *s, const struct xfrm_sock *nl, size_t len)
{
	for (size_t at = 0, used; at < len; at += used) {
		struct xfrm_msg m;
		xfrm_get(nl->buf + at, len - at, &m, &used);
		if (used == 0)
			return -EBADMSG;
		if (m.seq != nl->seq)
			continue;
		s->repeat = s->repeat || m.interrupted;
		if (m.kind == XFRM_DONE || m.kind == XFRM_ACK)
			return m.error;
		if (m.kind != XFRM_DROP_TYPE)
			list_one(s, nl->buf + at, used);
	}
	return 1;
}

static int list_vip(struct sa_scan *s, struct xfrm_sock *nl, const struct addr *vip)
{
	uint8_t msg[XFRM_BUF_LEN];
	struct addr any = { .af = ADDR_NONE };
	size_t len = xfrm_put_dump(msg, sizeof(msg), ++nl->seq, &any, vip);
	int rc = len ? xfrm_sock_send(nl, msg, len) : -EINVAL;

	for (rc = rc ? rc : 1; rc == 1;) {
		ssize_t n = xfrm_sock_receive(nl);
		rc = n < 0 ? (int)n : list_datagram(s, nl, (size_t)n);
	}
	return rc;
}

static void forget_list(struct sa_scan *s)
{
	for (uint16_t i = 0; i < s->n; i++)
		sa_wipe(&s->list[i]);
	s->n = 0;
	memset(s->drops, 0, sizeof(s->drops));
	s->repeat = false;
}

static int list_all(struct sa_scan *s, struct xfrm_sock *nl)
{
	int rc = 0;

	for (unsigned pass = 0; rc == 0 && pass < LISTINGS; pass++) {
		forget_list(s);
		for (unsigned i = 0; rc == 0 && i < s->n_pairs; i++)
			if (i == 0 || !addr_eq(&s->pairs[i].vip, &s->pairs[i - 1].vip))
				rc = list_vip(s, nl, &s->pairs[i].vip);
		if (!s->repeat)
			break;
	}
	return rc;
}

static void swap(struct sa_copy *a, struct sa_copy *b, struct sa_copy *scratch)
{
	*scratch = *a;
	*a = *b;
	*b = *scratch;
}

static void sift(struct sa_copy *list, uint16_t at, uint16_t n, struct sa_copy *scratch)
{
	for (uint32_t child; (child = 2u * at + 1) < n; at = (uint16_t)child) {
		if (child + 1 < n && sa_cmp(&list[child], &list[child + 1]) < 0)
			child++;
		if (sa_cmp(&list[at], &list[child]) >= 0)
			return;
		swap(&list[at], &list[child], scratch);
	}
}

/* By sa_cmp, in place: qsort would move the keys through memory of its own. */
static void sort(struct sa_copy *list, uint16_t n, struct sa_copy *scratch)
{
	for (uint16_t i = (uint16_t)(n / 2); i-- > 0;)
		sift(list, i, n, scratch);
	for (uint16_t end = n; end-- > 1;) {
		swap(&list[0], &list[end], scratch);
		sift(list, 0, end, scratch);
	}
}

/* ---- deleting ---- */

static int delete_ended(struct sa_bridges *b, struct xfrm_sock *nl)
{
	int rc = 0;

	for (uint16_t i = 0; rc == 0 && i < b->n;) {
		uint16_t of[AT_ONCE];
		int result[AT_ONCE] = { 0 };
		uint32_t first = nl->seq + 1;
		size_t len = 0;
		unsigned k = 0;
		for (; i < b->n && k < AT_ONCE; i++) {
			if (!b->list[i].ends)
				continue;
			len += xfrm_put_delete(nl->buf + len, SA_ROOM_SIZE - len, ++nl->seq, &b->list[i].sa);
			of[k++] = i;
		}
		if (!k)
			break;
		rc = xfrm_sock_send(nl, nl->buf, len);
		if (rc == 0)
			rc = xfrm_sock_acks(nl, first, nl->seq, result);
		/* ESRCH: it has ended by itself. Everything else stays on the list, and is tried again. */
		for (unsigned j = 0; j < k; j++)
			if (rc != 0 || (result[j] != 0 && result[j] != -ESRCH))
				b->list[of[j]].ends = false;
	}
	sa_bridge_ended(b);
	return rc;
}

/* Bridges of addresses that were listed are judged; then only real SAs with keys stay in the list. */
static int judge(struct sa_scan *s, struct xfrm_sock *nl)
{
	int rc = 0;

	sort(s->list, s->n, (struct sa_copy *)(void *)s->room);
	for (unsigned i = 0; s->bridges && i < s->n_pairs; i++)
		if (i == 0 || !addr_eq(&s->pairs[i].vip, &s->pairs[i - 1].vip))
			s->ended += sa_bridge_judge(s->bridges, s->list, s->n, &s->pairs[i].vip, 1, clock_mono());
	if (s->ended)
		rc = delete_ended(s->bridges, nl);
	uint16_t k = 0;
	for (uint16_t i = 0; i < s->n; i++) {
		if (s->list[i].bridge || !sa_has_keys(&s->list[i])) {
			sa_wipe(&s->list[i]);
			continue;
		}
		if (k != i) {
			s->list[k] = s->list[i];
			sa_wipe(&s->list[i]);
		}
		k++;
	}
	s->n = k;
	return rc;
}

int sa_scan(struct sa_scan *s)
{
	mono_t begun = clock_mono();
	struct xfrm_sock nl;
	int rc = begin(&nl, s->room);

	s->ended = 0;
	if (rc == 0)
		rc = list_all(s, &nl);
	if (rc == 0)
		rc = judge(s, &nl);
	else
		forget_list(s);
	end(&nl);
	s->took_ns = mono_sub(clock_mono(), begun);
	return rc;
}

/* ---- installing ---- */

static void judge_import(struct sa_import *im, const struct sa_copy *sa, int result, mono_t now)
{
	if (result == 0) {
		/* There was room: sa_import asked before it sent. */
		(void)sa_bridge_add(im->bridges, sa, now);
		im->installed++;
	} else if (result == -EEXIST) {
		im->clashed++;
	} else {
		im->failed++;
		im->last_error = result;
	}
}

static int import_some(struct sa_import *im, struct xfrm_sock *nl, uint16_t *next)
{
	uint16_t of[AT_ONCE];
	int result[AT_ONCE];
	uint32_t first = nl->seq + 1;
	size_t len = 0;
	unsigned k = 0;

	for (; *next < im->n && k < AT_ONCE; (*next)++) {
		const struct sa_copy *sa = &im->list[*next];
		size_t one = 0;
		if (im->bridges->n + k < im->bridges->cap)
			one = xfrm_sa_put(nl->buf + len, SA_ROOM_SIZE - len, nl->seq + 1, sa);
		if (!one) {
			im->over++;
			continue;
		}
		len += one;
		nl->seq++;
		of[k++] = *next;
	}
	if (!k)
		return 0;
	for (unsigned i = 0; i < k; i++)
		result[i] = ERR_TIMEOUT;
	int rc = xfrm_sock_send(nl, nl->buf, len);
	if (rc == 0)
		rc = xfrm_sock_acks(nl, first, nl->seq, result);
	for (unsigned i = 0; i < k; i++)
		judge_import(im, &im->list[of[i]], result[i], clock_mono());
	return rc;
}

int sa_import(struct sa_import *im)
{
	mono_t begun = clock_mono();
	struct xfrm_sock nl;
	uint16_t next = 0;
	int rc = begin(&nl, im->room);

	while (rc == 0 && next < im->n)
		rc = import_some(im, &nl, &next);
	end(&nl);
	if (rc)
		im->last_error = rc;
	im->took_ns = mono_sub(clock_mono(), begun);
	return rc;
}

int sa_remove(struct sa_bridges *bridges, const struct addr *vip, uint8_t *room)
{
	struct xfrm_sock nl;
	unsigned n = sa_bridge_end(bridges, vip);

	if (!n)
		return 0;
	int rc = begin(&nl, room);
	if (rc == 0)
		rc = delete_ended(bridges, &nl);
	end(&nl);
	return rc ? rc : (int)n;
}

/* ---- policies ---- */

static int list_policies(struct xfrm_sock *nl, struct xfrm_ask *asks, unsigned cap, unsigned *n)
{
	uint8_t msg[XFRM_BUF_LEN];
	size_t len = xfrm_put_policy_dump(msg, sizeof(msg), ++nl->seq);
	int rc = len ? xfrm_sock_send(nl, msg, len) : -EINVAL;

	while (rc == 0) {
		ssize_t got = xfrm_sock_receive(nl);
		if (got < 0)
			return (int)got;
		for (size_t at = 0, used; at < (size_t)got; at += used) {
			struct xfrm_msg m;
			xfrm_get(nl->buf + at, (size_t)got - at, &m, &used);
			if (used == 0)
				return -EBADMSG;
			if (m.seq != nl->seq)
				continue;
			if (m.kind == XFRM_DONE || m.kind == XFRM_ACK)
				return m.error;
			*n += xfrm_policy_asks(nl->buf + at, used, asks + *n, cap - *n);
		}
	}
	return rc;
}

int sa_policies(struct xfrm_ask *asks, unsigned cap, unsigned *n, uint8_t *room)
{
	struct xfrm_sock nl;
	int rc = begin(&nl, room);

	*n = 0;
	if (rc == 0)
		rc = list_policies(&nl, asks, cap, n);
	end(&nl);
	return rc;
}

/* ---- wake-up ---- */

struct sa_hint {
	int fd;
	struct loop_fd *lfd;
	void (*changed)(void *arg);
	void *arg;
};

static void on_hint(void *arg, int fd, unsigned events)
{
	struct sa_hint *h = arg;
	struct nlmsghdr head;
	bool any = false;

	(void)events;
	for (unsigned i = 0; i < HINTS_READ; i++) {
		ssize_t n = recv(fd, &head, sizeof(head), MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != ENOBUFS)
			break;
		any = true;
	}
	if (any)
		h->changed(h->arg);
}

struct sa_hint *sa_hint_new(struct loop *l, void (*changed)(void *arg), void *arg)
{
	/* Accept, but only so many bytes: what follows the header are keys. */
	struct sock_filter cut[] = { BPF_STMT(BPF_RET | BPF_K, sizeof(struct nlmsghdr)) };
	struct sock_fprog prog = { .len = 1, .filter = cut };
	struct sockaddr_nl local = { .nl_family = AF_NETLINK, .nl_groups = 1u << (XFRMNLGRP_SA - 1) };
	struct sa_hint *h = calloc(1, sizeof(*h));
	int err = 0;

	if (!h)
		return NULL;
	h->changed = changed;
	h->arg = arg;
	h->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_XFRM);
	if (h->fd < 0 || setsockopt(h->fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) != 0 ||
	    bind(h->fd, (const struct sockaddr *)&local, sizeof(local)) != 0)
		err = errno;
	else
		h->lfd = loop_fd_new(l, h->fd, LOOP_READ, LOOP_NORMAL, on_hint, h);
	if (h->lfd)
		return h;
	err = err ? err : errno;
	sa_hint_free(h);
	errno = err;
	return NULL;
}

void sa_hint_free(struct sa_hint *h)
{
	if (!h)
		return;
	loop_fd_free(h->lfd);
	if (h->fd >= 0)
		close(h->fd);
	free(h);
}
