/* Called conntrackd: its command line, its texts, and how routers find each other. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/dropin/ctd_find.h"
#include "daemon/dropin/ctd_main.h"
#include "tests/unit/run.h"

static struct ctd_args args_of(const char *line)
{
	static char text[200];
	char *argv[12] = { NULL };
	int argc = 0;
	struct ctd_args a;

	snprintf(text, sizeof(text), "conntrackd %s", line);
	char *rest = NULL;
	for (char *p = strtok_r(text, " ", &rest); p; p = strtok_r(NULL, " ", &rest))
		argv[argc++] = p;
	ctd_args_parse(&a, argc, argv);
	return a;
}

START_TEST(verbs)
{
	static const struct {
		const char *line;
		enum ctd_verb verb;
	} rows[] = {
		{ "", CTD_RUN },
		{ "-d", CTD_RUN },
		{ "-C /x -d", CTD_RUN },
		{ "-c", CTD_COMMIT },
		{ "-C /x -c expect", CTD_COMMIT },
		{ "-c exp", CTD_COMMIT },
		{ "-f", CTD_FLUSH },
		{ "-f internal", CTD_FLUSH },
		{ "-F", CTD_FLUSH_KERNEL },
		{ "-R", CTD_RESYNC_KERNEL },
		{ "-R expect -C /x", CTD_RESYNC_KERNEL },
		{ "-B", CTD_BULK },
		{ "-t", CTD_PURGE },
		{ "-n", CTD_RESYNC },
		{ "-k", CTD_KILL },
		{ "-s", CTD_STATS },
		{ "-s network", CTD_STATS },
		{ "-i", CTD_INTERNAL },
		{ "-i ct -x", CTD_INTERNAL },
		{ "-i -e", CTD_EXTERNAL },
		{ "-v", CTD_VERSION },
		{ "-h", CTD_HELP },
		{ "-s -d", CTD_BAD },
		{ "-x", CTD_BAD },
		{ "-n -x", CTD_BAD },
		{ "-q", CTD_BAD },
		{ "foo", CTD_BAD },
		{ "-C", CTD_BAD },
		{ "-f both", CTD_BAD },
		{ "-s bogus", CTD_BAD },
		{ "-dC /x", CTD_BAD },
	};
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ctd_args a = args_of(rows[i].line);
		ck_assert_msg(a.ask.verb == rows[i].verb, "'%s' is verb %d, not %d: %s", rows[i].line, a.ask.verb,
			      rows[i].verb, a.error);
	}
}
END_TEST

START_TEST(their_words)
{
	struct ctd_args a = args_of("-C /etc/c.conf -f external");

	ck_assert_str_eq(a.config, "/etc/c.conf");
	ck_assert(a.ask.external && !a.ask.internal);
	a = args_of("-i expect -x");
	ck_assert(a.ask.expect && a.ask.xml);
	a = args_of("-s exp");
	ck_assert_int_eq(a.ask.view, CTD_VIEW_EXPECT);
	a = args_of("-d");
	ck_assert(a.background);
	ck_assert_str_eq(a.config, CTD_CONFIG);
	a = args_of("-s bogus");
	ck_assert_str_eq(a.error, "unknown parameter `bogus' for option `-s'");
	ck_assert(!a.usage_ok);
	a = args_of("-q");
	ck_assert_str_eq(a.error, "Unknown option: -q");
	ck_assert(a.usage_ok); /* conntrackd ends with 0 there */
}
END_TEST

static char *buf;
static size_t len;

static FILE *begin(void)
{
	free(buf);
	buf = NULL;
	FILE *f = open_memstream(&buf, &len);
	ck_assert_ptr_nonnull(f);
	return f;
}

static json_t *statistics(void)
{
	json_t *j = json_loads(
	    "{\"internal\":{\"active\":10,\"created\":8517,\"created_failed\":1,\"updated\":127,\"updated_failed\":0,"
	    "\"destroyed\":8507,\"destroyed_failed\":0},\"external\":{\"active\":3},"
	    "\"traffic\":{\"bytes\":5,\"packets\":2},\"channel\":{\"device\":\"10.9.0.2\",\"bytes_sent\":868780,"
	    "\"bytes_received\":224136,\"packets_sent\":20595,\"packets_received\":14034},"
	    "\"messages\":{\"malformed\":4,\"lost\":6},"
	    "\"ours\":{\"dirty\":7,\"table\":{\"limit\":1000},\"events\":{\"received\":100,\"overruns\":2}}}",
	    0, NULL);

	ck_assert_ptr_nonnull(j);
	return j;
}

/* Byte for byte as conntrackd 1.4.7 prints it. */
START_TEST(general_statistics)
{
	static const char want[] = "cache internal:\n"
				   "current active connections:\t          10\n"
				   "connections created:\t\t        8517\tfailed:\t           1\n"
				   "connections updated:\t\t         127\tfailed:\t           0\n"
				   "connections destroyed:\t\t        8507\tfailed:\t           0\n"
				   "\n"
				   "cache external:\n"
				   "current active connections:\t           3\n"
				   "connections created:\t\t           0\tfailed:\t           0\n"
				   "connections updated:\t\t           0\tfailed:\t           0\n"
				   "connections destroyed:\t\t           0\tfailed:\t           0\n"
				   "\n"
				   "traffic processed:\n"
				   "                   5 Bytes                         2 Pckts\n"
				   "\n"
				   "multicast traffic (active device=eth0):\n"
				   "              868780 Bytes sent               224136 Bytes recv\n"
				   "               20595 Pckts sent                14034 Pckts recv\n"
				   "                   0 Error send                    0 Error recv\n"
				   "\n"
				   "message tracking:\n"
				   "                   4 Malformed msgs                    6 Lost msgs\n"
				   "\n";
	const struct dconf_link link = { .kind = DCONF_LINK_MULTICAST, .ifname = "eth0" };
	json_t *s = statistics();
	FILE *f = begin();

	ctd_text_stats(CTD_VIEW_GENERAL, s, NULL, &link, f);
	fclose(f);
	ck_assert_str_eq(buf, want);
	json_decref(s);
}
END_TEST

START_TEST(other_views)
{
	static const struct {
		enum ctd_view view;
		const char *begin, *word;
	} rows[] = {
		{ CTD_VIEW_NETWORK, "network statistics:\n\trecv:\n\t\tMalformed messages:\t                   4\n",
		  "\t\tPackets lost:\t\t                   6\n" },
		{ CTD_VIEW_CACHE, "cache:internal\tactive objects:\t\t          10\n",
		  "\tcreation OK/failed:\t\t        8517/           1\n" },
		{ CTD_VIEW_RUNTIME,
		  "daemon uptime: 1 day 1 h 1 min\n\nnetlink stats:\n\tevents received:\t                 100\n",
		  "\tnetlink overrun:\t\t           2\n" },
		{ CTD_VIEW_LINK, "UDP traffic device=lk status=RUNNING role=ACTIVE:\n", "868780 Bytes sent" },
		{ CTD_VIEW_RSQUEUE, "resent queue (len=7)\n", "" },
		{ CTD_VIEW_QUEUE,
		  "allocated queue nodes:\t\t           7\n\nqueue txqueue:\ncurrent elements:\t\t           7\n",
		  "queue rsqueue:\n" },
		{ CTD_VIEW_PROCESS, "", "" },
		{ CTD_VIEW_EXPECT, "", "" },
	};
	const struct dconf_link link = { .kind = DCONF_LINK_UDP, .ifname = "lk" };
	json_t *s = statistics(), *v = json_pack("{s:I}", "uptime_us", (json_int_t)90060 * 1000000);

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		FILE *f = begin();
		ctd_text_stats(rows[i].view, s, v, &link, f);
		fclose(f);
		ck_assert_msg(strncmp(buf, rows[i].begin, strlen(rows[i].begin)) == 0, "%s", buf);
		ck_assert_msg(strstr(buf, rows[i].word) != NULL, "%s", buf);
	}
	json_decref(s);
	json_decref(v);
}
END_TEST

START_TEST(sessions)
{
	static const char tcp[] =
	    "{\"id\":9,\"protocol\":\"tcp\",\"protocol_number\":6,\"tcp\":{\"state\":\"ESTABLISHED\"},"
	    "\"zone\":3,\"mark\":5,\"assured\":true,\"seen_reply\":true,"
	    "\"original\":{\"source\":\"fd00::1\",\"destination\":\"fd00::2\",\"source_port\":1000,"
	    "\"destination_port\":80},\"reply\":{\"source\":\"fd00::2\",\"destination\":\"fd00::1\","
	    "\"source_port\":80,\"destination_port\":1000}}";
	static const char icmp[] =
	    "{\"id\":9,\"protocol\":\"icmp\",\"protocol_number\":1,\"tcp\":null,"
	    "\"original\":{\"source\":\"10.1.1.1\",\"destination\":\"10.2.2.2\",\"source_port\":77,"
	    "\"destination_port\":2048},\"reply\":{\"source\":\"10.2.2.2\",\"destination\":"
	    "\"10.1.1.1\",\"source_port\":77,\"destination_port\":0}}";
	json_t *j = json_loads(tcp, 0, NULL);
	FILE *f = begin();

	ctd_text_session(j, f);
	ctd_text_session_xml(j, f);
	fclose(f);
	ck_assert_str_eq(
	    buf,
	    "tcp      6 ESTABLISHED src=fd00::1 dst=fd00::2 sport=1000 dport=80 src=fd00::2 dst=fd00::1 sport=80 "
	    "dport=1000 [ASSURED] mark=5 zone=3\n"
	    "<flow><meta direction=\"original\"><layer3 protonum=\"10\" protoname=\"ipv6\"><src>fd00::1</src>"
	    "<dst>fd00::2</dst></layer3><layer4 protonum=\"6\" protoname=\"tcp\"><sport>1000</sport><dport>80</dport>"
	    "</layer4></meta><meta direction=\"reply\"><layer3 protonum=\"10\" protoname=\"ipv6\"><src>fd00::2</src>"
	    "<dst>fd00::1</dst></layer3><layer4 protonum=\"6\" protoname=\"tcp\"><sport>80</sport><dport>1000</dport>"
	    "</layer4></meta><meta direction=\"independent\"><state>ESTABLISHED</state><mark>5</mark><zone>3</zone>"
	    "<id>9</id><assured/></meta></flow>\n");
	json_decref(j);
	j = json_loads(icmp, 0, NULL);
	f = begin();
	ctd_text_session(j, f);
	fclose(f);
	ck_assert_str_eq(buf, "icmp     1 src=10.1.1.1 dst=10.2.2.2 type=8 code=0 id=77 [UNREPLIED] src=10.2.2.2 "
			      "dst=10.1.1.1 type=0 code=0 id=77 mark=0\n");
	json_decref(j);
	free(buf);
	buf = NULL;
}
END_TEST

START_TEST(find_datagram)
{
	struct dconf_peer in = { { { ADDR_V4, { 10, 9, 0, 1 } }, { ADDR_V6, { 0xfd, [15] = 1 } } }, 2 }, out;
	uint8_t bytes[CTD_FIND_BYTES];
	uint16_t port;
	size_t n = ctd_find_encode(&in, 3780, bytes);

	ck_assert(ctd_find_decode(bytes, n, &out, &port));
	ck_assert_uint_eq(out.n_addrs, 2);
	ck_assert(addr_eq(&out.addrs[0], &in.addrs[0]) && addr_eq(&out.addrs[1], &in.addrs[1]));
	ck_assert_uint_eq(port, 3780);
	for (size_t i = 0; i < n; i++)
		ck_assert(!ctd_find_decode(bytes, i, &out, &port));
	bytes[5] = 9;
	ck_assert(!ctd_find_decode(bytes, n, &out, &port));
	bytes[5] = ADDR_V4;
	bytes[0] = 'X';
	ck_assert(!ctd_find_decode(bytes, n, &out, &port));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctd");
	TCase *t = tcase_create("all");

	tcase_add_test(t, verbs);
	tcase_add_test(t, their_words);
	tcase_add_test(t, general_statistics);
	tcase_add_test(t, other_views);
	tcase_add_test(t, sessions);
	tcase_add_test(t, find_datagram);
	suite_add_tcase(s, t);
	return unit_run(s);
}
