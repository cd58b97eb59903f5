/* Bytes of a stream: envelopes, hello and the other messages, data objects. What was understood must survive a round
 * trip. First byte: even = ctl, odd = data connection. */
#include <string.h>
#include "daemon/base/require.h"
#include "sync/sync_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void message(const struct sync_env *env, struct sync_wire_stats *st)
{
	static struct peer_msg m, back;
	static uint8_t buf[SYNC_CTL_MAX];
	struct sync_env again;
	size_t used;
	enum sync_drop d = sync_msg_read(env, &m, st);
	sync_wire_count(st, d);
	if (d != SYNC_OK)
		return;
	int n = sync_msg_write(buf, sizeof(buf), env->owner, env->seq, &m);
	require(n > 0);
	require(sync_env_read(buf, (size_t)n, SYNC_CTL_MAX, SYNC_CHAN_CTL, &again, &used) == SYNC_OK);
	require(sync_msg_read(&again, &back, st) == SYNC_OK);
	require(memcmp(&m, &back, sizeof(m)) == 0);
}

static void objects(const struct sync_env *env, struct sync_wire_stats *st)
{
	static uint8_t buf[SYNC_DATA_MAX];
	static struct sync_rec rec, back;
	struct sync_unpack u, v;
	enum sync_drop d;
	sync_unpack_begin(&u, env);
	while ((d = sync_unpack_next(&u, &rec, st)) != SYNC_MORE) {
		sync_wire_count(st, d);
		if (d != SYNC_OK)
			continue;
		struct sync_pack p;
		struct sync_env again;
		size_t used;
		sync_pack_begin(&p, buf, sizeof(buf));
		require(sync_pack_add(&p, &rec) == 0);
		size_t n = sync_pack_end(&p);
		require(sync_env_read(buf, n, SYNC_DATA_MAX, SYNC_CHAN_DATA, &again, &used) == SYNC_OK);
		sync_unpack_begin(&v, &again);
		require(sync_unpack_next(&v, &back, st) == SYNC_OK);
		require(memcmp(&rec, &back, sizeof(rec)) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sync_wire_stats st = { 0 };
	if (size == 0)
		return 0;
	bool ctl = (data[0] & 1) == 0;
	size_t at = 1, used;
	while (at < size) {
		struct sync_env env;
		enum sync_drop d = sync_env_read(data + at, size - at, ctl ? SYNC_CTL_MAX : SYNC_DATA_MAX,
						 ctl ? SYNC_CHAN_CTL : SYNC_CHAN_DATA, &env, &used);
		sync_wire_count(&st, d);
		if (d == SYNC_OK && env.type >= SYNC_OBJ_SESSION)
			objects(&env, &st);
		else if (d == SYNC_OK)
			message(&env, &st);
		if (used == 0)
			break;
		at += used;
	}
	return 0;
}
