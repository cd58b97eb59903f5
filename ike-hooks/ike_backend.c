/*
 * Lists take the place of events where an IKE daemon tells none. After an initiate they come quickly, because the first
 * one that shows the child ends the outage that is counted; a program never gets more than a third of the time, however
 * slow it is.
 */
#include "ike-hooks/ike_backend.h"

#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"

#define FAST_NS     (10 * NS_PER_MS)  /* first list after an initiate */
#define FAST_MAX_NS (200 * NS_PER_MS) /* then each a little later */
#define FAST_FOR_NS (6 * NS_PER_SEC)  /* a little longer than the machine waits for one attempt */

#define CAN_ALL                                                                                    \
	(1u << IKE_VERB_PROBE | 1u << IKE_VERB_LIST | 1u << IKE_VERB_DROP | 1u << IKE_VERB_CLOSE | \
	 1u << IKE_VERB_INITIATE | 1u << IKE_VERB_REKEY)

static const char *const verb_name[] = {
#define IKE_TEXT(name, text) [name] = text,
	IKE_VERB_TABLE(IKE_TEXT)
#undef IKE_TEXT
};

static const struct ike_backend_info table[] = {
	[IKE_BACKEND_VICI] = { .name = "vici", .what = "strongSwan", .can = CAN_ALL, .learn = IKE_LEARN_EVENTS },
	[IKE_BACKEND_LIBRESWAN] = { .name = "libreswan",
				    .what = "libreswan",
				    .can = CAN_ALL,
				    .learn = IKE_LEARN_POLL,
				    .one_list = true,
				    .counts_bytes = true,
				    .poll_ns = 2 * NS_PER_SEC,
				    .retry_ns = 1 * NS_PER_SEC,
				    .timeout_ns = 900 * NS_PER_MS },
	[IKE_BACKEND_EXEC] = { .name = "exec",
			       .what = "a program",
			       .can = CAN_ALL,
			       .learn = IKE_LEARN_POLL,
			       .poll_ns = 10 * NS_PER_SEC,
			       .retry_ns = 5 * NS_PER_SEC },
	[IKE_BACKEND_NONE] = { .name = "none", .what = "no IKE daemon", .learn = IKE_LEARN_NOTHING },
};

const char *ike_verb_name(enum ike_verb v)
{
	return (unsigned)v < IKE_VERB_N ? verb_name[v] : "?";
}

const struct ike_backend_info *ike_backend_info(enum ike_backend b)
{
	require((unsigned)b < sizeof(table) / sizeof(table[0]));
	return &table[b];
}

bool ike_backend_can(enum ike_backend b, enum ike_verb v)
{
	return (unsigned)v < IKE_VERB_N && ike_backend_info(b)->can & 1u << v;
}

/* ---- libreswan ---- */

void ike_whack_words(enum ike_verb v, const char *whack, const char *ctl, const char *connection, bool rekey_child,
		     const char *words[IKE_WHACK_WORDS])
{
	unsigned n = 0;

	words[n++] = whack;
	words[n++] = "--ctlsocket";
	words[n++] = ctl;
	switch (v) {
	case IKE_VERB_PROBE:
	case IKE_VERB_LIST:
	case IKE_VERB_N:
		words[n++] = "--trafficstatus";
		words[n] = NULL;
		return;
	case IKE_VERB_DROP:
	case IKE_VERB_CLOSE:
		words[n++] = "--terminate";
		break;
	case IKE_VERB_INITIATE:
		words[n++] = "--listen";
		words[n++] = "--initiate";
		words[n++] = "--asynchronous";
		break;
	case IKE_VERB_REKEY:
		words[n++] = rekey_child ? "--rekey-child" : "--rekey-ipsec";
		words[n++] = "--asynchronous";
		break;
	}
	words[n++] = "--name";
	words[n++] = connection;
	words[n] = NULL;
	require(n < IKE_WHACK_WORDS);
}

/* Codes from 20 to 99 are errors, and are whack's exit status (libreswan, enum rc_type); 21: no such connection. */
#define WHACK_UNKNOWN_NAME 21

bool ike_whack_ok(enum ike_verb v, int status)
{
	return status == 0 || (status == WHACK_UNKNOWN_NAME && (v == IKE_VERB_DROP || v == IKE_VERB_CLOSE));
}

unsigned ike_whack_major(const char *version)
{
	const char *p = strpbrk(version, "0123456789");
	unsigned long n = p ? strtoul(p, NULL, 10) : 0;

	return n < 1000 ? (unsigned)n : 0;
}

/* ---- what lists say ---- */

void ike_watch_init(struct ike_watch *w)
{
	*w = (struct ike_watch){ .begun = MONO_NEVER, .changed = MONO_ZERO };
}

void ike_watch_verb(struct ike_watch *w, enum ike_verb v, bool ok, mono_t now)
{
	switch (v) {
	case IKE_VERB_DROP:
	case IKE_VERB_CLOSE:
		/* What a list shows from now on came up again. After a failure it may be the old one: that must not count. */
		if (ok)
			w->up = false;
		w->begun = MONO_NEVER;
		w->changed = now;
		return;
	case IKE_VERB_INITIATE:
		w->begun = ok ? now : MONO_NEVER;
		w->lists = 0;
		return;
	case IKE_VERB_REKEY:
		w->begun = ok ? now : w->begun;
		w->lists = 0;
		return;
	case IKE_VERB_PROBE:
	case IKE_VERB_LIST:
	case IKE_VERB_N:
		return;
	}
}

bool ike_watch_counts(const struct ike_watch *w, mono_t began)
{
	return !mono_before(began, w->changed);
}

enum ike_watch_ev ike_watch_list(struct ike_watch *w, const struct ike_sample *s)
{
	bool was = w->up;
	uint32_t id = w->sa_id;

	w->up = s->child;
	w->sa_id = s->child ? s->sa_id : 0;
	if (s->child && (!was || id != s->sa_id))
		w->begun = MONO_NEVER;
	if (!was)
		return s->child ? IKE_WATCH_UP : IKE_WATCH_SAME;
	if (!s->child)
		return IKE_WATCH_DOWN;
	return id != s->sa_id ? IKE_WATCH_REKEY : IKE_WATCH_SAME;
}

mono_t ike_watch_next(const struct ike_watch *w, const struct ike_backend_info *b, int64_t took_ns, mono_t now)
{
	int64_t gap = b->poll_ns;

	if (!mono_is_never(w->begun) && mono_sub(now, w->begun) < FAST_FOR_NS) {
		gap = FAST_NS * (1 + (int64_t)w->lists / 4);
		gap = gap < FAST_MAX_NS ? gap : FAST_MAX_NS;
	}
	return mono_add(now, gap > 2 * took_ns ? gap : 2 * took_ns);
}
