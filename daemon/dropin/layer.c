/* Messages between an engine and its layers. */
#include <stdio.h>
#include <string.h>
#include "daemon/dropin/layer.h"

static const struct {
	const char *word;
	int has_text;
} forms[LAYER_MSG_N] = {
	[LAYER_BAD] = { "", 0 },        [LAYER_ATTACH] = { "attach", 1 }, [LAYER_RELOAD] = { "reload", 0 },
	[LAYER_YIELD] = { "yield", 1 }, [LAYER_HOLD] = { "hold", 1 },     [LAYER_OK] = { "ok", 0 },
	[LAYER_NO] = { "no", 1 },       [LAYER_END] = { "end", 0 },
};

size_t layer_encode(const struct layer_msg *m, char out[LAYER_MSG_MAX])
{
	int n = snprintf(out, LAYER_MSG_MAX, "%s%s%s", forms[m->type].word, forms[m->type].has_text ? " " : "",
			 forms[m->type].has_text ? m->text : "");

	return (size_t)n < LAYER_MSG_MAX ? (size_t)n : LAYER_MSG_MAX - 1;
}

enum layer_msg_type layer_decode(const char *bytes, size_t len, struct layer_msg *m)
{
	*m = (struct layer_msg){ .type = LAYER_BAD };
	if (memchr(bytes, '\0', len))
		return LAYER_BAD;
	for (unsigned t = LAYER_BAD + 1; t < LAYER_MSG_N; t++) {
		size_t n = strlen(forms[t].word);
		if (len < n || memcmp(bytes, forms[t].word, n) != 0)
			continue;
		size_t rest = forms[t].has_text ? len - n - 1 : 0;
		if (forms[t].has_text ? len < n + 2 || bytes[n] != ' ' || rest >= sizeof(m->text) : len != n)
			continue;
		memcpy(m->text, bytes + n + 1, rest);
		m->text[rest] = '\0';
		m->type = (enum layer_msg_type)t;
		return m->type;
	}
	return LAYER_BAD;
}
