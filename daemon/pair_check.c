/*
 * The comparison of two nodes. Two walks over two sorted sets: equal keys are compared as their rule says, keys of one
 * side are judged by it too; then come the checks that need more than one fact.
 */
#include "daemon/pair_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/pair_rules.h"

static const char clock_text[] = "the clocks of the nodes differ";

const char *pair_grade_word(enum pair_grade g)
{
	static const char *const words[] = { "note", "warning", "danger" };
	return words[g];
}

bool pair_differs(const struct pair_result *r)
{
	return r->grades[PAIR_WARNING] + r->grades[PAIR_DANGER] > 0;
}

/* ---- what both use ---- */

struct check {
	const struct pair_facts *ours, *theirs;
	struct pair_result *out;
	char record[PAIR_KEY_MAX]; /* the record of one side that was told last */
	bool router;               /* a virtual router of one side was told by its other facts */
};

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static void found(struct check *c, enum pair_grade grade, const char *key, const char *ours, const char *theirs,
		  const struct pair_rule_row *r)
{
	struct pair_result *o = c->out;
	o->grades[grade]++;
	if (o->n == PAIR_FINDINGS_MAX) {
		o->more++;
		return;
	}
	struct pair_finding *f = &o->finding[o->n++];
	*f = (struct pair_finding){ .grade = grade,
				    .ours = or_empty(ours),
				    .theirs = or_empty(theirs),
				    .what = r->what,
				    .consequence = r->consequence,
				    .fix = r->fix };
	snprintf(f->key, sizeof(f->key), "%s", key);
}

static void unsure(struct check *c, const char *key, const char *ours, const char *theirs)
{
	if (c->out->n_unsure < PAIR_UNSURE_MAX)
		c->out->unsure[c->out->n_unsure++] = (struct pair_unsure){ key, ours, theirs };
}

/* '*' stands for anything up to a closing bracket; as the last byte for anything at all. Two of them at most. */
static bool matches(const char *pattern, const char *key)
{
	for (; *pattern; pattern++, key++) {
		if (*pattern == '*' && pattern[1] == '\0')
			return true;
		if (*pattern == '*') {
			while (!matches(pattern + 1, key)) {
				if (*key == '\0' || *key == ']')
					return false;
				key++;
			}
			return true;
		}
		if (*key != *pattern)
			return false;
	}
	return *key == '\0';
}

static const struct pair_rule_row *rule_of(const char *key)
{
	for (unsigned i = 0; i < pair_rules_n; i++)
		if (matches(pair_rules[i].key, key))
			return &pair_rules[i];
	return NULL; /* not reached: the last rule matches everything */
}

/* ---- facts of both sides ---- */

static bool far_apart(const char *a, const char *b)
{
	long long x, y;
	if (pair_number(a, &x) < 0 || pair_number(b, &y) < 0)
		return true;
	return x / 4 > y || y / 4 > x;
}

static void both(struct check *c, const struct pair_fact *a, const struct pair_fact *b)
{
	const struct pair_rule_row *r = rule_of(a->key);
	bool equal = strcmp(a->value, b->value) == 0;
	if (r->how == PAIR_SHOW)
		return;
	if (strcmp(a->value, PAIR_UNKNOWN) == 0 || strcmp(b->value, PAIR_UNKNOWN) == 0) {
		unsure(c, a->key, a->value, b->value);
		return;
	}
	c->out->compared++;
	if (r->how == PAIR_UNLIKE ? !equal : equal)
		return;
	enum pair_grade grade = r->how == PAIR_RATIO && !far_apart(a->value, b->value) ? PAIR_NOTE : r->grade;
	found(c, grade, a->key, a->value, b->value, r);
}

/* ---- facts of one side ---- */

/* A virtual router has facts beside its configuration; one finding is enough. */
static bool told_as_router(struct check *c, const char *part, bool mine)
{
	static const char list[] = "conf.vrrp.instances";
	const struct pair_facts *own = mine ? c->ours : c->theirs;
	char twin[PAIR_KEY_MAX];
	if (strncmp(part, list, sizeof(list) - 1) != 0)
		return false;
	snprintf(twin, sizeof(twin), "vrrp%s", part + sizeof(list) - 1);
	if (pair_facts_prefix(own, twin) == own->n)
		return false;
	c->router = true;
	return true;
}

/*
 * A whole record that the other side lacks is told once. True when the key belongs to one. The shortest part up to a
 * closing bracket that the other side has nothing of is the record.
 */
static bool whole_record(struct check *c, const struct pair_fact *f, const struct pair_facts *other, bool mine)
{
	char part[PAIR_KEY_MAX];
	for (const char *p = strchr(f->key, ']'); p; p = strchr(p + 1, ']')) {
		size_t n = (size_t)(p - f->key) + 1;
		memcpy(part, f->key, n);
		part[n] = '\0';
		if (pair_facts_prefix(other, part) != other->n)
			continue;
		const struct pair_rule_row *r = rule_of(part);
		if (strcmp(part, c->record) != 0 && r->how != PAIR_SHOW && !told_as_router(c, part, mine))
			found(c, r->grade, part, mine ? "present" : "absent", mine ? "absent" : "present", r);
		memcpy(c->record, part, n + 1);
		return true;
	}
	return false;
}

/* This node could list the helper objects of its rules. */
static bool listed(const struct pair_facts *f)
{
	const char *v = pair_facts_find(f, "helper_rules");
	return v && strcmp(v, "listed") == 0;
}

static void one(struct check *c, const struct pair_fact *f, const struct pair_facts *other, bool mine)
{
	const struct pair_rule_row *r = rule_of(f->key);
	const char *ours = mine ? f->value : NULL, *theirs = mine ? NULL : f->value;
	if (r->how == PAIR_SHOW || r->how == PAIR_UNLIKE)
		return;
	/* of a configuration that is too large only the digests are exchanged */
	if (strncmp(f->key, "conf.", 5) == 0 &&
	    (pair_facts_find(other, "conf.more") || strcmp(f->key, "conf.more") == 0))
		return;
	if (strncmp(f->key, "helper_rule[", 12) == 0 && !listed(other)) {
		unsure(c, f->key, ours, theirs);
		return;
	}
	if (other->cut || r->how == PAIR_SYSCTL || r->how == PAIR_RATIO) {
		unsure(c, f->key, ours, theirs);
		return;
	}
	if (!whole_record(c, f, other, mine))
		found(c, r->grade, f->key, ours, theirs, r);
}

static void walk(struct check *c)
{
	unsigned i = 0, k = 0;
	const struct pair_facts *a = c->ours, *b = c->theirs;
	while (i < a->n || k < b->n) {
		int cmp = i == a->n ? 1 : k == b->n ? -1 : strcmp(a->fact[i].key, b->fact[k].key);
		if (cmp < 0)
			one(c, &a->fact[i++], b, true);
		else if (cmp > 0)
			one(c, &b->fact[k++], a, false);
		else
			both(c, &a->fact[i++], &b->fact[k++]);
	}
}

/* ---- what needs more than one fact ---- */

static void one_node(struct check *c, bool mine, const struct pair_rule_row *r, const char *key, const char *value)
{
	found(c, r->grade, key, mine ? value : "", mine ? "" : value, r);
}

/* Sessions whose packets come back to an address that does not move with them. */
static void nat_of(struct check *c, const struct pair_facts *f, bool mine)
{
	for (unsigned i = pair_facts_prefix(f, "nat["); i < f->n && strncmp(f->fact[i].key, "nat[", 4) == 0; i++) {
		const char *v = f->fact[i].value;
		if (strstr(v, "sessions, node"))
			one_node(c, mine, &pair_rule_nat_node, f->fact[i].key, v);
		else if (strstr(v, "sessions, virtual") && !strstr(v, ", MASTER"))
			one_node(c, mine, &pair_rule_nat_group, f->fact[i].key, v);
	}
}

/* More sessions on one node than the other one's table takes, or than it writes there as copies. */
static void room_of(struct check *c, const struct pair_facts *f, const struct pair_facts *other, bool mine)
{
	long long count, max, mark;
	const char *text = pair_facts_find(f, "table.count");
	if (pair_number(text, &count) < 0 || pair_number(pair_facts_find(other, "sysctl.nf_conntrack_max"), &max) < 0)
		return;
	if (count > max)
		one_node(c, mine, &pair_rule_room, "table.count", text);
	else if (pair_number(pair_facts_find(other, "table.high_water"), &mark) == 0 && mark > 0 &&
		 count * 100 > max * mark)
		one_node(c, mine, &pair_rule_mark, "table.count", text);
}

/* Zones or helpers that sessions of one node use and the other one lacks. */
static void used_by(struct check *c, const struct pair_facts *f, const struct pair_facts *other, bool mine)
{
	const char *zones = pair_facts_find(f, "zones.used"), *support = pair_facts_find(other, "zones.support");
	if (zones && support && strcmp(support, "no") == 0)
		one_node(c, mine, &pair_rule_zones, "zones.used", zones);
	for (unsigned i = pair_facts_prefix(f, "helper_used["); i < f->n; i++) {
		char key[PAIR_KEY_MAX];
		const char *name = f->fact[i].key;
		if (strncmp(name, "helper_used[", 12) != 0)
			break;
		snprintf(key, sizeof(key), "helper[%.100s", name + 12);
		const char *there = pair_facts_find(other, key);
		if (there && strcmp(there, "absent") == 0)
			one_node(c, mine, &pair_rule_helper, name, f->fact[i].value);
	}
}

static void alone(struct check *c, const struct pair_facts *f, bool mine)
{
	const char *events = pair_facts_find(f, "sysctl.nf_conntrack_events");
	if (events && strcmp(events, "0") == 0)
		one_node(c, mine, &pair_rule_events, "sysctl.nf_conntrack_events", events);
	for (unsigned i = pair_facts_prefix(f, "channel["); i < f->n && strncmp(f->fact[i].key, "channel[", 8) == 0;
	     i++) {
		long long path, mtu;
		char key[PAIR_KEY_MAX];
		const char *dot = strstr(f->fact[i].key, "].path_mtu");
		if (!dot || pair_number(f->fact[i].value, &path) < 0)
			continue;
		snprintf(key, sizeof(key), "%.*s].mtu", (int)(dot - f->fact[i].key), f->fact[i].key);
		if (pair_number(pair_facts_find(f, key), &mtu) == 0 && path < mtu)
			one_node(c, mine, &pair_rule_path, f->fact[i].key, f->fact[i].value);
	}
}

/*
 * Full-size packets of one direction: the sender's segment size against the largest that arrived. Only a stream that
 * has had to repeat and whose reader saw none of full size tells of a link that loses them.
 */
static void frames(struct check *c, const struct pair_facts *from, const struct pair_facts *to, bool mine)
{
	for (unsigned i = pair_facts_prefix(from, "channel["); i < from->n; i++) {
		const char *key = from->fact[i].key, *dot = strstr(key, "].send_segment");
		char other[PAIR_KEY_MAX];
		long long sent, got, repeated;
		if (strncmp(key, "channel[", 8) != 0)
			break;
		if (!dot || pair_number(from->fact[i].value, &sent) < 0)
			continue;
		int n = (int)(dot - key);
		snprintf(other, sizeof(other), "%.*s].repeated_segments", n, key);
		if (pair_number(pair_facts_find(from, other), &repeated) < 0 || repeated < 3)
			continue;
		snprintf(other, sizeof(other), "%.*s].received_segment", n, key);
		if (pair_number(pair_facts_find(to, other), &got) == 0 && got < sent / 10 * 9)
			one_node(c, mine, &pair_rule_frames, key, from->fact[i].value);
	}
}

/* A section differs though every key that was exchanged is equal: what is left is secret. */
static void secrets(struct check *c)
{
	static const struct {
		const char *digest, *keys[4];
	} section[] = {
		{ "config.channel", { "conf.cluster", "conf.nodes", "conf.channel" } },
		{ "config.vrrp", { "conf.vrrp" } },
		{ "config.sync", { "conf.sync" } },
		{ "config.ipsec", { "conf.ipsec", "conf.hooks" } },
	};
	for (unsigned s = 0; s < sizeof(section) / sizeof(section[0]); s++) {
		const char *a = pair_facts_find(c->ours, section[s].digest);
		const char *b = pair_facts_find(c->theirs, section[s].digest);
		bool told = c->router && strcmp(section[s].digest, "config.vrrp") == 0;
		for (unsigned i = 0; i < c->out->n; i++)
			for (unsigned k = 0; k < 4 && section[s].keys[k]; k++)
				told |= strncmp(c->out->finding[i].key, section[s].keys[k],
						strlen(section[s].keys[k])) == 0;
		if (a && b && strcmp(a, b) != 0 && !told)
			found(c, pair_rule_section.grade, section[s].digest, a, b, &pair_rule_section);
	}
}

static int by_grade(const void *a, const void *b)
{
	const struct pair_finding *x = a, *y = b;
	if (x->grade != y->grade)
		return x->grade > y->grade ? -1 : 1;
	return strcmp(x->key, y->key);
}

void pair_check(const struct pair_facts *ours, const struct pair_facts *theirs, const struct pair_clock *clock,
		struct pair_result *out)
{
	struct check c = { .ours = ours, .theirs = theirs, .out = out };
	memset(out, 0, sizeof(*out));
	out->clock = *clock;
	walk(&c);
	nat_of(&c, ours, true);
	nat_of(&c, theirs, false);
	room_of(&c, ours, theirs, true);
	room_of(&c, theirs, ours, false);
	used_by(&c, ours, theirs, true);
	used_by(&c, theirs, ours, false);
	alone(&c, ours, true);
	alone(&c, theirs, false);
	frames(&c, ours, theirs, true);
	frames(&c, theirs, ours, false);
	secrets(&c);
	int64_t apart = clock->offset_us < 0 ? -clock->offset_us : clock->offset_us;
	if (clock->known && apart - clock->error_us > PAIR_CLOCK_US)
		found(&c, pair_rule_clock.grade, "clock", clock_text, "", &pair_rule_clock);
	qsort(out->finding, out->n, sizeof(out->finding[0]), by_grade);
}
