#include <errno.h>
#include <stddef.h>
#include "sync/sync_reject.h"

static const struct {
	int err;
	bool retry;
	const char *word, *text;
} table[SYNC_REJ_N] = {
#define SYNC_REJ_ROW(name, err, retry, word, text) [name] = { err, retry, word, text },
	SYNC_REJ_TABLE(SYNC_REJ_ROW)
#undef SYNC_REJ_ROW
};

enum sync_reject sync_reject_of(int err, const struct ct_entry *e)
{
	int num = err < 0 ? -err : err;

	if (num == EOPNOTSUPP && e && !(e->has & CT_HAS_HELPER))
		return e->orig.zone != 0 || e->reply.zone != 0 ? SYNC_REJ_ZONE : SYNC_REJ_UNSUPPORTED;
	for (unsigned r = 0; r < SYNC_REJ_OTHER; r++)
		if (table[r].err == num)
			return (enum sync_reject)r;
	return SYNC_REJ_OTHER;
}

const char *sync_reject_word(enum sync_reject r)
{
	return table[r].word;
}

const char *sync_reject_text(enum sync_reject r)
{
	return table[r].text;
}

bool sync_reject_retries(int err)
{
	return table[sync_reject_of(err, NULL)].retry;
}
