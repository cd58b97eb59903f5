/* The channel between two nodes: handshakes that work, each way they fail with its own word on both ends, and the life of a
 * ctl connection. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "tests/unit/peer_ends.h"

START_TEST(handshake)
{
	if (_i == 1)
		a.conf.insecure = b.conf.insecure = true;
	start_both();
	until(a.hellos == 1 && b.hellos == 1);
	ck_assert(peer_ctl_up(a.ctl, 2) && peer_ctl_up(b.ctl, 1));
	ck_assert_uint_eq(peer_ctl_hello(a.ctl, 2)->boot_nonce, 22);
	ck_assert_uint_eq(peer_ctl_hello(b.ctl, 1)->boot_nonce, 11);
	ck_assert_uint_eq(peer_ctl_hello(b.ctl, 1)->config_digest[3], 4);
	struct peer_msg m = { .type = PEER_TAKE, .group = 7 };
	ck_assert_int_eq(peer_ctl_send(a.ctl, 2, &m), 0);
	m.group = 9;
	ck_assert_int_eq(peer_ctl_send(b.ctl, 1, &m), 0);
	ck_assert_int_eq(peer_ctl_send(b.ctl, 3, &m), -ENOENT);
	until(a.takes == 1 && b.takes == 1);
	ck_assert_uint_eq(b.last_group, 7);
	ck_assert_uint_eq(a.last_group, 9);
	ck_assert(link_of(&a).up && link_of(&a).dials && !link_of(&b).dials);
	/* A goodbye is told with its words. */
	peer_ctl_free(a.ctl, "maintenance");
	a.ctl = NULL;
	until(b.downs == 1);
	ck_assert_int_eq(b.why, PEER_WHY_CLOSED);
	ck_assert_msg(strstr(b.text, "maintenance") != NULL, "%s", b.text);
}
END_TEST

START_TEST(two_links_deliver_once)
{
	conf_init(&a.conf, 1, 2, key1);
	conf_init(&b.conf, 2, 2, key1);
	start_both();
	until(a.hellos == 2 && b.hellos == 2);
	ck_assert_uint_eq(a.ups, 1); /* the channel is one */
	struct peer_msg m = { .type = PEER_TAKE };
	for (unsigned i = 0; i < 40; i++)
		ck_assert_int_eq(peer_ctl_send(a.ctl, 2, &m), 0);
	until(b.takes == 40);
	heartbeat(&a);
	until(b.heartbeats == 1);
	run_for(30 * NS_PER_MS);
	ck_assert_uint_eq(b.takes, 40);
	ck_assert_uint_eq(b.heartbeats, 1);
	struct peer_link_info i[2];
	peer_ctl_links(b.ctl, 1, i, 2);
	ck_assert_uint_eq(i[0].rx_records, 42);
	ck_assert_uint_eq(i[1].rx_records, 42);
}
END_TEST

START_TEST(silence_and_return)
{
	start_both();
	until(a.ups == 1 && b.ups == 1);
	mono_t t = clock_mono();
	until(a.downs == 1 && b.downs == 1);
	ck_assert_int_ge(mono_sub(clock_mono(), t), 250 * NS_PER_MS);
	ck_assert_int_eq(a.why, PEER_WHY_SILENT);
	heartbeat(&a);
	until(b.ups == 2);
	ck_assert_uint_eq(a.ups, 1);
	ck_assert_int_gt(peer_ctl_last_heard(b.ctl, 1).ns, t.ns);
}
END_TEST

START_TEST(probe)
{
	start_both();
	until(a.ups == 1 && b.ups == 1);
	ck_assert_int_eq(peer_ctl_probe(a.ctl, 2), 0);
	ck_assert_int_eq(peer_ctl_probe(a.ctl, 2), -EALREADY);
	until(a.probe == PEER_PROBE_ANSWERED);
	/* The listening end asks the dialler: nothing listens there. */
	ck_assert_int_eq(peer_ctl_probe(b.ctl, 1), 0);
	until(b.probe == PEER_PROBE_REFUSED);
	peer_listen_free(b.listen);
	b.listen = NULL;
	ck_assert_int_eq(peer_ctl_probe(a.ctl, 2), 0);
	until(a.probe == PEER_PROBE_REFUSED);
	ck_assert_int_eq(peer_ctl_probe(a.ctl, 9), -ENOENT);
}
END_TEST

START_TEST(reconnect_and_new_boot)
{
	start_both();
	until(a.ups == 1 && b.ups == 1);
	struct peer_msg m = { .type = PEER_TAKE };
	for (unsigned i = 0; i < 5; i++)
		peer_ctl_send(a.ctl, 2, &m);
	until(b.takes == 5);
	peer_ctl_free(a.ctl, NULL);
	until(b.downs == 1);
	ck_assert_int_eq(b.why, PEER_WHY_EOF);
	start_ctl(&a, 12); /* the process was started anew: its numbers begin at 1 again */
	until(b.ups == 2 && a.ups == 2);
	peer_ctl_send(a.ctl, 2, &m);
	until(b.takes == 6);
}
END_TEST

START_TEST(keys_differ)
{
	strcpy(b.conf.key_file, key2);
	start_both();
	until(link_of(&a).why == PEER_WHY_KEY_ID && peer_listen_stats(b.listen)->refused[PEER_WHY_KEY_ID] > 0);
	ck_assert_msg(strstr(link_of(&a).text, "kt1:1:2:") != NULL, "%s", link_of(&a).text);
	ck_assert_uint_eq(a.ups + b.ups, 0);
}
END_TEST

START_TEST(rotation)
{
	char line[256];
	/* Node 1 has the new key above the old one, node 2 still has the old one only. */
	FILE *old = fopen(key1, "r"), *new = fopen(key2, "a");
	ck_assert(old && new);
	while (fgets(line, sizeof(line), old))
		fputs(line, new);
	fclose(old);
	fclose(new);
	strcpy(a.conf.key_file, key2);
	start_both();
	until(a.ups == 1 && b.ups == 1);
	ck_assert_uint_ge(peer_listen_stats(b.listen)->refused[PEER_WHY_KEY_ID], 1);
	ck_assert_uint_ge(link_of(&a).attempts, 2);
}
END_TEST

START_TEST(other_cluster)
{
	strcpy(b.conf.cluster, "lab");
	if (_i == 1)
		a.conf.insecure = b.conf.insecure = true;
	start_both();
	until(link_of(&a).why == PEER_WHY_CLUSTER);
	ck_assert_uint_ge(peer_listen_stats(b.listen)->refused[PEER_WHY_CLUSTER], 1);
	ck_assert_uint_eq(a.ups + b.ups, 0);
}
END_TEST

START_TEST(unknown_node)
{
	b.conf.nodes[0].id = 3; /* node 2 knows node 3 at that address, not node 1 */
	if (_i == 1)
		a.conf.insecure = b.conf.insecure = true;
	start_both();
	until(link_of(&a).why == PEER_WHY_UNKNOWN_NODE);
	ck_assert_uint_ge(peer_listen_stats(b.listen)->refused[PEER_WHY_UNKNOWN_NODE], 1);
}
END_TEST

START_TEST(own_id)
{
	b.conf.self = 1;
	b.conf.nodes[0].id = 2;
	b.conf.nodes[1].id = 1;
	start_listen(&b);
	start_ctl(&a, 11);
	until(peer_listen_stats(b.listen)->refused[PEER_WHY_OWN_ID] >= 1);
	until(link_of(&a).why == PEER_WHY_UNKNOWN_NODE);
}
END_TEST

START_TEST(plaintext_on_one_side)
{
	(_i == 0 ? &a : &b)->conf.insecure = true;
	start_both();
	until(link_of(&a).why != PEER_WHY_NONE);
	if (_i == 0) /* the plaintext dialler sees only that it is not wanted */
		until(peer_listen_stats(b.listen)->refused[PEER_WHY_NOT_TLS] >= 1);
	else
		until(link_of(&a).why == PEER_WHY_NOT_TLS &&
		      peer_listen_stats(b.listen)->refused[PEER_WHY_NOT_TLS] >= 1);
	ck_assert_uint_eq(a.ups + b.ups, 0);
}
END_TEST

START_TEST(nobody_listens)
{
	start_ctl(&a, 11);
	until(link_of(&a).why == PEER_WHY_REFUSED);
	until(link_of(&a).attempts >= 3); /* it goes on */
}
END_TEST

START_TEST(reload)
{
	static struct sync_conf now;
	char err[256] = "";
	start_both();
	until(a.ups == 1 && b.ups == 1);
	now = a.conf;
	strcpy(now.key_file, "/nonexistent");
	ck_assert_int_eq(peer_ctl_conf(a.ctl, &now, digest, err, sizeof(err)), -ENOENT);
	ck_assert(strstr(err, "/nonexistent") != NULL);
	now = a.conf; /* nothing that concerns the peer: the connection stays */
	ck_assert_int_eq(peer_ctl_conf(a.ctl, &now, digest, err, sizeof(err)), 0);
	heartbeat(&a);
	until(b.heartbeats == 1);
	ck_assert_uint_eq(a.downs + b.downs, 0);
	/* New digests are told, and the peer's are judged anew here. */
	static const uint64_t other_digest[4] = { 1, 2, 3, 5 };
	unsigned hellos = a.hellos;
	ck_assert_int_eq(peer_ctl_conf(a.ctl, &now, other_digest, err, sizeof(err)), 0);
	until(b.hellos == 2 && a.hellos == hellos + 1);
	ck_assert_uint_eq(peer_ctl_hello(b.ctl, 1)->config_digest[3], 5);
	ck_assert_uint_eq(a.downs + b.downs, 0);
	/* The listener keeps its socket; another port makes a new one. */
	struct sync_conf later = b.conf;
	ck_assert_int_eq(peer_listen_conf(b.listen, &later, b.tls, err, sizeof(err)), 0);
	later.port = PORT + 1;
	ck_assert_int_eq(peer_listen_conf(b.listen, &later, b.tls, err, sizeof(err)), 0);
	ck_assert_int_eq(peer_ctl_probe(a.ctl, 2), 0);
	until(a.probe == PEER_PROBE_REFUSED);
	now.nodes[1].id = 4; /* node 2 is gone from the configuration */
	static struct sync_conf other;
	other = now;
	ck_assert_int_eq(peer_ctl_conf(a.ctl, &other, digest, err, sizeof(err)), 0);
	ck_assert_uint_eq(a.downs, 1);
	ck_assert(peer_ctl_hello(a.ctl, 2) == NULL);
	until(b.downs == 1);
}
END_TEST

/* The same process, another connection: its messages are new ones, however many there were before. */
START_TEST(left_and_came_back)
{
	static struct sync_conf with, without;
	char err[256] = "";
	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	start_both();
	until(a.ups == 1 && b.ups == 1);
	for (unsigned i = 1; i <= 200; i++) {
		heartbeat(&a);
		heartbeat(&b);
		until(b.heartbeats == i && a.heartbeats == i);
	}
	with = without = a.conf;
	without.nodes[1].id = 4;
	ck_assert_int_eq(peer_ctl_conf(a.ctl, &without, digest, err, sizeof(err)), 0);
	until(b.downs == 1);
	ck_assert_int_eq(peer_ctl_conf(a.ctl, &with, digest, err, sizeof(err)), 0);
	until(a.ups == 2 && b.ups == 2);
	heartbeat(&a);
	until(b.heartbeats == 201);
	heartbeat(&b);
	until(a.heartbeats == 201);
}
END_TEST

START_TEST(identities)
{
	static const struct {
		const char *text;
		enum peer_why want;
	} rows[] = {
		{ "kt1:1:2:abcdef01:edge", PEER_WHY_UP },
		{ "kt1:1:2:-:edge", PEER_WHY_UP },
		{ "kt1:1:2:abcdef01:lab", PEER_WHY_CLUSTER },
		{ "kt1:1:2:abcdef01:", PEER_WHY_CLUSTER },
		{ "kt1:2:2:abcdef01:edge", PEER_WHY_OWN_ID },
		{ "kt1:7:2:abcdef01:edge", PEER_WHY_UNKNOWN_NODE },
		{ "kt1:1:3:abcdef01:edge", PEER_WHY_UNKNOWN_NODE },
		{ "kt2:1:2:abcdef01:edge", PEER_WHY_MALFORMED },
		{ "kt1:0:2:abcdef01:edge", PEER_WHY_MALFORMED },
		{ "kt1:1:x:abcdef01:edge", PEER_WHY_MALFORMED },
		{ "kt1:99999999999:2:abcdef01:edge", PEER_WHY_MALFORMED },
		{ "kt1:1:2:abcdef012:edge", PEER_WHY_MALFORMED },
		{ "kt1:1:2", PEER_WHY_MALFORMED },
		{ "kt1", PEER_WHY_MALFORMED },
		{ "", PEER_WHY_MALFORMED },
		{ "kt1:1:2:abcdef01:ed\nge", PEER_WHY_MALFORMED },
	};
	uint32_t node;
	char key[9], text[160];
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum peer_why w =
		    peer_identity_check(&b.conf, rows[i].text, strlen(rows[i].text), &node, key, text, sizeof(text));
		ck_assert_msg(w == rows[i].want, "'%s': %s", rows[i].text, peer_why_name(w));
	}
	char id[PEER_IDENTITY_MAX];
	peer_identity_write(&a.conf, 2, "abcdef01", id);
	ck_assert_str_eq(id, rows[0].text);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("two nodes");

	tcase_add_loop_test(t, handshake, 0, 2);
	tcase_add_test(t, two_links_deliver_once);
	tcase_add_test(t, silence_and_return);
	tcase_add_test(t, probe);
	tcase_add_test(t, reconnect_and_new_boot);
	tcase_add_test(t, keys_differ);
	tcase_add_test(t, rotation);
	tcase_add_loop_test(t, other_cluster, 0, 2);
	tcase_add_loop_test(t, unknown_node, 0, 2);
	tcase_add_test(t, own_id);
	tcase_add_loop_test(t, plaintext_on_one_side, 0, 2);
	tcase_add_test(t, nobody_listens);
	tcase_add_test(t, reload);
	tcase_add_test(t, left_and_came_back);
	tcase_add_test(t, identities);
	return peer_ends_run("peer_tls", t);
}
