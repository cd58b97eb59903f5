/* `notify`: what contradicts itself, and the model of what does not. */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/cfg_check.h"

/* In the order of enum notify_which. */
static const char *const which_key[NOTIFY_WHICH_N] = { "master",  "backup",         "fault", "stop",
						       "deleted", "lower_priority", "all" };

static const struct cfg_rec *block_of(const struct cfg_rec *r, const char *name)
{
	const struct cfg_val *v = cfg_rec_val(r, name);

	return v->n && !v->bad ? &v->recs[0] : NULL;
}

/* Groups do not hear adverts. */
static bool has_key(bool is_group, unsigned which)
{
	return !is_group || which != NOTIFY_LOWER;
}

static void check_script(const struct cfg_checker *c, const struct cfg_rec *r)
{
	const struct cfg_val *exec = cfg_rec_val(r, "exec");

	if (exec->n && exec->items[0].text[0] != '/')
		cfg_complain_item(c->errs, r, "exec", 0, "the program must be an absolute path, no shell looks for it");
	if (cfg_rec_val(r, "group")->given && !cfg_rec_val(r, "user")->given)
		cfg_complain(c->errs, CFG_ERROR, c->t, r, "group", "needs a user beside it");
}

static void check_owner(const struct cfg_checker *c, const struct cfg_val *owners, bool is_group, bool has_mail)
{
	for (unsigned i = 0; owners && i < owners->n; i++) {
		const struct cfg_rec *r = block_of(&owners->recs[i], "notify");
		if (!r)
			continue;
		for (unsigned w = 0; w < NOTIFY_WHICH_N; w++) {
			const struct cfg_rec *s = has_key(is_group, w) ? block_of(r, which_key[w]) : NULL;
			if (s)
				check_script(c, s);
		}
		const struct cfg_val *mail = cfg_rec_val(r, "mail");
		if (mail->given && !mail->bad && mail->num && !has_mail)
			cfg_complain(c->errs, CFG_WARNING, c->t, r, "mail",
				     "nobody gets mail, because there is no notify.mail with addresses");
	}
}

static void check_fifo(const struct cfg_checker *c, const struct cfg_rec *fifo)
{
	if (cfg_rec_val(fifo, "group")->given && !cfg_rec_val(fifo, "user")->given)
		cfg_complain(c->errs, CFG_ERROR, c->t, fifo, "group", "needs a user beside it");
	if (block_of(fifo, "reader"))
		check_script(c, block_of(fifo, "reader"));
}

void cfg_check_notify(struct cfg_checker *c)
{
	const struct cfg_rec *r = block_of(&c->t->root, "notify");

	if (!r)
		return;
	const struct cfg_rec *first = block_of(r, "fifo"), *second = block_of(r, "vrrp_fifo");
	if (first)
		check_fifo(c, first);
	if (second)
		check_fifo(c, second);
	const char *a = first ? cfg_rec_text(first, "path") : NULL, *b = second ? cfg_rec_text(second, "path") : NULL;
	if (a && b && strcmp(a, b) == 0)
		cfg_complain(c->errs, CFG_ERROR, c->t, second, "path",
			     "is the pipe of notify.fifo too; each line would come twice");
	if (cfg_rec_val(r, "group")->given && !cfg_rec_val(r, "user")->given)
		cfg_complain(c->errs, CFG_ERROR, c->t, r, "group", "needs notify.user beside it");
	check_owner(c, c->instances, false, block_of(r, "mail") != NULL);
	check_owner(c, c->groups, true, block_of(r, "mail") != NULL);
}

/* ---- the model ---- */

static void *room(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	require(p);
	return p;
}

static bool flag(const struct cfg_rec *r, const char *name)
{
	return cfg_rec_val(r, name)->num != 0;
}

static void build_script(struct notify_script *s, const struct cfg_rec *r)
{
	if (!r)
		return;
	const struct cfg_val *exec = cfg_rec_val(r, "exec");
	s->argv = room(exec->n + 1u, sizeof(*s->argv));
	s->argc = (uint16_t)exec->n;
	for (unsigned i = 0; i < exec->n; i++)
		s->argv[i] = exec->items[i].text; /* lives as long as the tree */
	s->user = cfg_rec_text(r, "user");
	s->group = cfg_rec_text(r, "group");
}

static void build_conf(struct notify_conf *n, const struct cfg_rec *owner, bool is_group)
{
	const struct cfg_rec *r = block_of(owner, "notify");

	if (!r)
		return;
	struct notify_script *script = room(NOTIFY_WHICH_N, sizeof(*script));
	for (unsigned w = 0; w < NOTIFY_WHICH_N; w++)
		if (has_key(is_group, w))
			build_script(&script[w], block_of(r, which_key[w]));
	n->script = script;
	n->tell_deleted = flag(r, "tell_deleted") || script[NOTIFY_DELETED].argv;
	if (cfg_rec_val(r, "mail")->given)
		n->mail = flag(r, "mail");
	if (!is_group && cfg_rec_val(r, "priority_changes")->given)
		n->priority_changes = flag(r, "priority_changes");
}

static void build_fifo(struct notify_fifo_conf *f, const struct cfg_rec *r)
{
	if (!r)
		return;
	f->path = cfg_rec_text(r, "path");
	f->user = cfg_rec_text(r, "user");
	f->group = cfg_rec_text(r, "group");
	build_script(&f->reader, block_of(r, "reader"));
}

static void build_mail(struct notify_mail_conf *m, const struct cfg_rec *r)
{
	if (!r)
		return;
	const struct cfg_val *to = cfg_rec_val(r, "to");
	const char **list = room(to->n, sizeof(*list));
	for (unsigned i = 0; i < to->n; i++)
		list[i] = cfg_rec_text(&to->recs[i], "address");
	m->to = list;
	m->n_to = (uint16_t)to->n;
	m->from = cfg_rec_text(r, "from");
	m->router = cfg_rec_text(r, "router");
	m->sendmail = cfg_rec_text(r, "sendmail");
	m->faults = flag(r, "faults");
}

/* An instance that stands alone has no group of its own to be told of. */
void cfg_build_notify(struct cfg *c, const struct cfg_tree *t)
{
	const struct cfg_rec *r = block_of(&t->root, "notify"), *mail = block_of(r, "mail");
	const struct cfg_val *inst = cfg_section_val(t, "vrrp", "instances"),
			     *groups = cfg_section_val(t, "vrrp", "groups");
	struct notify_cfg *n = &c->notify;

	n->user = cfg_rec_text(r, "user");
	n->group = cfg_rec_text(r, "group");
	n->security = flag(r, "script_security");
	n->timeout_ns = cfg_rec_val(r, "timeout")->num;
	n->states_on_reload = flag(r, "states_on_reload");
	build_fifo(&n->fifo[NOTIFY_FIFO_ALL], block_of(r, "fifo"));
	build_fifo(&n->fifo[NOTIFY_FIFO_VRRP], block_of(r, "vrrp_fifo"));
	build_mail(&n->mail, mail);
	n->used = n->fifo[0].path || n->fifo[1].path;
	n->inst = room(c->n_instances, sizeof(*n->inst));
	n->group_of = room(c->n_groups, sizeof(*n->group_of));
	for (unsigned i = 0; i < inst->n; i++) {
		n->inst[i].mail = mail && flag(mail, "always");
		n->inst[i].priority_changes = flag(r, "priority_changes");
		build_conf(&n->inst[i], &inst->recs[i], false);
		n->used |= n->inst[i].script || (mail && n->inst[i].mail);
	}
	n->n_groups = (uint16_t)groups->n;
	for (unsigned i = 0; i < groups->n; i++) {
		n->group_of[i].mail = mail && flag(mail, "always");
		build_conf(&n->group_of[i], &groups->recs[i], true);
		n->used |= n->group_of[i].script || (mail && n->group_of[i].mail);
	}
}

static void free_conf(struct notify_conf *list, unsigned n)
{
	for (unsigned i = 0; list && i < n; i++) {
		for (unsigned w = 0; list[i].script && w < NOTIFY_WHICH_N; w++)
			free(list[i].script[w].argv);
		free((void *)(uintptr_t)list[i].script);
	}
	free(list);
}

void cfg_free_notify(struct cfg *c)
{
	struct notify_cfg *n = &c->notify;

	free_conf(n->inst, c->n_instances);
	free_conf(n->group_of, c->n_groups);
	for (unsigned i = 0; i < NOTIFY_FIFOS; i++)
		free(n->fifo[i].reader.argv);
	free((void *)(uintptr_t)n->mail.to);
}
