#include "ike-hooks/vici_alert.h"

#include "ike-hooks/vici_wire.h"

static const char *const alert_word[] = {
#define VICI_WORD(name, word, text) [name] = word,
	VICI_ALERT_TABLE(VICI_WORD)
#undef VICI_WORD
};
static const char *const alert_text[] = {
#define VICI_TEXT(name, word, text) [name] = text,
	VICI_ALERT_TABLE(VICI_TEXT)
#undef VICI_TEXT
};

const char *vici_alert_text(enum vici_alert a)
{
	return (unsigned)a < VICI_ALERT_N ? alert_text[a] : "?";
}

const char *vici_alert_word(enum vici_alert a)
{
	return (unsigned)a < VICI_ALERT_N ? alert_word[a] : "?";
}

enum vici_alert vici_alert_read(const void *msg, size_t len)
{
	struct vici_rd r;
	enum vici_tok t;

	if (vici_check(msg, len) != VICI_OK)
		return VICI_ALERT_OTHER;
	vici_rd_init(&r, msg, len);
	while ((t = vici_next(&r)) != VICI_T_END && t != VICI_T_BAD) {
		if (t != VICI_T_KEY || r.depth != 0)
			continue;
		for (unsigned a = VICI_ALERT_OTHER + 1; a < VICI_ALERT_N; a++)
			if (vici_value_is(&r, alert_word[a]))
				return (enum vici_alert)a;
	}
	return VICI_ALERT_OTHER;
}
