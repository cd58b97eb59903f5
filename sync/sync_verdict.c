/*
 * From facts to words. The tables name every reason, what it means here, and the command or configuration line that would
 * change it; {} in them is the node, the address or the rule that the reason is about (subject_of).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "daemon/base/addr.h"
#include "daemon/base/err.h"
#include "sync/sync_explain.h"
#include "sync/sync_reject.h"

/* What a reason means for this session ({}: its subject), and what would change it. */
struct words {
	const char *text, *change;
};

static const struct words why_table[SYNC_WHY_N] = {
	[SYNC_WHY_NONE] = { "every node that should have it has it", "nothing has to be changed" },
	[SYNC_WHY_LOCAL_ORIGIN] = { "{} (rule: local sessions stay)", "nothing; the other router opens its own; only a "
								      "session of a host behind the router can move" },
	[SYNC_WHY_LOCAL_DEST] = { "{} (rule: local sessions stay)", "nothing; the service on this box does not move; "
								    "let it run on a host behind the router" },
	[SYNC_WHY_PROTO_OFF] = { "sync.protocols leaves its protocol out", "add the protocol to sync.protocols" },
	[SYNC_WHY_IGNORED] = { "entry {} of sync.ignore leaves it out", "remove or narrow entry {} of sync.ignore" },
	[SYNC_WHY_NODE_ADDR] = { "it is translated to an address that does not move with the role: {}",
				 "translate to a virtual address: 'snat to VIP' in place of 'masquerade'" },
	[SYNC_WHY_OFF] = { "sync.replicate is false", "sync.replicate = true" },
	[SYNC_WHY_PEER_LOCAL] = { "one end of it is an address of the peer itself",
				  "take that address off the peer, then 'reset conntrack-sync internal-cache' judges "
				  "it anew" },
	[SYNC_WHY_HALF_OPEN] = { "its connection is not established yet; it is told when it is",
				 "sync.quick = true replicates from the first packet" },
	[SYNC_WHY_CLOSING] = { "it was closing already when it was first seen", "nothing; it ends by itself" },
	[SYNC_WHY_STATE] = { "sync.tcp_states does not name the state of its connection",
			     "add the state to sync.tcp_states" },
	[SYNC_WHY_YOUNG] = { "it is younger than sync.min_age", "a lower sync.min_age" },
	[SYNC_WHY_UNREPLIED] = { "no answer to it was seen yet", "sync.quick = true replicates from the first packet" },
	[SYNC_WHY_ORPHAN] = { "no node has said that it is its own",
			      "its next packet settles it, or a master role on this node ('force failover')" },
	[SYNC_WHY_QUEUED] = { "it waits to be sent",
			      "wait a second; then 'show conntrack-sync status', 'restart conntrack-sync'" },
	[SYNC_WHY_PEER_DOWN] = { "no peer is connected",
				 "'show conntrack-sync status' says why; 'restart conntrack-sync' dials at once" },
	[SYNC_WHY_INJECTING] = { "it waits to be written into the kernel", "nothing, or a higher sync.bulk_rate" },
	[SYNC_WHY_LOST] = { "the copy vanished from the kernel and was asked for again",
			    "'reset conntrack-sync external-cache' asks for all of them again" },
	[SYNC_WHY_EXPIRING] = { "its timer ran out; the peer is being asked whether it lives",
				"nothing; a packet of it keeps it" },
	[SYNC_WHY_WARM] = { "{} keeps it in its store until it takes over", "sync.store = \"hot\" writes it at once" },
	[SYNC_WHY_STANDBY_FULL] = { "the standby's kernel table is filled up to sync.high_water; its store has it",
				    "raise net.netfilter.nf_conntrack_max on the standby, or sync.high_water" },
	[SYNC_WHY_TABLE_FULL] = { "it was taken over, but the kernel's table has no room",
				  "raise net.netfilter.nf_conntrack_max" },
	[SYNC_WHY_FAILED] = { "the kernel refused it", "'show conntrack-sync statistics' counts the reasons" },
};

/* The same for refusals; {} is the node. */
static const struct words rej_table[SYNC_REJ_N] = {
	[SYNC_REJ_STANDBY_FULL] = { "the conntrack table of {} is filled up to sync.high_water; its store has it",
				    "raise net.netfilter.nf_conntrack_max on {}, or sync.high_water" },
	[SYNC_REJ_TABLE_FULL] = { "the conntrack table of {} is full", "raise net.netfilter.nf_conntrack_max on {}" },
	[SYNC_REJ_CHAIN] = { "a hash chain of {} is too long", "raise net.netfilter.nf_conntrack_buckets on {}" },
	[SYNC_REJ_COLLISION] = { "another session of {} holds its (translated) address and port",
				 "give the nodes disjoint ranges of NAT ports, or remove the other one on {} with "
				 "'conntrack -D'" },
	[SYNC_REJ_MASTER] = { "the session that it belongs to is not on {} yet",
			      "it is tried again by itself; 'force resync' sends both again" },
	[SYNC_REJ_HELPER] = { "{} lacks the conntrack helper that it needs",
			      "load the helper's module on {} (modprobe nf_conntrack_NAME)" },
	[SYNC_REJ_ZONE] = { "the kernel of {} knows no conntrack zones",
			    "a kernel with CONFIG_NF_CONNTRACK_ZONES on {}" },
	[SYNC_REJ_UNSUPPORTED] = { "the kernel of {} lacks a part of it", "run the same kernel on all nodes" },
	[SYNC_REJ_LOCAL] = { "one end of it is an address of {} itself", "take that address off {}" },
	[SYNC_REJ_PEER_FULL] = { "the session table of the daemon on {} is full", "raise sync.sessions_max on {}" },
	[SYNC_REJ_BUSY] = { "an entry of {} cannot be changed as it would have to be",
			    "remove it on {} with 'conntrack -D'; the copy follows" },
	[SYNC_REJ_INVALID] = { "the kernel of {} does not take an entry of this form",
			       "run the same kernel on all nodes" },
	[SYNC_REJ_PERMISSION] = { "keeptrackd on {} may not write the conntrack table", "give it CAP_NET_ADMIN on {}" },
	[SYNC_REJ_BUFFER] = { "the answer of the kernel of {} was lost", "nothing; it is tried again by itself" },
	[SYNC_REJ_AGAIN] = { "the kernel of {} asked to try again", "nothing; it is tried again by itself" },
	[SYNC_REJ_OTHER] = { "the kernel of {} gave a reason without words here",
			     "'show log' on {}; 'force resync' tries again" },
};

const char *explain_why_text(enum sync_why w)
{
	return w < SYNC_WHY_N ? why_table[w].text : NULL;
}

const char *explain_why_change(enum sync_why w)
{
	return w < SYNC_WHY_N ? why_table[w].change : NULL;
}

bool explain_has_reject(enum sync_reject r)
{
	return r < SYNC_REJ_N && rej_table[r].text && rej_table[r].change;
}

enum sync_why explain_why_of(const char *word)
{
	for (unsigned w = 0; w < SYNC_WHY_N; w++)
		if (strcmp(word, sync_why_word((enum sync_why)w)) == 0)
			return (enum sync_why)w;
	return SYNC_WHY_N;
}

/* Text with each {} replaced. */
static void fill(char *out, size_t size, const char *text, const char *subject)
{
	size_t n = 0, len = strlen(subject);

	for (; *text && n + 1 < size; text++) {
		if (text[0] == '{' && text[1] == '}') {
			size_t take = len < size - 1 - n ? len : size - 1 - n;
			memcpy(out + n, subject, take);
			n += take;
			text++;
		} else {
			out[n++] = *text;
		}
	}
	out[n] = '\0';
}

/* "10.0.1.2 is an address of fw-a"; the number of a rule. */
static const char *subject_of(const struct explain_node *n, char *buf, size_t size)
{
	static const char *const is[] = { "", "is an address of", "is a virtual address of", "is the loopback of",
					  "is a multicast or broadcast address, heard by" };
	const struct sync_facts *f = &n->f;
	char ip[ADDR_TEXT_MAX];
	struct addr a = addr_from_bytes(f->cause_l3, f->cause_ip);

	if (f->rule != 0)
		snprintf(buf, size, "%u", f->rule);
	else if (f->cause != SYNC_ADDR_NONE && f->cause <= SYNC_ADDR_GROUP)
		snprintf(buf, size, "%s %s %s", addr_text(&a, ip), is[f->cause], n->name);
	else
		snprintf(buf, size, "an end of it lies on %s", n->name);
	return buf;
}

static void step(struct explain_out *o, unsigned node, const char *what, const char *text)
{
	if (o->n == EXPLAIN_STEPS)
		return;
	struct explain_step *s = &o->step[o->n++];
	s->node = node;
	s->what = what;
	snprintf(s->text, sizeof(s->text), "%s", text);
}

static void kernel_step(struct explain_out *o, unsigned i, const struct explain_node *n)
{
	static const char *const tcp[] = { "NONE",       "SYN_SENT", "SYN_RECV",  "ESTABLISHED", "FIN_WAIT",
					   "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",       "SYN_SENT2" };
	const struct sync_facts *f = &n->f;
	char text[EXPLAIN_TEXT];

	if (f->flags & SYNC_FACT_UNREAD) {
		snprintf(text, sizeof(text), "could not be asked: %s", err_text(-(int)f->kernel_err));
	} else if (!(f->flags & SYNC_FACT_KERNEL)) {
		snprintf(text, sizeof(text), "not there");
	} else {
		bool state = f->tcp_state != 0 && f->tcp_state <= CT_TCP_SYN_SENT2;
		snprintf(text, sizeof(text), "there%s%s, %" PRIu32 " s left%s%s%s%s", state ? ", " : "",
			 state ? tcp[f->tcp_state] : "", f->left_s,
			 f->status & CT_ST_SEEN_REPLY ? "" : ", no answer yet",
			 f->status & CT_ST_SRC_NAT ? ", source translated" : "",
			 f->status & CT_ST_DST_NAT ? ", destination translated" : "",
			 f->status & CT_ST_OFFLOAD ? ", offloaded to a flowtable" : "");
	}
	step(o, i, "kernel", text);
}

static const char *name_of(const struct explain_in *in, uint32_t id)
{
	for (unsigned i = 0; i < in->n; i++)
		if (in->nodes[i].id == id)
			return in->nodes[i].name;
	return id == 0 ? "nobody" : "another node";
}

static void table_step(const struct explain_in *in, struct explain_out *o, unsigned i)
{
	const struct sync_facts *f = &in->nodes[i].f;
	enum sync_why why = explain_why_of(f->word);
	char text[EXPLAIN_TEXT], lease[48] = "", quiet[48] = "";
	const char *disp = why == SYNC_WHY_N ? "of a kind that this version does not know"
					     : sync_disposition_word(sync_why_disposition(why));

	if (f->flags & SYNC_FACT_OFF) {
		step(o, i, "table", "none: this node replicates nothing");
		return;
	}
	if (!(f->flags & SYNC_FACT_TABLE)) {
		step(o, i, "table",
		     f->flags & SYNC_FACT_JUDGED ? "not there; the next sweep over the kernel finds it" : "not there");
		return;
	}
	if (f->flags & SYNC_FACT_LEASED)
		snprintf(lease, sizeof(lease), ", lease of %" PRIu32 " s left", f->table_left_s);
	if (f->quiet_s != UINT32_MAX)
		snprintf(quiet, sizeof(quiet), ", traffic seen %" PRIu32 " s ago", f->quiet_s);
	snprintf(text, sizeof(text), "%s %s, version %" PRIu64 ".%" PRIu32 "/%" PRIu32 ".%" PRIu32 ", %s%s%s%s%s",
		 f->flags & SYNC_FACT_MINE ? "own session of" : "session of", name_of(in, f->version.node),
		 f->version.epoch.counter, f->version.epoch.node, f->version.claim, f->version.node, disp,
		 why == SYNC_WHY_NONE ? "" : ": ", why == SYNC_WHY_NONE ? "" : f->word, lease, quiet);
	step(o, i, "table", text);
}

static void reason_step(const struct explain_in *in, struct explain_out *o, unsigned i)
{
	const struct sync_facts *f = &in->nodes[i].f;
	enum sync_why why = explain_why_of(f->word);
	char subject[EXPLAIN_TEXT], text[EXPLAIN_TEXT];

	if (why == SYNC_WHY_NONE || f->word[0] == '\0')
		return;
	if (why == SYNC_WHY_N || !why_table[why].text) {
		snprintf(text, sizeof(text), "%s", f->word);
	} else if (why == SYNC_WHY_FAILED && f->err != 0) {
		snprintf(text, sizeof(text), "refused: %s", sync_reject_text(sync_reject_of(f->err, NULL)));
	} else {
		fill(text, sizeof(text), why_table[why].text, subject_of(&in->nodes[i], subject, sizeof(subject)));
	}
	step(o, i, "reason", text);
}

static const char *answer_text(const struct explain_node *n)
{
	switch (n->state) {
	case EXPLAIN_ANSWERED:
		return "";
	case EXPLAIN_DOWN:
		return n->text;
	case EXPLAIN_LOST:
		return "the data connection ended";
	case EXPLAIN_SILENT:
		return "no answer within a second; it is busy, or of a version that knows no questions";
	case EXPLAIN_BUSY:
		return "too many questions wait for it already";
	}
	return "";
}

static void steps(const struct explain_in *in, struct explain_out *o)
{
	char text[EXPLAIN_TEXT];

	for (unsigned i = 0; i < in->n; i++) {
		if (in->nodes[i].state != EXPLAIN_ANSWERED) {
			snprintf(text, sizeof(text), "the peer did not answer: %s", answer_text(&in->nodes[i]));
			step(o, i, "answer", text);
			continue;
		}
		kernel_step(o, i, &in->nodes[i]);
		table_step(in, o, i);
		reason_step(in, o, i);
	}
}

static bool has(const struct explain_node *n, uint32_t flag)
{
	return n->state == EXPLAIN_ANSWERED && n->f.flags & flag;
}

static void say(struct explain_out *o, const char *code, const char *verdict, const char *change)
{
	o->code = code;
	snprintf(o->verdict, sizeof(o->verdict), "%s", verdict);
	snprintf(o->change, sizeof(o->change), "%s", change);
}

/* n's kernel refuses it, or what counts as such. of: whose facts say so. */
static void say_refused(struct explain_out *o, const struct explain_node *n, const struct sync_facts *of)
{
	struct ct_entry e = { .has = of->flags & SYNC_FACT_HELPER ? CT_HAS_HELPER : 0 };
	char text[EXPLAIN_CHANGE], what[EXPLAIN_TEXT], change[EXPLAIN_CHANGE], full[64] = "";

	e.orig = of->orig;
	e.reply = of->reply;
	enum sync_reject why = sync_reject_of(of->err, &e);
	if ((why == SYNC_REJ_TABLE_FULL || why == SYNC_REJ_STANDBY_FULL) && n->f.kernel_max != 0)
		snprintf(full, sizeof(full), " (%" PRIu32 " of %" PRIu32 " entries)", n->f.kernel_count,
			 n->f.kernel_max);
	if (!rej_table[why].text || !rej_table[why].change) {
		snprintf(text, sizeof(text), "not replicated: %s: %s", n->name, sync_reject_text(why));
		say(o, sync_reject_word(why), text, sync_reject_text(why));
		return;
	}
	fill(what, sizeof(what), rej_table[why].text, n->name);
	fill(change, sizeof(change), rej_table[why].change, n->name);
	snprintf(text, sizeof(text), "not replicated: %s refused it: %s, %s%s%s%s", n->name, sync_reject_word(why),
		 what, full, why == SYNC_REJ_OTHER && of->err ? ": " : "",
		 why == SYNC_REJ_OTHER && of->err ? err_text(-(int)of->err) : "");
	say(o, sync_reject_word(why), text, change);
}

/* Node n has a reason not to have it, or to have it only in part. */
static void say_why(struct explain_out *o, const struct explain_node *n, bool elsewhere)
{
	enum sync_why why = explain_why_of(n->f.word);
	char subject[EXPLAIN_TEXT], what[EXPLAIN_TEXT], text[EXPLAIN_CHANGE], change[EXPLAIN_CHANGE];

	if (why == SYNC_WHY_N || !why_table[why].text || !why_table[why].change) {
		snprintf(text, sizeof(text), "not replicated: %s%s%s", n->f.word, elsewhere ? ", says " : "",
			 elsewhere ? n->name : "");
		say(o, why == SYNC_WHY_N ? "unknown-reason" : sync_why_word(why), text,
		    why == SYNC_WHY_N ? "run the same version on both nodes" : sync_why_text(why));
		return;
	}
	subject_of(n, subject, sizeof(subject));
	fill(what, sizeof(what), why_table[why].text, subject);
	fill(change, sizeof(change), why_table[why].change, subject);
	snprintf(text, sizeof(text), "%s%s%s: %s, %s",
		 sync_why_disposition(why) == SYNC_DISP_PENDING ? "not replicated yet" : "not replicated",
		 elsewhere ? " by " : "", elsewhere ? n->name : "", n->f.word, what);
	say(o, sync_why_word(why), text, change);
}

/* The names of the peers without an answer, with the reason of the first. */
static bool unheard(const struct explain_in *in, char *buf, size_t size)
{
	for (unsigned i = 1; i < in->n; i++) {
		if (in->nodes[i].state == EXPLAIN_ANSWERED)
			continue;
		snprintf(buf, size, "%s did not answer: %s", in->nodes[i].name, answer_text(&in->nodes[i]));
		return true;
	}
	return false;
}

/* Nobody who was heard has it in his kernel or his table. */
static void say_nowhere(const struct explain_in *in, struct explain_out *o)
{
	static const char change[] = "check addresses, ports, protocol and zone; 'conntrack -L' lists what there is";
	char who[EXPLAIN_TEXT] = "", text[EXPLAIN_CHANGE], why[EXPLAIN_TEXT];
	size_t n = 0;

	if (unheard(in, why, sizeof(why))) {
		snprintf(text, sizeof(text), "unknown here: not in the kernel of %s; %s", in->nodes[0].name, why);
		say(o, "not-here", text, "ask again on the other node, or when it is connected");
		return;
	}
	for (unsigned i = 0; i < in->n && n < sizeof(who); i++)
		n += (size_t)snprintf(who + n, sizeof(who) - n, "%s%s", i == 0 ? "" : " or ", in->nodes[i].name);
	snprintf(text, sizeof(text), "no such session: not in the kernel of %s", who);
	say(o, "nowhere", text, change);
}

/* The node whose kernel refuses what another one holds for its own, or what it has taken over. NULL: none. */
static const struct explain_node *refusing(const struct explain_in *in)
{
	for (unsigned i = 0; i < in->n; i++) {
		const struct explain_node *n = &in->nodes[i];
		bool here = !(n->f.flags & SYNC_FACT_MINE) || n->f.flags & SYNC_FACT_REFUSED;
		if (has(n, SYNC_FACT_TABLE) && here && explain_why_of(n->f.word) == SYNC_WHY_FAILED)
			return n;
	}
	return NULL;
}

/* Whose word counts: the node that holds it for its own, else one that has it in its kernel, else in its table. */
static unsigned speaker(const struct explain_in *in)
{
	static const uint32_t order[] = { SYNC_FACT_MINE, SYNC_FACT_KERNEL, SYNC_FACT_TABLE };

	for (unsigned k = 0; k < sizeof(order) / sizeof(order[0]); k++)
		for (unsigned i = 0; i < in->n; i++)
			if (has(&in->nodes[i], order[k]))
				return i;
	return in->n;
}

/* The speaker holds it for replicated: is it? */
static void say_synced(const struct explain_in *in, struct explain_out *o, unsigned who)
{
	char text[EXPLAIN_CHANGE], why[EXPLAIN_TEXT];
	bool offloaded = false, warm = false;

	for (unsigned i = 0; i < in->n; i++) {
		const struct explain_node *n = &in->nodes[i];
		if (n->state != EXPLAIN_ANSWERED)
			continue;
		offloaded |= (n->f.status & CT_ST_OFFLOAD) != 0;
		if (has(n, SYNC_FACT_KERNEL))
			continue;
		if (has(n, SYNC_FACT_TABLE) && explain_why_of(n->f.word) == SYNC_WHY_WARM) {
			warm = true;
			continue;
		}
		if (has(n, SYNC_FACT_TABLE) && explain_why_of(n->f.word) != SYNC_WHY_NONE) {
			say_why(o, n, true);
			return;
		}
		if (i == 0)
			snprintf(text, sizeof(text), "only on the peer: %s has it, %s does not", in->nodes[who].name,
				 n->name);
		else
			snprintf(text, sizeof(text), "not replicated: %s does not have it, though %s told it", n->name,
				 in->nodes[who].name);
		say(o, i == 0 ? "only-on-peer" : "missing-on-peer", text,
		    "a sweep and the digests repair it in seconds; 'force resync' does so now");
		return;
	}
	if (unheard(in, why, sizeof(why))) {
		snprintf(text, sizeof(text), "told by %s, but not confirmed: %s", in->nodes[who].name, why);
		say(o, "unconfirmed", text,
		    "'show conntrack-sync status' says why; 'restart conntrack-sync' dials at once");
		return;
	}
	o->replicated = true;
	snprintf(text, sizeof(text), "replicated: a session of %s, in the %s%s", in->nodes[who].name,
		 warm ? "store of the standby until it takes over" : "kernel of every node",
		 offloaded ? "; offloaded: its packets pass by conntrack, its state and timer stand still" : "");
	say(o,
	    offloaded ? "offloaded"
	    : warm    ? sync_why_word(SYNC_WHY_WARM)
		      : "replicated",
	    text, why_table[warm ? SYNC_WHY_WARM : SYNC_WHY_NONE].change);
}

void explain_build(const struct explain_in *in, struct explain_out *o)
{
	memset(o, 0, sizeof(*o));
	steps(in, o);
	unsigned who = speaker(in);
	const struct explain_node *bad = refusing(in);
	if (who == in->n) {
		if (has(&in->nodes[0], SYNC_FACT_UNREAD))
			say(o, "kernel-unread", "unknown: the kernel could not be asked",
			    "keeptrackd needs CAP_NET_ADMIN and nf_conntrack_netlink");
		else
			say_nowhere(in, o);
		return;
	}
	if (bad) {
		say_refused(o, bad, &bad->f);
		return;
	}
	const struct explain_node *n = &in->nodes[who];
	enum sync_why why = explain_why_of(n->f.word);
	/* A peer said so; if several could be meant, each one's own facts would have told. */
	if (why == SYNC_WHY_FAILED && in->n > 1)
		say_refused(o, &in->nodes[who == 0 ? 1 : 0], &n->f);
	else if (why != SYNC_WHY_N && sync_why_disposition(why) == SYNC_DISP_SYNCED)
		say_synced(in, o, who);
	else
		say_why(o, n, who != 0);
}
