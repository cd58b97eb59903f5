#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "sync/peer_hello.h"
#include "sync/sync_wire.h"

void peer_hello_make(const struct peer_self *self, const struct sync_conf *conf, bool data, struct peer_msg *out)
{
	memset(out, 0, sizeof(*out));
	out->type = PEER_HELLO;
	out->epoch = self->epoch_max;
	struct peer_hello *h = &out->hello;
	h->version_min = h->version_max = SYNC_WIRE_VERSION;
	h->features = (conf->replicate ? PEER_FEATURE_SESSIONS : 0) | PEER_FEATURE_FACTS | PEER_FEATURE_SA;
	h->node = self->node;
	h->boot_nonce = self->boot_nonce;
	snprintf(h->cluster, sizeof(h->cluster), "%s", conf->cluster);
	h->record_max = data ? SYNC_DATA_MAX : SYNC_CTL_MAX;
	h->epoch_max = self->epoch_max;
	memcpy(h->digest_key, self->digest_key, sizeof(h->digest_key));
	memcpy(h->config_digest, self->config_digest, sizeof(h->config_digest));
	h->data = data;
}

enum peer_why peer_hello_check(const struct peer_hello *h, const struct sync_conf *conf, uint32_t expected, bool data,
			       char *text, size_t cap)
{
	text[0] = '\0';
	if (h->version_min > SYNC_WIRE_VERSION || h->version_max < SYNC_WIRE_VERSION) {
		snprintf(text, cap, "versions %u..%u are spoken by node %" PRIu32 ", %u by node %" PRIu32,
			 h->version_min, h->version_max, h->node, SYNC_WIRE_VERSION, conf->self);
		return PEER_WHY_VERSION;
	}
	if (strcmp(h->cluster, conf->cluster) != 0) {
		snprintf(text, cap, "cluster '%s' of node %" PRIu32 " is not '%s'", h->cluster, h->node, conf->cluster);
		return PEER_WHY_CLUSTER;
	}
	if (h->node == conf->self) {
		snprintf(text, cap, "id %" PRIu32 " is used by two nodes", h->node);
		return PEER_WHY_OWN_ID;
	}
	if (h->node != expected) {
		snprintf(text, cap, "node %" PRIu32 " authenticated itself as node %" PRIu32, h->node, expected);
		return PEER_WHY_UNKNOWN_NODE;
	}
	if (h->data != data) {
		snprintf(text, cap, "a %s hello on a %s connection", h->data ? "data" : "ctl", data ? "data" : "ctl");
		return PEER_WHY_MALFORMED;
	}
	return PEER_WHY_UP;
}

void peer_close_make(struct peer_msg *out, enum peer_why why, const char *text)
{
	memset(out, 0, sizeof(*out));
	out->type = PEER_CLOSE;
	out->reason = (uint8_t)why;
	snprintf(out->text, sizeof(out->text), "%s", text);
}

enum peer_why peer_close_why(const struct peer_msg *m)
{
	return m->reason > PEER_WHY_UP && m->reason < PEER_WHY_N ? (enum peer_why)m->reason : PEER_WHY_CLOSED;
}

bool peer_window_new(struct peer_window *w, uint64_t seq)
{
	if (seq > w->top) {
		uint64_t step = seq - w->top;
		w->seen = step < 64 ? w->seen << step | 1 : 1;
		w->top = seq;
		return true;
	}
	uint64_t back = w->top - seq;
	if (back >= 64 || (w->seen >> back & 1) != 0)
		return false;
	w->seen |= UINT64_C(1) << back;
	return true;
}

int64_t peer_retry_next(struct peer_retry *r)
{
	int64_t d = r->delay_ns == 0 ? PEER_RETRY_MIN_NS : 2 * r->delay_ns;
	r->delay_ns = d < PEER_RETRY_MAX_NS ? d : PEER_RETRY_MAX_NS;
	r->random = r->random * 1664525u + 1013904223u;
	return r->delay_ns - r->delay_ns / 4 * (int64_t)(r->random >> 16) / 65536;
}
