/* The command table and questions about it. */
#include <stdio.h>
#include <string.h>
#include "daemon/ctl_proto.h"

static const struct ctl_cmd_def cmds[CTL_CMD_N] = {
#define CTL_CMD_ROW(id, path, class, thread, impact, help) { id, path, class, thread, impact, help },
	CTL_CMD_TABLE(CTL_CMD_ROW)
#undef CTL_CMD_ROW
};

static const struct ctl_arg_def args[] = {
#define CTL_ARG_ROW(cmd, key, word, type, min, max, required, help) { cmd, key, word, type, min, max, required, help },
	CTL_ARG_TABLE(CTL_ARG_ROW)
#undef CTL_ARG_ROW
};

const struct ctl_cmd_def *ctl_cmd_def(enum ctl_cmd c)
{
	return &cmds[c];
}

int ctl_cmd_find(const char *path)
{
	for (int i = 0; i < CTL_CMD_N; i++) {
		if (strcmp(cmds[i].path, path) == 0)
			return i;
	}
	return -1;
}

const struct ctl_arg_def *ctl_cmd_arg(enum ctl_cmd c, unsigned n)
{
	for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
		if (args[i].cmd == c && n-- == 0)
			return &args[i];
	}
	return NULL;
}

int ctl_cmd_is_show(enum ctl_cmd c)
{
	return strncmp(cmds[c].path, "show ", 5) == 0 || strncmp(cmds[c].path, "explain ", 8) == 0 || c == CTL_IKE_DPD;
}

int ctl_cmd_takes_json(enum ctl_cmd c)
{
	return ctl_cmd_is_show(c) || cmds[c].impact == CTL_IMPACT_TUNNELS;
}

/* Digits only, at most max. Returns the rest of the text, NULL if there is no number. */
static const char *digits(const char *text, uint64_t max, uint64_t *out)
{
	*out = 0;
	if (*text < '0' || *text > '9')
		return NULL;
	for (; *text >= '0' && *text <= '9'; text++) {
		uint64_t d = (uint64_t)(*text - '0');
		if (*out > (max - d) / 10)
			return NULL;
		*out = *out * 10 + d;
	}
	return text;
}

static int epoch_parse(const char *text)
{
	uint64_t counter, node;
	const char *rest = digits(text, UINT64_MAX - 1, &counter);

	if (!rest || *rest != '.')
		return -1;
	rest = digits(rest + 1, UINT32_MAX, &node);
	return rest && !*rest ? 0 : -1;
}

static int name_parse(const struct ctl_arg_def *a, const char *text)
{
	size_t len = strlen(text);

	if (len < (size_t)a->min || len > (size_t)a->max)
		return -1;
	for (; *text; text++) {
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return -1;
	}
	return 0;
}

int ctl_arg_parse(const struct ctl_arg_def *a, const char *text, int64_t *num)
{
	uint64_t n;
	const char *rest;

	switch (a->type) {
	case CTL_ARG_FLAG:
		return -1;
	case CTL_ARG_INT:
		rest = digits(text, (uint64_t)a->max, &n);
		if (!rest || *rest || (int64_t)n < a->min)
			return -1;
		*num = (int64_t)n;
		return 0;
	case CTL_ARG_NAME:
		return name_parse(a, text);
	case CTL_ARG_EPOCH:
		return epoch_parse(text);
	}
	return -1;
}

char *ctl_arg_want(const struct ctl_arg_def *a, char *buf, unsigned size)
{
	switch (a->type) {
	case CTL_ARG_FLAG:
		snprintf(buf, size, "true");
		break;
	case CTL_ARG_INT:
		snprintf(buf, size, "a whole number from %lld to %lld", (long long)a->min, (long long)a->max);
		break;
	case CTL_ARG_NAME:
		snprintf(buf, size, "a name of %lld to %lld bytes without blanks", (long long)a->min,
			 (long long)a->max);
		break;
	case CTL_ARG_EPOCH:
		snprintf(buf, size, "COUNTER.NODE, as in 3.1");
		break;
	}
	return buf;
}
