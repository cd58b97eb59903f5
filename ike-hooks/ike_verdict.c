#include "ike-hooks/ike_verdict.h"

#include <stdio.h>
#include <string.h>

static const char *const why_text[] = {
#define IKE_TEXT(name, why, change) [name] = why,
	IKE_VERDICT_TABLE(IKE_TEXT)
#undef IKE_TEXT
};
static const char *const change_text[] = {
#define IKE_TEXT(name, why, change) [name] = change,
	IKE_VERDICT_TABLE(IKE_TEXT)
#undef IKE_TEXT
};

/* Wanted, and not up. */
static enum ike_verdict not_up(const struct ike_verdict_in *in)
{
	const struct ike_tunnel *t = in->tunnel;

	switch (t->state) {
	case IKE_PURGING:
		return t->fails ? IKE_V_NO_ANSWER : IKE_V_PURGING;
	case IKE_CHECKING:
		return IKE_V_CHECKING;
	case IKE_WAITING:
		return IKE_V_WAITING;
	case IKE_QUEUED:
		return IKE_V_QUEUED;
	case IKE_CLOSING:
		return IKE_V_PURGING;
	case IKE_FAILED:
	case IKE_INITIATING:
		break;
	case IKE_ABSENT:
	case IKE_IDLE:
	case IKE_UP:
	case IKE_STATE_N:
		return IKE_V_INITIATING;
	}
	if (t->state == IKE_INITIATING && !t->fails)
		return IKE_V_INITIATING;
	if (t->why == IKE_WHY_REFUSED && in->error && *in->error)
		return IKE_V_REFUSED;
	return in->established || t->ike_up ? IKE_V_CHILD_FAILS : IKE_V_NO_ANSWER;
}

enum ike_verdict ike_verdict(const struct ike_verdict_in *in)
{
	const struct ike_tunnel *t = in->tunnel;

	if (t->conf.backend == IKE_BACKEND_NONE)
		return IKE_V_NONE;
	if (!t->backend)
		return in->stopped ? IKE_V_STOPPED : IKE_V_ABSENT;
	if (!t->active)
		return in->sa && !t->conf.warm ? IKE_V_PASSIVE_SA : IKE_V_PASSIVE_NOW;
	if (in->listed && !in->has_conn)
		return IKE_V_NO_CONN;
	if (in->listed && !in->has_child)
		return IKE_V_NO_CHILD;
	if (in->sa && in->elsewhere)
		return IKE_V_MOVED;
	if (t->state == IKE_UP)
		return t->dpd.told ? IKE_V_DEAD : IKE_V_UP;
	return not_up(in);
}

static const char *value_of(char c, const struct ike_verdict_in *in, char *buf)
{
	const struct ike_tunnel_conf *t = &in->tunnel->conf;

	switch (c) {
	case 'P':
		return t->peer.af ? addr_text(&t->peer, buf) : "the peer";
	case 'V':
		return addr_text(&t->vip, buf);
	case 'C':
		return t->ike;
	case 'K':
		return t->child;
	case 'T':
		return t->name;
	case 'G':
		return in->group ? in->group : "";
	case 'E':
		return in->error ? in->error : "";
	default:
		return "%";
	}
}

static char *fill(const char *text, const struct ike_verdict_in *in, char *buf, size_t size)
{
	char value[ADDR_TEXT_MAX];
	size_t n = 0;

	for (; *text && n + 1 < size; text++) {
		if (*text != '%') {
			buf[n++] = *text;
			continue;
		}
		int add = snprintf(buf + n, size - n, "%s", value_of(*++text, in, value));
		n += add < (int)(size - n) ? (size_t)add : size - n - 1;
	}
	buf[n] = '\0';
	return buf;
}

char *ike_verdict_why(enum ike_verdict v, const struct ike_verdict_in *in, char *buf, size_t size)
{
	return fill(why_text[v], in, buf, size);
}

char *ike_verdict_change(enum ike_verdict v, const struct ike_verdict_in *in, char *buf, size_t size)
{
	return fill(change_text[v], in, buf, size);
}
