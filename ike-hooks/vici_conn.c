#include "ike-hooks/vici_conn.h"

#include <string.h>
#include <strings.h>

#define VALUE_MAX 160

void vici_conn_begin(struct vici_conn_rd *r, const void *msg, size_t len)
{
	memset(r, 0, sizeof(*r));
	vici_rd_init(&r->rd, msg, len);
}

static uint32_t number(const struct vici_rd *r)
{
	uint64_t v = vici_value_u64(r);

	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

enum vici_action vici_action_of(const char *text)
{
	/* 5.9.6 and later print flags ("trap|start"); before that clear, hold, restart. */
	if (strstr(text, "start"))
		return VICI_DO_START;
	if (strstr(text, "trap") || strcmp(text, "hold") == 0)
		return VICI_DO_TRAP;
	if (strcmp(text, "none") == 0 || strcmp(text, "clear") == 0)
		return VICI_DO_NOTHING;
	return VICI_DO_UNKNOWN;
}

static enum vici_action action(const struct vici_rd *r)
{
	char text[32];

	vici_value_text(r, text, sizeof(text));
	return vici_action_of(text);
}

static enum vici_unique unique(const struct vici_rd *r)
{
	static const struct {
		const char *word;
		enum vici_unique is;
	} t[] = { { "never", VICI_UNIQUE_NEVER },
		  { "no", VICI_UNIQUE_NO },
		  { "replace", VICI_UNIQUE_REPLACE },
		  { "keep", VICI_UNIQUE_KEEP } };
	char text[32];
	const char *at = text;

	vici_value_text(r, text, sizeof(text));
	if (strncasecmp(at, "UNIQUE_", 7) == 0)
		at += 7;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (strcasecmp(at, t[i].word) == 0)
			return t[i].is;
	}
	return VICI_UNIQUE_UNKNOWN;
}

static void end_add(struct vici_ends *e, const struct vici_rd *r)
{
	char text[VALUE_MAX];
	struct addr a;
	uint8_t plen;

	vici_value_text(r, text, sizeof(text));
	if (strncmp(text, "%any", 4) == 0 || strcmp(text, "0.0.0.0/0") == 0 || strcmp(text, "::/0") == 0) {
		e->any = true;
	} else if (addr_parse_prefix(text, &a, &plen) && plen == addr_len(a.af) * 8) {
		if (e->n < VICI_CONN_ADDRS)
			e->addr[e->n++] = a;
		else if (e->other < UINT8_MAX)
			e->other++;
	} else if (*text && e->other < UINT8_MAX) {
		e->other++;
	}
}

static void section_begins(struct vici_conn_rd *r)
{
	switch (r->rd.depth) {
	case 1:
		memset(&r->c, 0, sizeof(r->c));
		vici_name_copy(r->c.name, sizeof(r->c.name), r->rd.name);
		r->in_children = r->in_remote = r->has_id = false;
		break;
	case 2:
		r->in_children = strcmp(r->rd.name, "children") == 0;
		r->in_remote = strncmp(r->rd.name, "remote", 6) == 0 && !r->has_id;
		break;
	case 3:
		if (r->in_children) {
			memset(&r->kid, 0, sizeof(r->kid));
			vici_name_copy(r->kid.name, sizeof(r->kid.name), r->rd.name);
		}
		break;
	default:
		break;
	}
}

/* True when a connection is complete. */
static bool section_ended(struct vici_conn_rd *r)
{
	struct vici_conn *c = &r->c;

	if (r->rd.depth == 2 && r->in_children) {
		if (c->n_children < VICI_CONN_CHILDREN)
			c->child[c->n_children++] = r->kid;
		else if (c->more_children < UINT16_MAX)
			c->more_children++;
	}
	if (r->rd.depth == 1)
		r->in_children = r->in_remote = false;
	if (r->rd.depth != 0)
		return false;
	c->local.any |= !c->local.n && !c->local.other;
	c->remote.any |= !c->remote.n && !c->remote.other;
	c->id_wild = !c->remote_id[0] || strchr(c->remote_id, '*') || strstr(c->remote_id, "%any");
	return true;
}

static void conn_key(struct vici_conn_rd *r)
{
	const char *key = r->rd.name;
	struct vici_conn *c = &r->c;
	char text[32];

	if (strcmp(key, "version") == 0) {
		vici_value_text(&r->rd, text, sizeof(text));
		/* "IKEv1", "IKEv2", "IKEv1/2" */
		c->v1 = strstr(text, "v1") != NULL || strcmp(text, "0") == 0;
		c->v2 = strchr(text, '2') != NULL || strcmp(text, "0") == 0;
	} else if (strcmp(key, "unique") == 0) {
		c->unique = unique(&r->rd);
	} else if (strcmp(key, "mobike") == 0) {
		c->has_mobike = true;
		c->mobike = vici_value_is(&r->rd, "yes");
	} else if (strcmp(key, "dpd_delay") == 0) {
		c->dpd_delay_s = number(&r->rd);
	} else if (strcmp(key, "dpd_timeout") == 0) {
		c->dpd_timeout_s = number(&r->rd);
	} else if (strcmp(key, "reauth_time") == 0) {
		c->reauth_s = number(&r->rd);
	} else if (strcmp(key, "rekey_time") == 0) {
		c->rekey_s = number(&r->rd);
	}
}

static void child_key(struct vici_conn_rd *r)
{
	const char *key = r->rd.name;

	if (strcmp(key, "start_action") == 0)
		r->kid.start = action(&r->rd);
	else if (strcmp(key, "dpd_action") == 0)
		r->kid.dpd = action(&r->rd);
	else if (strcmp(key, "close_action") == 0)
		r->kid.close = action(&r->rd);
	else if (strcmp(key, "rekey_time") == 0)
		r->kid.rekey_s = number(&r->rd);
}

static void take_key(struct vici_conn_rd *r)
{
	if (r->rd.depth == 1) {
		conn_key(r);
	} else if (r->rd.depth == 2 && r->in_remote && strcmp(r->rd.name, "id") == 0) {
		vici_value_text(&r->rd, r->c.remote_id, sizeof(r->c.remote_id));
		r->has_id = true;
	} else if (r->rd.depth == 3 && r->in_children) {
		child_key(r);
	}
}

bool vici_conn_next(struct vici_conn_rd *r, struct vici_conn *out)
{
	for (;;) {
		switch (vici_next(&r->rd)) {
		case VICI_T_SECTION:
			section_begins(r);
			break;
		case VICI_T_SECTION_END:
			if (!section_ended(r))
				break;
			*out = r->c;
			return true;
		case VICI_T_KEY:
			take_key(r);
			break;
		case VICI_T_LIST:
			vici_name_copy(r->list, sizeof(r->list), r->rd.depth == 1 ? r->rd.name : "");
			break;
		case VICI_T_ITEM:
			if (strcmp(r->list, "local_addrs") == 0)
				end_add(&r->c.local, &r->rd);
			else if (strcmp(r->list, "remote_addrs") == 0)
				end_add(&r->c.remote, &r->rd);
			break;
		case VICI_T_LIST_END:
			break;
		case VICI_T_END:
		case VICI_T_BAD:
			return false;
		}
	}
}

const struct vici_child_conf *vici_conn_child(const struct vici_conn *c, const char *name)
{
	for (uint8_t i = 0; i < c->n_children; i++) {
		if (strcmp(c->child[i].name, name) == 0)
			return &c->child[i];
	}
	return NULL;
}

bool vici_ends_has(const struct vici_ends *e, const struct addr *a)
{
	for (uint8_t i = 0; i < e->n; i++) {
		if (addr_eq(&e->addr[i], a))
			return true;
	}
	return false;
}

const char *vici_unique_name(enum vici_unique u)
{
	switch (u) {
	case VICI_UNIQUE_UNKNOWN:
		return "";
	case VICI_UNIQUE_NEVER:
		return "never";
	case VICI_UNIQUE_NO:
		return "no";
	case VICI_UNIQUE_REPLACE:
		return "replace";
	case VICI_UNIQUE_KEEP:
		return "keep";
	}
	return "";
}

const char *vici_action_name(enum vici_action a)
{
	switch (a) {
	case VICI_DO_UNKNOWN:
		return "";
	case VICI_DO_NOTHING:
		return "none";
	case VICI_DO_TRAP:
		return "trap";
	case VICI_DO_START:
		return "start";
	}
	return "";
}
