#include "ike-hooks/vici_detail.h"

#include <stdio.h>
#include <string.h>

void vici_detail_begin(struct vici_detail_rd *r, const void *msg, size_t len)
{
	memset(r, 0, sizeof(*r));
	vici_rd_init(&r->rd, msg, len);
}

#define TEXT(r, field) vici_value_text(&(r)->rd, (field), sizeof(field))

/* For people: not a byte that JSON could not carry. One that does not fit cannot be one of ours, and is empty. */
static void name_value(const struct vici_rd *r, char *out)
{
	memset(out, 0, IKE_NAME_MAX);
	if (r->value_len < IKE_NAME_MAX)
		vici_value_text(r, out, IKE_NAME_MAX);
}

/* Joins parts of an algorithm: "-" before a key length, "/" before anything else. */
static void alg_add(char *out, const struct vici_rd *r, char before)
{
	char text[VICI_ALG_MAX];
	size_t n = strlen(out);

	vici_value_text(r, text, sizeof(text));
	if (*text && n + 1 < VICI_ALG_MAX) {
		if (n)
			out[n++] = before;
		snprintf(out + n, VICI_ALG_MAX - n, "%s", text);
	}
}

/* Keys that both levels have in the same order and form. True: taken. */
static bool alg_key(char *out, const struct vici_rd *r)
{
	if (strcmp(r->name, "encr-alg") == 0 || strcmp(r->name, "integ-alg") == 0 || strcmp(r->name, "prf-alg") == 0 ||
	    strcmp(r->name, "dh-group") == 0)
		alg_add(out, r, '/');
	else if (strcmp(r->name, "encr-keysize") == 0)
		alg_add(out, r, '-');
	else
		return false;
	return true;
}

static void addr_value(const struct vici_rd *r, struct addr *out)
{
	char text[64];

	vici_value_text(r, text, sizeof(text));
	text[strcspn(text, "%")] = '\0'; /* a zone */
	if (!addr_parse(text, out))
		*out = (struct addr){ .af = ADDR_NONE };
}

static uint16_t port_value(const struct vici_rd *r)
{
	uint64_t v = vici_value_u64(r);

	return v > UINT16_MAX ? 0 : (uint16_t)v;
}

static void ike_key(struct vici_detail_rd *r)
{
	const char *key = r->rd.name;
	struct vici_ike_sa *s = &r->d.ike;

	if (alg_key(s->algorithms, &r->rd))
		return;
	if (strcmp(key, "uniqueid") == 0)
		s->id = (uint32_t)vici_value_u64(&r->rd);
	else if (strcmp(key, "version") == 0)
		s->version = (uint8_t)vici_value_u64(&r->rd);
	else if (strcmp(key, "state") == 0)
		TEXT(r, s->state);
	else if (strcmp(key, "local-host") == 0)
		addr_value(&r->rd, &s->local);
	else if (strcmp(key, "remote-host") == 0)
		addr_value(&r->rd, &s->remote);
	else if (strcmp(key, "local-port") == 0)
		s->local_port = port_value(&r->rd);
	else if (strcmp(key, "remote-port") == 0)
		s->remote_port = port_value(&r->rd);
	else if (strcmp(key, "local-id") == 0)
		TEXT(r, s->local_id);
	else if (strcmp(key, "remote-id") == 0)
		TEXT(r, s->remote_id);
	else if (strcmp(key, "initiator") == 0)
		s->initiator = vici_value_is(&r->rd, "yes");
	else if (strncmp(key, "nat-", 4) == 0)
		s->nat = s->nat || vici_value_is(&r->rd, "yes");
	else if (strcmp(key, "established") == 0)
		s->established_s = vici_value_u64(&r->rd);
	else if (strcmp(key, "rekey-time") == 0)
		s->rekey_s = vici_value_u64(&r->rd);
	else if (strcmp(key, "reauth-time") == 0)
		s->reauth_s = vici_value_u64(&r->rd);
}

static void child_counter(struct vici_child_sa *c, const struct vici_rd *r)
{
	const struct {
		const char *key;
		uint64_t *to;
	} t[] = { { "bytes-in", &c->bytes_in },        { "bytes-out", &c->bytes_out }, { "packets-in", &c->packets_in },
		  { "packets-out", &c->packets_out },  { "use-in", &c->use_in_s },     { "use-out", &c->use_out_s },
		  { "install-time", &c->installed_s }, { "rekey-time", &c->rekey_s },  { "life-time", &c->life_s } };

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (strcmp(r->name, t[i].key) == 0)
			*t[i].to = vici_value_u64(r);
	}
	c->used_in = c->used_in || strcmp(r->name, "use-in") == 0;
	c->used_out = c->used_out || strcmp(r->name, "use-out") == 0;
}

static void child_key(struct vici_detail_rd *r)
{
	const char *key = r->rd.name;
	struct vici_child_sa *c = &r->d.child;

	if (alg_key(c->algorithms, &r->rd))
		return;
	if (strcmp(key, "name") == 0)
		name_value(&r->rd, c->name);
	else if (strcmp(key, "uniqueid") == 0)
		c->id = (uint32_t)vici_value_u64(&r->rd);
	else if (strcmp(key, "reqid") == 0)
		c->reqid = (uint32_t)vici_value_u64(&r->rd);
	else if (strcmp(key, "state") == 0)
		TEXT(r, c->state);
	else if (strcmp(key, "mode") == 0)
		TEXT(r, c->mode);
	else if (strcmp(key, "protocol") == 0)
		TEXT(r, c->protocol);
	else if (strcmp(key, "encap") == 0)
		c->encap = vici_value_is(&r->rd, "yes");
	else if (strcmp(key, "spi-in") == 0)
		c->spi_in = vici_value_hex32(&r->rd);
	else if (strcmp(key, "spi-out") == 0)
		c->spi_out = vici_value_hex32(&r->rd);
	else
		child_counter(c, &r->rd);
}

static void section_begins(struct vici_detail_rd *r)
{
	switch (r->rd.depth) {
	case 1:
		memset(&r->d, 0, sizeof(r->d));
		vici_name_copy(r->d.ike.name, sizeof(r->d.ike.name), r->rd.name);
		r->any_child = r->in_kids = false;
		break;
	case 2:
		r->in_kids = strcmp(r->rd.name, "child-sas") == 0;
		break;
	case 3:
		if (r->in_kids)
			memset(&r->d.child, 0, sizeof(r->d.child));
		break;
	default:
		break;
	}
}

static void item(struct vici_detail_rd *r)
{
	char text[64];
	size_t n;

	if (!r->list)
		return;
	vici_value_text(&r->rd, text, sizeof(text));
	n = strlen(r->list);
	snprintf(r->list + n, VICI_TS_MAX - n, "%s%s", n ? " " : "", text);
}

/* True when a row is complete. */
static bool section_ended(struct vici_detail_rd *r)
{
	if (r->rd.depth == 2 && r->in_kids) {
		r->any_child = r->d.has_child = true;
		return true;
	}
	if (r->rd.depth == 1)
		r->in_kids = false;
	if (r->rd.depth != 0 || r->any_child)
		return false;
	r->d.has_child = false;
	return true;
}

bool vici_detail_next(struct vici_detail_rd *r, struct vici_detail *out)
{
	for (;;) {
		switch (vici_next(&r->rd)) {
		case VICI_T_SECTION:
			section_begins(r);
			break;
		case VICI_T_SECTION_END:
			if (!section_ended(r))
				break;
			*out = r->d;
			return true;
		case VICI_T_KEY:
			if (r->rd.depth == 1)
				ike_key(r);
			else if (r->rd.depth == 3 && r->in_kids)
				child_key(r);
			break;
		case VICI_T_LIST:
			r->list = NULL;
			if (r->rd.depth == 3 && r->in_kids && strcmp(r->rd.name, "local-ts") == 0)
				r->list = r->d.child.local_ts;
			else if (r->rd.depth == 3 && r->in_kids && strcmp(r->rd.name, "remote-ts") == 0)
				r->list = r->d.child.remote_ts;
			break;
		case VICI_T_ITEM:
			item(r);
			break;
		case VICI_T_LIST_END:
			r->list = NULL;
			break;
		case VICI_T_END:
		case VICI_T_BAD:
			return false;
		}
	}
}

bool vici_detail_floated(const struct vici_ike_sa *sa)
{
	return sa->version == 2 && sa->initiator && !sa->nat && sa->local_port == 4500;
}
