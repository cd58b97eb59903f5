#include "sync/peer_why.h"

static const char *const texts[PEER_WHY_N] = {
#define WHY_TEXT(name, key, text) [name] = text,
	PEER_WHY_TABLE(WHY_TEXT)
#undef WHY_TEXT
};

static const char *const names[PEER_WHY_N] = {
#define WHY_NAME(name, key, text) [name] = key,
	PEER_WHY_TABLE(WHY_NAME)
#undef WHY_NAME
};

const char *peer_why_text(enum peer_why w)
{
	return w < PEER_WHY_N ? texts[w] : "unknown reason";
}

const char *peer_why_name(enum peer_why w)
{
	return w < PEER_WHY_N ? names[w] : "unknown";
}
