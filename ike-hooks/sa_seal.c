#include "ike-hooks/sa_seal.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include "ike-hooks/sa_lock.h"

_Static_assert(SA_PUBLIC_LEN == crypto_box_PUBLICKEYBYTES, "key length");
_Static_assert(SA_NONCE_LEN == crypto_box_NONCEBYTES, "nonce length");
_Static_assert(SA_SEAL_EXTRA == 2 + crypto_box_NONCEBYTES + crypto_box_MACBYTES, "what sealing adds");

struct other {
	uint32_t node; /* 0: free */
	uint8_t public_key[crypto_box_PUBLICKEYBYTES];
	uint8_t common[crypto_box_BEFORENMBYTES];
};

struct sa_seal {
	uint8_t public_key[crypto_box_PUBLICKEYBYTES], secret[crypto_box_SECRETKEYBYTES];
	struct other others[SA_SEAL_PEERS];
};

struct sa_seal *sa_seal_new(void)
{
	struct sa_seal *s = sa_lock_alloc(1, sizeof(*s));

	if (s && crypto_box_keypair(s->public_key, s->secret) != 0) {
		sa_lock_free(s);
		errno = EIO;
		return NULL;
	}
	return s;
}

void sa_seal_free(struct sa_seal *s)
{
	sa_lock_free(s);
}

const uint8_t *sa_seal_public(const struct sa_seal *s)
{
	return s->public_key;
}

static struct other *find(const struct sa_seal *s, uint32_t node)
{
	for (unsigned i = 0; node && i < SA_SEAL_PEERS; i++)
		if (s->others[i].node == node)
			return (struct other *)&s->others[i];
	return NULL;
}

bool sa_seal_meet(struct sa_seal *s, uint32_t node, const uint8_t *public_key)
{
	struct other *o = find(s, node);

	if (o && memcmp(o->public_key, public_key, sizeof(o->public_key)) == 0)
		return false;
	for (unsigned i = 0; !o && i < SA_SEAL_PEERS; i++)
		if (!s->others[i].node)
			o = &s->others[i];
	if (!o || !node)
		return false;
	if (crypto_box_beforenm(o->common, public_key, s->secret) != 0) {
		sodium_memzero(o, sizeof(*o)); /* a key of small order */
		return false;
	}
	memcpy(o->public_key, public_key, sizeof(o->public_key));
	o->node = node;
	return true;
}

bool sa_seal_knows(const struct sa_seal *s, uint32_t node)
{
	return find(s, node) != NULL;
}

size_t sa_seal_close(const struct sa_seal *s, uint32_t node, const uint8_t *plain, size_t len, uint8_t *out, size_t cap)
{
	const struct other *o = find(s, node);

	if (!o || cap < len || cap - len < SA_SEAL_EXTRA)
		return 0;
	out[0] = SA_WIRE_VERSION;
	out[1] = SA_OUTER_SEALED;
	randombytes_buf(out + 2, SA_NONCE_LEN);
	if (crypto_box_easy_afternm(out + 2 + SA_NONCE_LEN, plain, len, out + 2, o->common) != 0)
		return 0;
	return len + SA_SEAL_EXTRA;
}

size_t sa_seal_open(const struct sa_seal *s, uint32_t node, const uint8_t *sealed, size_t len, uint8_t *plain,
		    size_t cap)
{
	const struct other *o = find(s, node);
	size_t extra = SA_NONCE_LEN + crypto_box_MACBYTES;

	if (!o || len <= extra || len - extra > cap)
		return 0;
	if (crypto_box_open_easy_afternm(plain, sealed + SA_NONCE_LEN, len - SA_NONCE_LEN, sealed, o->common) != 0)
		return 0;
	return len - extra;
}
