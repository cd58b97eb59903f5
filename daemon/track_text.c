#include "daemon/track_text.h"

#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <string.h>

enum { NAME_MAX_KERNEL = 15 }; /* TASK_COMM_LEN - 1 */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool track_number(const char *text, size_t n, int64_t *out)
{
	size_t i = 0, digits = 0;
	bool negative = false;
	int64_t v = 0;
	while (i < n && is_blank(text[i]))
		i++;
	if (i < n && (text[i] == '-' || text[i] == '+'))
		negative = text[i++] == '-';
	for (; i < n && text[i] >= '0' && text[i] <= '9'; i++, digits++) {
		v = v * 10 + (text[i] - '0');
		if (v > (int64_t)INT32_MAX + 1)
			return false;
	}
	while (i < n && is_blank(text[i]))
		i++;
	if (!digits || i != n)
		return false;
	v = negative ? -v : v;
	if (v > INT32_MAX || v < INT32_MIN)
		return false;
	*out = v;
	return true;
}

bool track_stat(const char *text, size_t n, char name[16], bool *runs)
{
	/* The name may hold any character, brackets too: the last one ends it. */
	const char *open = memchr(text, '(', n), *close = memrchr(text, ')', n);
	if (!open || !close || close <= open || (size_t)(close - text) + 2 >= n || close[1] != ' ')
		return false;
	size_t len = (size_t)(close - open) - 1;
	if (len > NAME_MAX_KERNEL)
		return false;
	memcpy(name, open + 1, len);
	name[len] = '\0';
	*runs = close[2] != 'Z' && close[2] != 'X';
	return true;
}

bool track_needs_cmdline(const struct cfg_track_process *p)
{
	return p->full_command || p->match != CFG_TRACK_MATCH_ANY;
}

static bool same_name(const struct cfg_track_process *p, const char *name)
{
	/* The kernel cut it. */
	return strncmp(p->argv[0], name, NAME_MAX_KERNEL) == 0;
}

/* The word at *at of the command line; NULL: there is none. */
static const char *next_word(const char *cmdline, size_t n, size_t *at)
{
	const char *word = cmdline + *at;
	if (*at >= n)
		return NULL;
	const char *end = memchr(word, '\0', n - *at);
	if (!end) /* cut: what is left is no whole word */
		return NULL;
	*at = (size_t)(end - cmdline) + 1;
	return word;
}

static bool same_word(const struct cfg_track_process *p, const char *want, bool last, const char *word)
{
	if (p->match == CFG_TRACK_MATCH_INITIAL && last)
		return strncmp(want, word, strlen(want)) == 0;
	return strcmp(want, word) == 0;
}

bool track_matches(const struct cfg_track_process *p, const char *name, const char *cmdline, size_t n)
{
	size_t at = 0;
	const char *word;
	if (!p->full_command && !same_name(p, name))
		return false;
	if (!track_needs_cmdline(p))
		return true;
	word = next_word(cmdline, n, &at);
	if (!word || (p->full_command && strcmp(word, p->argv[0]) != 0))
		return false;
	if (p->match == CFG_TRACK_MATCH_ANY)
		return true;
	for (unsigned i = 1; p->argv[i]; i++) {
		word = next_word(cmdline, n, &at);
		if (!word || !same_word(p, p->argv[i], !p->argv[i + 1], word))
			return false;
	}
	return p->match == CFG_TRACK_MATCH_PARTIAL || !next_word(cmdline, n, &at);
}

/* ---- the proc connector ---- */

static void read_event(const struct proc_event *ev, struct track_proc_ev *out)
{
	/* Values of a kernel interface: newer kernels have more of them than this header. */
	unsigned what = (unsigned)ev->what;
	if (what == (unsigned)PROC_EVENT_NONE) {
		out->what = TRACK_PROC_ACK;
		out->err = (int)ev->event_data.ack.err;
	} else if (what == (unsigned)PROC_EVENT_FORK) {
		if (ev->event_data.fork.child_pid != ev->event_data.fork.child_tgid)
			return;
		out->what = TRACK_PROC_FORK;
		out->pid = ev->event_data.fork.parent_tgid;
		out->child = ev->event_data.fork.child_tgid;
	} else if (what == (unsigned)PROC_EVENT_EXEC) {
		out->what = TRACK_PROC_NAME;
		out->pid = ev->event_data.exec.process_tgid;
	} else if (what == (unsigned)PROC_EVENT_COMM) {
		if (ev->event_data.comm.process_pid != ev->event_data.comm.process_tgid)
			return;
		out->what = TRACK_PROC_NAME;
		out->pid = ev->event_data.comm.process_tgid;
	} else if (what == (unsigned)PROC_EVENT_EXIT) {
		if (ev->event_data.exit.process_pid != ev->event_data.exit.process_tgid)
			return;
		out->what = TRACK_PROC_EXIT;
		out->pid = ev->event_data.exit.process_tgid;
	}
}

bool track_proc_parse(const void *msg, size_t n, struct track_proc_ev *out)
{
	struct nlmsghdr nh;
	struct cn_msg cn;
	struct proc_event ev = { 0 };
	size_t head = NLMSG_HDRLEN + sizeof(cn);
	*out = (struct track_proc_ev){ 0 };
	if (n < head)
		return false;
	memcpy(&nh, msg, sizeof(nh));
	memcpy(&cn, (const uint8_t *)msg + NLMSG_HDRLEN, sizeof(cn));
	if (nh.nlmsg_type != NLMSG_DONE || cn.id.idx != CN_IDX_PROC || cn.id.val != CN_VAL_PROC)
		return false;
	size_t len = n - head < cn.len ? n - head : cn.len;
	/* Data behind the common head differ in size from kernel to kernel; what is missing is zero. */
	if (len < offsetof(struct proc_event, event_data) + sizeof(ev.event_data.ack))
		return false;
	memcpy(&ev, (const uint8_t *)msg + head, len < sizeof(ev) ? len : sizeof(ev));
	read_event(&ev, out);
	return true;
}

size_t track_proc_request(uint8_t out[TRACK_PROC_REQ_MAX], bool on)
{
	uint32_t op = on ? PROC_CN_MCAST_LISTEN : PROC_CN_MCAST_IGNORE;
	struct cn_msg cn = { .id = { .idx = CN_IDX_PROC, .val = CN_VAL_PROC }, .len = sizeof(op) };
	struct nlmsghdr nh = { .nlmsg_len = NLMSG_LENGTH(sizeof(cn) + sizeof(op)), .nlmsg_type = NLMSG_DONE };
	memset(out, 0, TRACK_PROC_REQ_MAX);
	memcpy(out, &nh, sizeof(nh));
	memcpy(out + NLMSG_HDRLEN, &cn, sizeof(cn));
	memcpy(out + NLMSG_HDRLEN + sizeof(cn), &op, sizeof(op));
	return nh.nlmsg_len;
}

/* ---- the conntrack table ---- */

unsigned track_percent(uint64_t entries, uint64_t max)
{
	uint64_t percent = max ? entries * 100 / max : 0;
	return percent > 100 ? 100 : (unsigned)percent;
}

bool track_level_ok(const struct cfg_track_conntrack *c, unsigned percent, bool was_ok)
{
	return percent >= c->high ? false : percent <= c->low ? true : was_ok;
}
