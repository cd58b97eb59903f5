/* The reader of conntrackd.conf: text -> struct dconf. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "daemon/base/require.h"
#include "daemon/dropin/dconf.h"

enum token { TOKEN_END = 0, TOKEN_WORD, TOKEN_OPEN, TOKEN_CLOSE };

struct reader {
	struct dconf *d;
	struct cfg_errors *errs;
	const char *at;
	unsigned line; /* of the token that was read last */
	unsigned next_line;
	char text[DCONF_TEXT_MAX];
	bool back; /* the token is read once more */
	enum token token;
	bool bad, cut; /* cut: the end of the file was complained about */
};

/* ---- tokens ---- */

/* A path ends at a blank only; any other word also at a brace or a comment. */
static size_t word_length(const char *p)
{
	if (*p == '/')
		return strcspn(p, " \t\r\n");
	return strcspn(p, " \t\r\n{}#");
}

__attribute__((format(printf, 3, 4))) static void complain(struct reader *r, unsigned line, const char *fmt, ...)
{
	char what[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	cfg_errors_add(r->errs, CFG_ERROR, "%s:%u: %s", r->d->file, line, what);
	r->bad = true;
}

static void skip_blank(struct reader *r)
{
	for (;;) {
		r->at += strspn(r->at, " \t\r");
		if (*r->at == '#')
			r->at += strcspn(r->at, "\n");
		if (*r->at != '\n')
			return;
		r->at++;
		r->next_line++;
	}
}

static enum token next(struct reader *r)
{
	if (r->back) {
		r->back = false;
		return r->token;
	}
	skip_blank(r);
	r->line = r->next_line;
	if (*r->at == '\0') {
		r->token = TOKEN_END;
	} else if (*r->at == '{' || *r->at == '}') {
		r->token = *r->at == '{' ? TOKEN_OPEN : TOKEN_CLOSE;
		r->text[0] = *r->at++;
		r->text[1] = '\0';
	} else {
		size_t n = word_length(r->at), keep = n < sizeof(r->text) ? n : sizeof(r->text) - 1;
		memcpy(r->text, r->at, keep);
		r->text[keep] = '\0';
		if (keep < n)
			complain(r, r->line, "a word of %zu bytes; at most %u are possible", n, DCONF_TEXT_MAX - 1);
		r->at += n;
		r->token = TOKEN_WORD;
	}
	return r->token;
}

/* The word behind this one stands on the same line. */
static bool more_on_line(const struct reader *r)
{
	size_t n = strspn(r->at, " \t\r");

	return r->at[n] && !strchr("\n#{}", r->at[n]);
}

static void cut_off(struct reader *r, unsigned since)
{
	if (r->cut)
		return;
	r->cut = true;
	complain(r, r->line,
		 "the file ends inside the block that begins at line %u: a '}' is missing, or it is cut off", since);
}

/* Everything up to the brace that closes the block which has just been opened. */
static void skip_block(struct reader *r)
{
	unsigned since = r->line, deep = 1;

	while (deep > 0) {
		enum token t = next(r);
		if (t == TOKEN_END) {
			cut_off(r, since);
			return;
		}
		deep += (t == TOKEN_OPEN) - (t == TOKEN_CLOSE);
	}
}

/* ---- values ---- */

static bool yes_no(const char *text, bool *yes)
{
	*yes = strcasecmp(text, "yes") == 0 || strcasecmp(text, "on") == 0;
	return *yes || strcasecmp(text, "no") == 0 || strcasecmp(text, "off") == 0;
}

static bool number(const char *text, int64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoll(text, &end, 10);
	return errno == 0 && end != text && *end == '\0';
}

static const char *wanted(enum dconf_kind k)
{
	switch (k) {
	case DCONF_K_YESNO:
		return "yes or no";
	case DCONF_K_NUMBER:
		return "a whole number";
	case DCONF_K_PATH:
		return "an absolute path";
	case DCONF_K_ADDR:
		return "an IP address";
	case DCONF_K_NAME:
		return "a word";
	case DCONF_K_YESNO_TEXT:
		return "yes, no, or a value";
	case DCONF_K_YESNO_BLOCK:
		return "on, off, or { NAME ... }";
	case DCONF_K_BLOCK:
		return "{ ... }";
	}
	return "";
}

static bool value_ok(enum dconf_kind kind, struct dconf_val *v)
{
	struct addr a;

	switch (kind) {
	case DCONF_K_YESNO:
	case DCONF_K_YESNO_BLOCK:
		return yes_no(v->text, &v->yes);
	case DCONF_K_NUMBER:
		return number(v->text, &v->num);
	case DCONF_K_PATH:
		return v->text[0] == '/';
	case DCONF_K_ADDR:
		return addr_parse(v->text, &a);
	case DCONF_K_YESNO_TEXT:
		if (!yes_no(v->text, &v->yes))
			v->yes = true;
		return true;
	case DCONF_K_NAME:
		return true;
	case DCONF_K_BLOCK:
		break;
	}
	return false;
}

static bool read_value(struct reader *r, const struct dconf_word *w, struct dconf_val *v)
{
	unsigned line = r->line;

	*v = (struct dconf_val){ .line = line };
	if (next(r) != TOKEN_WORD) {
		complain(r, line, "%s: its value is missing; it must be %s", w->name, wanted(w->kind));
		r->back = r->token != TOKEN_OPEN;
		if (!r->back)
			skip_block(r);
		return false;
	}
	memcpy(v->text, r->text, sizeof(v->text));
	if (value_ok(w->kind, v))
		return true;
	complain(r, line, "%s %s: not valid; it must be %s", w->name, v->text, wanted(w->kind));
	return false;
}

/* ---- blocks ---- */

static void read_block(struct reader *r, enum dconf_where where, const struct dconf_word *head, unsigned deep);

static bool opened(struct reader *r, const char *name, unsigned line)
{
	if (next(r) == TOKEN_OPEN)
		return true;
	complain(r, line, "%s: a '{' is missing behind it", name);
	r->back = true;
	return false;
}

static struct dconf_link *last_link(struct reader *r)
{
	return &r->d->links[r->d->n_links - 1];
}

static void link_value(struct reader *r, const struct dconf_word *w, const struct dconf_val *v)
{
	struct dconf_link *k = last_link(r);
	struct addr a = { 0 };

	addr_parse(v->text, &a);
	if ((w->id == DCONF_ADDR4 || w->id == DCONF_ADDR6) && k->kind == DCONF_LINK_MULTICAST) {
		k->group = a;
	} else if (w->id == DCONF_ADDR4 || w->id == DCONF_ADDR6 || w->id == DCONF_IFADDR4) {
		k->own = a;
		k->own_line = v->line;
	} else if (w->id == DCONF_DEST4 || w->id == DCONF_DEST6) {
		k->dest = a;
		k->dest_line = v->line;
	} else if (w->id == DCONF_PEER && k->n_peers < SYNC_NODES_MAX - 1) {
		k->peers[k->n_peers++] = a;
	} else if (w->id == DCONF_PEER) {
		complain(r, v->line, "KeeptrackdPeer %s: at most %u other routers are possible", v->text,
			 SYNC_NODES_MAX - 1);
	} else if (w->id == DCONF_PORT || w->id == DCONF_GROUP) {
		if (v->num < 1 || v->num > 65535)
			complain(r, v->line, "%s %s: not valid; it must be from 1 to 65535", w->name, v->text);
		k->port = (uint32_t)v->num;
	} else if (w->id == DCONF_INTERFACE || w->id == DCONF_IFADDR6) { /* both are names of interfaces */
		if (strlen(v->text) >= IFNAMSIZ)
			complain(r, v->line, "%s %s: an interface's name has at most %d bytes", w->name, v->text,
				 IFNAMSIZ - 1);
		snprintf(k->ifname, sizeof(k->ifname), "%.*s", IFNAMSIZ - 1, v->text);
	}
}

/* Multicast, UDP, TCP [Default] { ... } */
static void read_link(struct reader *r, const struct dconf_word *w, unsigned deep)
{
	struct dconf *d = r->d;
	unsigned line = r->line;
	bool first = false, room = d->n_links < SYNC_LINKS_MAX;

	if (next(r) == TOKEN_WORD && strcasecmp(r->text, "Default") == 0)
		first = true;
	else
		r->back = true;
	if (!opened(r, w->name, line))
		return;
	if (!room) {
		complain(r, line, "%s: more than %u links; conntrackd has no more either", w->name, SYNC_LINKS_MAX);
		skip_block(r);
		return;
	}
	struct dconf_link *k = &d->links[d->n_links++];
	*k = (struct dconf_link){ .line = line, .first = first };
	k->kind = w->id == DCONF_UDP ? DCONF_LINK_UDP : w->id == DCONF_TCP ? DCONF_LINK_TCP : DCONF_LINK_MULTICAST;
	read_block(r, DCONF_W_LINK, w, deep + 1);
	if (d->links[0].kind != k->kind)
		complain(r, line, "%s: all links are of one kind; the first one is %s (line %u)", w->name,
			 d->links[0].kind == DCONF_LINK_MULTICAST ? "Multicast"
			 : d->links[0].kind == DCONF_LINK_UDP     ? "UDP"
								  : "TCP",
			 d->links[0].line);
}

/* Mode FTFW { ... }; old names are known. */
static void read_mode(struct reader *r, const struct dconf_word *w, unsigned deep)
{
	static const char *const modes[] = { "FTFW", "NOTRACK", "ALARM", "nack", "persistent" };
	unsigned line = r->line;
	bool known = false;

	if (next(r) != TOKEN_WORD) {
		complain(r, line, "Mode: it must be FTFW, NOTRACK or ALARM");
		r->back = true;
	}
	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]) && !r->back; i++)
		known |= strcasecmp(modes[i], r->text) == 0;
	if (!known && !r->back)
		complain(r, line, "Mode %s: not known; it must be FTFW, NOTRACK or ALARM", r->text);
	snprintf(r->d->val[DCONF_MODE].text, DCONF_TEXT_MAX, "%s", r->text);
	if (opened(r, w->name, line))
		read_block(r, DCONF_W_MODE, w, deep + 1);
}

static bool read_policy(struct reader *r, const struct dconf_word *w)
{
	unsigned line = r->line;

	if (next(r) == TOKEN_WORD) {
		if (strcasecmp(r->text, "Accept") == 0)
			return true;
		if (strcasecmp(r->text, "Ignore") == 0)
			return false;
	}
	complain(r, line, "%s: it must be followed by Accept or Ignore", w->name);
	r->back = r->token != TOKEN_WORD;
	return false;
}

static void add_protocol(struct reader *r)
{
	static const struct {
		const char *name;
		uint32_t bits;
	} names[] = {
		{ "tcp", 1u << SYNC_PROTO_TCP },        { "6", 1u << SYNC_PROTO_TCP },
		{ "udp", 1u << SYNC_PROTO_UDP },        { "17", 1u << SYNC_PROTO_UDP },
		{ "icmp", 1u << SYNC_PROTO_ICMP },      { "1", 1u << SYNC_PROTO_ICMP },
		{ "ipv6-icmp", 1u << SYNC_PROTO_ICMP }, { "58", 1u << SYNC_PROTO_ICMP },
		{ "icmp6", 1u << SYNC_PROTO_ICMP },     { "udplite", 1u << SYNC_PROTO_UDPLITE },
		{ "136", 1u << SYNC_PROTO_UDPLITE },    { "sctp", 1u << SYNC_PROTO_SCTP },
		{ "132", 1u << SYNC_PROTO_SCTP },       { "dccp", 1u << SYNC_PROTO_DCCP },
		{ "33", 1u << SYNC_PROTO_DCCP },        { "gre", 1u << SYNC_PROTO_GRE },
		{ "47", 1u << SYNC_PROTO_GRE },
	};
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(names[i].name, r->text) == 0) {
			r->d->protocols |= names[i].bits;
			return;
		}
	}
	complain(r, r->line, "Protocol %s: not known; it must be TCP, UDP, ICMP, IPv6-ICMP, SCTP, DCCP, UDPLITE or GRE",
		 r->text);
}

static void add_state(struct reader *r)
{
	/* in the order of sync.tcp_states; LISTEN is a state that no entry of the kernel ever has */
	static const char *const names[] = { "SYN_SENT",   "SYN_RECV", "ESTABLISHED", "FIN_WAIT",
					     "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT",   "CLOSE" };
	if (strcasecmp(r->text, "for") == 0 || strcasecmp(r->text, "TCP") == 0 || strcasecmp(r->text, "LISTEN") == 0)
		return;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(names[i], r->text) == 0 || (i == 7 && strcasecmp(r->text, "CLOSED") == 0)) {
			r->d->states |= 1u << i;
			return;
		}
	}
	complain(r, r->line, "State %s: not a state of TCP", r->text);
}

/* IPv4_address ADDRESS[/LENGTH] */
static void add_address(struct reader *r)
{
	struct dconf *d = r->d;
	struct dconf_net n = { .line = r->line };
	char word[24];

	if (strcasecmp(r->text, "IPv4_address") != 0 && strcasecmp(r->text, "IPv6_address") != 0) {
		complain(r, r->line, "Address: %s is not known here; it must be IPv4_address or IPv6_address", r->text);
		return;
	}
	snprintf(word, sizeof(word), "%.12s", r->text);
	if (next(r) != TOKEN_WORD) {
		complain(r, n.line, "%s: its value is missing; it must be ADDRESS or ADDRESS/LENGTH", word);
		r->back = true;
	} else if (!addr_parse_prefix(r->text, &n.addr, &n.plen)) {
		complain(r, n.line, "%s %s: not valid; it must be ADDRESS or ADDRESS/LENGTH", word, r->text);
	} else if (d->n_nets == DCONF_ADDRS_MAX) {
		complain(r, n.line, "%s %s: more than %u addresses; name networks instead", word, r->text,
			 DCONF_ADDRS_MAX);
	} else {
		d->nets[d->n_nets++] = n;
	}
}

static void read_list(struct reader *r, enum dconf_where where)
{
	unsigned since = r->line;

	for (;;) {
		enum token t = next(r);
		if (t == TOKEN_CLOSE)
			return;
		if (t == TOKEN_END) {
			cut_off(r, since);
			return;
		}
		if (t == TOKEN_OPEN) {
			complain(r, r->line, "a '{' that nothing stands before");
			skip_block(r);
		} else if (where == DCONF_W_PROTOCOLS) {
			add_protocol(r);
		} else if (where == DCONF_W_STATES) {
			add_state(r);
		} else if (where == DCONF_W_ADDRESSES) {
			add_address(r);
		} else {
			struct dconf_val *v = &r->d->val[DCONF_EXPECT_SYNC];
			size_t n = strlen(v->text);
			snprintf(v->text + n, sizeof(v->text) - n, "%s%s", n ? " " : "", r->text);
		}
	}
}

static void read_filter(struct reader *r, const struct dconf_word *w)
{
	unsigned line = r->line;
	bool accept = read_policy(r, w);

	if (w->id == DCONF_F_PROTOCOL)
		r->d->accept_protocols = accept;
	else if (w->id == DCONF_F_ADDRESS)
		r->d->accept_nets = accept;
	else
		r->d->accept_states = accept;
	r->d->val[w->id].line = line;
	if (opened(r, w->name, line))
		read_list(r, w->inside);
}

/* ExpectationSync on | { ftp sip } */
static void read_expect(struct reader *r, const struct dconf_word *w)
{
	struct dconf_val *v = &r->d->val[w->id];
	unsigned line = r->line;

	if (next(r) == TOKEN_OPEN) {
		*v = (struct dconf_val){ .line = line, .yes = true };
		read_list(r, DCONF_W_EXPECT);
		return;
	}
	r->back = true;
	r->line = line;
	read_value(r, w, v);
	v->text[0] = '\0';
}

static void block_word(struct reader *r, const struct dconf_word *w, unsigned deep)
{
	unsigned line = r->line;
	struct dconf_val *v = &r->d->val[w->id];

	if (v->line && w->where == DCONF_W_TOP)
		complain(r, line, "%s: it stands at line %u already; put both into one block", w->name, v->line);
	v->line = line;
	if (w->id == DCONF_MULTICAST || w->id == DCONF_UDP || w->id == DCONF_TCP) {
		read_link(r, w, deep);
	} else if (w->id == DCONF_MODE) {
		read_mode(r, w, deep);
	} else if (w->where == DCONF_W_FILTER) {
		read_filter(r, w);
	} else if (w->inside == DCONF_W_SKIP) {
		if (opened(r, w->name, line))
			skip_block(r);
	} else {
		if (w->id == DCONF_FILTER && next(r) == TOKEN_WORD && strcasecmp(r->text, "From") == 0)
			next(r); /* Userspace or Kernelspace: filtering is done where it is cheapest */
		else if (w->id == DCONF_FILTER)
			r->back = true;
		if (opened(r, w->name, line))
			read_block(r, w->inside, w, deep + 1);
	}
}

static void say(struct reader *r, const struct dconf_word *w, unsigned line)
{
	if (w->verdict == DCONF_REFUSED)
		complain(r, line, "%s: refused: %s", w->name, w->why);
	else if (w->verdict == DCONF_NO_EFFECT)
		cfg_errors_add(r->errs, CFG_WARNING, "%s:%u: %s: has no effect: %s", r->d->file, line, w->name, w->why);
}

static void unknown(struct reader *r, enum dconf_where where, const struct dconf_word *head)
{
	const char *near = dconf_word_near(where, r->text);

	complain(r, r->line, "%s: not known%s%s%s%s%s", r->text, head ? " in " : "", head ? head->name : "",
		 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	while (more_on_line(r) && next(r) == TOKEN_WORD)
		;
	if (next(r) == TOKEN_OPEN)
		skip_block(r);
	else
		r->back = true;
}

static void read_word(struct reader *r, enum dconf_where where, const struct dconf_word *head, unsigned deep)
{
	const struct dconf_word *w = dconf_word_find(where, r->text);
	struct dconf_val v;
	unsigned line = r->line;

	if (!w) {
		unknown(r, where, head);
		return;
	}
	if (!r->d->val[w->id].line) /* once for all links */
		say(r, w, line);
	if (w->kind == DCONF_K_BLOCK) {
		block_word(r, w, deep);
	} else if (w->kind == DCONF_K_YESNO_BLOCK) {
		read_expect(r, w);
	} else if (read_value(r, w, &v)) {
		r->d->val[w->id] = v;
		if (where == DCONF_W_LINK)
			link_value(r, w, &v);
	}
}

static void read_block(struct reader *r, enum dconf_where where, const struct dconf_word *head, unsigned deep)
{
	unsigned since = r->line;

	require(deep < DCONF_DEEP); /* the table has no deeper block */
	for (;;) {
		enum token t = next(r);
		if (t == TOKEN_WORD) {
			read_word(r, where, head, deep);
		} else if (t == TOKEN_OPEN) {
			complain(r, r->line, "a '{' that nothing stands before");
			skip_block(r);
		} else if (t == TOKEN_CLOSE && deep == 0) {
			complain(r, r->line, "a '}' too many");
		} else {
			if (t == TOKEN_END && deep > 0)
				cut_off(r, since);
			r->back = t == TOKEN_END; /* the blocks around it end as well, and each says so */
			return;
		}
	}
}

static void default_first(struct dconf *d)
{
	for (unsigned i = 1; i < d->n_links; i++) {
		struct dconf_link k = d->links[i];
		if (!k.first || d->links[0].first)
			continue;
		memmove(&d->links[1], &d->links[0], i * sizeof(k));
		d->links[0] = k;
	}
}

bool dconf_read(struct dconf *out, const char *text, const char *file, struct cfg_errors *errs)
{
	struct reader r = { .d = out, .errs = errs, .at = text, .line = 1, .next_line = 1 };

	*out = (struct dconf){ .file = file };
	out->nets = calloc(DCONF_ADDRS_MAX, sizeof(*out->nets));
	require(out->nets);
	read_block(&r, DCONF_W_TOP, NULL, 0);
	default_first(out);
	if (!r.bad && !out->val[DCONF_SYNC].line)
		complain(&r, 1, "there is no Sync { ... }: nothing would be replicated");
	return !r.bad;
}

void dconf_free(struct dconf *d)
{
	free(d->nets);
	d->nets = NULL;
}
