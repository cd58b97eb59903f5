/* What is told, as text: words for programs, lines for pipes, messages for people. */
#include <stdio.h>
#include <string.h>
#include "daemon/notify.h"

_Static_assert(NOTIFY_LINE_MAX >= VRRP_NAME_MAX + sizeof("INSTANCE \"\" MASTER_RX_LOWER_PRI 255\n"), "lines are whole");

const char *notify_what_text(enum notify_what what)
{
	static const char *const text[NOTIFY_WHAT_N] = {
		[NOTIFY_IS_MASTER] = "MASTER",
		[NOTIFY_IS_BACKUP] = "BACKUP",
		[NOTIFY_IS_FAULT] = "FAULT",
		[NOTIFY_IS_STOP] = "STOP",
		[NOTIFY_IS_DELETED] = "DELETED",
		[NOTIFY_IS_GONE] = "FAULT",
		[NOTIFY_RX_LOWER] = "MASTER_RX_LOWER_PRI",
		[NOTIFY_MASTER_PRIORITY] = "MASTER_PRIORITY",
		[NOTIFY_BACKUP_PRIORITY] = "BACKUP_PRIORITY",
	};

	return text[what];
}

const char *notify_sink_text(enum notify_sink sink)
{
	static const char *const text[NOTIFY_SINKS] = { "scripts", "fifo", "vrrp fifo", "mail" };

	return text[sink];
}

enum notify_kind notify_kind_of(enum notify_what what)
{
	switch (what) {
	case NOTIFY_RX_LOWER:
		return NOTIFY_K_LOWER;
	case NOTIFY_MASTER_PRIORITY:
	case NOTIFY_BACKUP_PRIORITY:
		return NOTIFY_K_PRIORITY;
	case NOTIFY_IS_MASTER:
	case NOTIFY_IS_BACKUP:
	case NOTIFY_IS_FAULT:
	case NOTIFY_IS_STOP:
	case NOTIFY_IS_DELETED:
	case NOTIFY_IS_GONE:
	case NOTIFY_WHAT_N:
		return NOTIFY_K_STATE;
	}
	return NOTIFY_K_STATE;
}

enum notify_which notify_which_of(enum notify_what what)
{
	switch (what) {
	case NOTIFY_IS_MASTER:
		return NOTIFY_MASTER;
	case NOTIFY_IS_BACKUP:
		return NOTIFY_BACKUP;
	case NOTIFY_IS_FAULT:
		return NOTIFY_FAULT;
	case NOTIFY_IS_STOP:
		return NOTIFY_STOP;
	case NOTIFY_IS_DELETED:
		return NOTIFY_DELETED;
	case NOTIFY_RX_LOWER:
		return NOTIFY_LOWER;
	case NOTIFY_IS_GONE:
	case NOTIFY_MASTER_PRIORITY:
	case NOTIFY_BACKUP_PRIORITY:
	case NOTIFY_WHAT_N:
		return NOTIFY_WHICH_N;
	}
	return NOTIFY_WHICH_N;
}

size_t notify_line(const struct notify_news *news, char out[NOTIFY_LINE_MAX])
{
	return (size_t)snprintf(out, NOTIFY_LINE_MAX, "%s \"%s\" %s %u\n", news->group ? "GROUP" : "INSTANCE",
				news->name, notify_what_text(news->what), news->priority);
}

void notify_words(const struct notify_news *news, struct notify_words *out)
{
	snprintf(out->priority, sizeof(out->priority), "%u", news->priority);
	out->word[0] = news->group ? "GROUP" : "INSTANCE";
	out->word[1] = news->name;
	out->word[2] = notify_what_text(news->what);
	out->word[3] = out->priority;
}

/* The subjects and bodies that keepalived sends: filters and people know them. */
static const char *subject_of(enum notify_what what)
{
	switch (what) {
	case NOTIFY_IS_MASTER:
		return "Entering MASTER state";
	case NOTIFY_IS_BACKUP:
		return "Entering BACKUP state";
	case NOTIFY_IS_FAULT:
	case NOTIFY_IS_GONE:
		return "Entering FAULT state";
	case NOTIFY_IS_STOP:
		return "Stopping";
	case NOTIFY_IS_DELETED:
		return "Deleted";
	case NOTIFY_RX_LOWER:
	case NOTIFY_MASTER_PRIORITY:
	case NOTIFY_BACKUP_PRIORITY:
	case NOTIFY_WHAT_N:
		return NULL;
	}
	return NULL;
}

static size_t body_of(const struct notify_news *news, char *out, size_t cap)
{
	const char *word = notify_what_text(news->what);

	if (news->what == NOTIFY_IS_STOP || news->what == NOTIFY_IS_DELETED) {
		const char *doing = news->what == NOTIFY_IS_STOP ? "stopping" : "deleted";
		if (news->group)
			return (size_t)snprintf(out, cap, "=> All VRRP group instances are now %s <=\n", doing);
		return (size_t)snprintf(out, cap, "=> VRRP Instance %s <=\n", doing);
	}
	if (news->group)
		return (size_t)snprintf(out, cap, "=> All VRRP group instances are now in %s state <=\n", word);
	return (size_t)snprintf(out, cap, "=> VRRP Instance is %s owning VRRP VIPs <=\n",
				news->what == NOTIFY_IS_MASTER ? "now" : "no longer");
}

size_t notify_message(const struct notify_news *news, const struct notify_mail_conf *mail, const char *host,
		      const char *date, char *out, size_t cap)
{
	const char *subject = subject_of(news->what);
	size_t n = 0;

	if (!subject || !mail->n_to)
		return 0;
	if (date[0])
		n += (size_t)snprintf(out, cap, "Date: %s\n", date);
	if (mail->from && n < cap)
		n += (size_t)snprintf(out + n, cap - n, "From: %s\n", mail->from);
	else if (n < cap)
		n += (size_t)snprintf(out + n, cap - n, "From: keepalived@%s\n", host);
	if (n < cap)
		n += (size_t)snprintf(out + n, cap - n, "Subject: [%s] VRRP %s %s - %s\n",
				      mail->router ? mail->router : host, news->group ? "Group" : "Instance",
				      news->name, subject);
	if (n < cap)
		n += (size_t)snprintf(out + n, cap - n, "X-Mailer: Keepalived\nTo: ");
	for (unsigned i = 0; i < mail->n_to && n < cap; i++)
		n += (size_t)snprintf(out + n, cap - n, "%s%s", i ? ",\n\t" : "", mail->to[i]);
	if (n < cap)
		n += (size_t)snprintf(out + n, cap - n, "\n\n");
	if (n < cap)
		n += body_of(news, out + n, cap - n);
	return n < cap ? n : 0;
}
