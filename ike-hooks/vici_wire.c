#include "ike-hooks/vici_wire.h"

/* Element types of a message. */
enum { EL_SECTION = 1, EL_SECTION_END, EL_KEY, EL_LIST, EL_ITEM, EL_LIST_END };

static const char *const drop_text[] = {
#define VICI_TEXT(name, text) [name] = text,
	VICI_DROP_TABLE(VICI_TEXT)
#undef VICI_TEXT
};

const char *vici_drop_text(enum vici_drop d)
{
	return (unsigned)d < VICI_DROP_N ? drop_text[d] : "unknown reason";
}

static bool type_is_named(enum vici_type t)
{
	return t == VICI_CMD_REQUEST || t == VICI_EVENT_REGISTER || t == VICI_EVENT_UNREGISTER || t == VICI_EVENT;
}

/* Names are compared as C strings by everybody above: a NUL inside would let two different names look alike. */
static bool take_name(struct wire_rd *r, char *out)
{
	uint8_t len = wire_u8(r);
	const uint8_t *at = wire_take(r, len);

	out[0] = '\0';
	if (r->bad || (len && memchr(at, 0, len)))
		return false;
	if (len)
		memcpy(out, at, len);
	out[len] = '\0';
	return true;
}

void vici_framer_init(struct vici_framer *f, uint8_t *buf, uint32_t cap)
{
	*f = (struct vici_framer){ .buf = buf, .cap = cap };
}

static enum vici_drop parse_packet(const struct vici_framer *f, struct vici_packet *out)
{
	struct wire_rd r = wire_rd(f->buf, f->need);
	uint8_t type = wire_u8(&r);

	out->name[0] = '\0';
	if (type >= VICI_TYPE_N)
		return VICI_DROP_TYPE;
	out->type = (enum vici_type)type;
	if (type_is_named(out->type) && (!take_name(&r, out->name) || !out->name[0]))
		return VICI_DROP_NAME;
	out->msg = r.p;
	out->msg_len = wire_left(&r);
	return VICI_OK;
}

enum vici_drop vici_feed(struct vici_framer *f, const uint8_t *data, size_t n, size_t *used, struct vici_packet *out)
{
	*used = 0;
	while (f->hdr_len < 4) {
		if (*used == n)
			return VICI_MORE;
		f->hdr[f->hdr_len++] = data[(*used)++];
		if (f->hdr_len == 4) {
			f->need = (uint32_t)f->hdr[0] << 24 | (uint32_t)f->hdr[1] << 16 | (uint32_t)f->hdr[2] << 8 |
				  f->hdr[3];
			f->have = 0;
		}
	}
	if (f->need == 0)
		return VICI_DROP_EMPTY;
	if (f->need > VICI_SEGMENT_MAX)
		return VICI_DROP_SIZE;
	if (f->need > f->cap)
		return VICI_ROOM;
	size_t take = f->need - f->have;
	if (take > n - *used)
		take = n - *used;
	if (take)
		memcpy(f->buf + f->have, data + *used, take);
	f->have += (uint32_t)take;
	*used += take;
	if (f->have < f->need)
		return VICI_MORE;
	f->hdr_len = 0;
	return parse_packet(f, out);
}

void vici_rd_init(struct vici_rd *r, const void *msg, size_t len)
{
	memset(r, 0, sizeof(*r));
	r->rd = wire_rd(msg, len);
}

static enum vici_tok bad(struct vici_rd *r, enum vici_drop why)
{
	/* Sticky: whoever ignores VICI_T_BAD gets it again. */
	r->drop = why;
	r->rd.p = r->rd.end;
	r->rd.bad = true;
	return VICI_T_BAD;
}

static enum vici_tok take_value(struct vici_rd *r, enum vici_tok tok)
{
	r->value_len = wire_u16(&r->rd);
	r->value = wire_take(&r->rd, r->value_len);
	return r->rd.bad ? bad(r, VICI_DROP_TRUNCATED) : tok;
}

static enum vici_tok next_in_list(struct vici_rd *r, uint8_t type)
{
	if (type == EL_ITEM)
		return take_value(r, VICI_T_ITEM);
	if (type != EL_LIST_END)
		return bad(r, type >= EL_SECTION && type <= EL_LIST ? VICI_DROP_LIST : VICI_DROP_ELEMENT);
	r->in_list = false;
	return VICI_T_LIST_END;
}

enum vici_tok vici_next(struct vici_rd *r)
{
	r->value = NULL;
	r->value_len = 0;
	if (r->drop != VICI_OK)
		return VICI_T_BAD;
	if (wire_left(&r->rd) == 0)
		return r->depth || r->in_list ? bad(r, VICI_DROP_BALANCE) : VICI_T_END;
	uint8_t type = wire_u8(&r->rd);
	if (r->in_list)
		return next_in_list(r, type);
	switch (type) {
	case EL_SECTION:
		if (!take_name(&r->rd, r->name))
			return bad(r, VICI_DROP_NAME);
		if (r->depth == VICI_DEPTH_MAX)
			return bad(r, VICI_DROP_DEPTH);
		r->depth++;
		return VICI_T_SECTION;
	case EL_SECTION_END:
		if (r->depth == 0)
			return bad(r, VICI_DROP_BALANCE);
		r->depth--;
		return VICI_T_SECTION_END;
	case EL_KEY:
		if (!take_name(&r->rd, r->name))
			return bad(r, VICI_DROP_NAME);
		return take_value(r, VICI_T_KEY);
	case EL_LIST:
		if (!take_name(&r->rd, r->name))
			return bad(r, VICI_DROP_NAME);
		r->in_list = true;
		return VICI_T_LIST;
	case EL_ITEM:
		return bad(r, VICI_DROP_LIST);
	case EL_LIST_END:
		return bad(r, VICI_DROP_BALANCE);
	default:
		return bad(r, VICI_DROP_ELEMENT);
	}
}

bool vici_value_is(const struct vici_rd *r, const char *text)
{
	size_t len = strlen(text);

	return r->value && r->value_len == len && memcmp(r->value, text, len) == 0;
}

void vici_value_text(const struct vici_rd *r, char *buf, size_t cap)
{
	size_t n = r->value ? r->value_len : 0;

	if (n > cap - 1)
		n = cap - 1;
	for (size_t i = 0; i < n; i++)
		buf[i] = r->value[i] >= 0x20 && r->value[i] < 0x7f ? (char)r->value[i] : '?';
	buf[n] = '\0';
}

void vici_name_copy(char *buf, size_t cap, const char *name)
{
	size_t len = strlen(name);

	memset(buf, 0, cap);
	if (len < cap)
		memcpy(buf, name, len);
}

void vici_value_name(const struct vici_rd *r, char *buf, size_t cap)
{
	memset(buf, 0, cap);
	if (r->value && r->value_len < cap && !memchr(r->value, 0, r->value_len))
		memcpy(buf, r->value, r->value_len);
}

uint32_t vici_value_hex32(const struct vici_rd *r)
{
	uint32_t v = 0;

	if (!r->value || !r->value_len || r->value_len > 8)
		return 0;
	for (unsigned i = 0; i < r->value_len; i++) {
		unsigned c = r->value[i] | 0x20u; /* digits have this bit already */
		if (c >= '0' && c <= '9' && r->value[i] == c)
			v = v << 4 | (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (c - 'a' + 10);
		else
			return 0;
	}
	return v;
}

uint64_t vici_value_u64(const struct vici_rd *r)
{
	uint64_t v = 0;

	if (!r->value || !r->value_len)
		return 0;
	for (unsigned i = 0; i < r->value_len; i++) {
		unsigned digit = (unsigned)r->value[i] - '0';
		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return 0;
		v = v * 10 + digit;
	}
	return v;
}

enum vici_drop vici_check(const void *msg, size_t len)
{
	struct vici_rd r;
	enum vici_tok t;

	vici_rd_init(&r, msg, len);
	do
		t = vici_next(&r);
	while (t != VICI_T_END && t != VICI_T_BAD);
	return r.drop;
}

bool vici_find(const void *msg, size_t len, const char *key, char *buf, size_t cap)
{
	struct vici_rd r;

	buf[0] = '\0';
	vici_rd_init(&r, msg, len);
	for (enum vici_tok t = vici_next(&r); t != VICI_T_END && t != VICI_T_BAD; t = vici_next(&r)) {
		if (t == VICI_T_KEY && r.depth == 0 && strcmp(r.name, key) == 0) {
			vici_value_text(&r, buf, cap);
			return true;
		}
	}
	return false;
}

static void put_name(struct vici_wr *w, const char *name)
{
	size_t len = strlen(name);

	if (len >= VICI_NAME_MAX) {
		w->wr.bad = true;
		return;
	}
	wire_put_u8(&w->wr, (uint8_t)len);
	wire_put_bytes(&w->wr, name, len);
}

static void put_value(struct vici_wr *w, const char *value)
{
	size_t len = strlen(value);

	if (len > UINT16_MAX) {
		w->wr.bad = true;
		return;
	}
	wire_put_u16(&w->wr, (uint16_t)len);
	wire_put_bytes(&w->wr, value, len);
}

void vici_begin(struct vici_wr *w, void *buf, size_t cap, enum vici_type type, const char *name)
{
	w->wr = wire_wr(buf, cap);
	wire_put_u32(&w->wr, 0);
	wire_put_u8(&w->wr, (uint8_t)type);
	if (type_is_named(type)) {
		if (name)
			put_name(w, name);
		else
			w->wr.bad = true;
	}
}

void vici_put_section(struct vici_wr *w, const char *name)
{
	wire_put_u8(&w->wr, EL_SECTION);
	put_name(w, name);
}

void vici_put_section_end(struct vici_wr *w)
{
	wire_put_u8(&w->wr, EL_SECTION_END);
}

void vici_put_key(struct vici_wr *w, const char *name, const char *value)
{
	wire_put_u8(&w->wr, EL_KEY);
	put_name(w, name);
	put_value(w, value);
}

void vici_put_list(struct vici_wr *w, const char *name)
{
	wire_put_u8(&w->wr, EL_LIST);
	put_name(w, name);
}

void vici_put_item(struct vici_wr *w, const char *value)
{
	wire_put_u8(&w->wr, EL_ITEM);
	put_value(w, value);
}

void vici_put_list_end(struct vici_wr *w)
{
	wire_put_u8(&w->wr, EL_LIST_END);
}

size_t vici_end(struct vici_wr *w)
{
	size_t total = wire_len(&w->wr);

	if (w->wr.bad || total < 5 || total - 4 > VICI_SEGMENT_MAX)
		return 0;
	wire_patch_u16(&w->wr, 0, (uint16_t)((total - 4) >> 16));
	wire_patch_u16(&w->wr, 2, (uint16_t)(total - 4));
	return total;
}
