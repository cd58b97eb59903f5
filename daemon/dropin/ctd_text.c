/* conntrackd's texts. Blanks and tabs are as conntrackd 1.4.7 prints them: other programs cut them into columns. */
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include "daemon/dropin/ctd_text.h"

static long long num(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

bool ctd_view_find(const char *word, enum ctd_view *out)
{
	/* conntrackd looks at the first letters only: exp is expect */
	static const struct {
		const char *word;
		enum ctd_view view;
	} views[] = {
		{ "network", CTD_VIEW_NETWORK }, { "cache", CTD_VIEW_CACHE },     { "runtime", CTD_VIEW_RUNTIME },
		{ "link", CTD_VIEW_LINK },       { "rsqueue", CTD_VIEW_RSQUEUE }, { "queue", CTD_VIEW_QUEUE },
		{ "process", CTD_VIEW_PROCESS }, { "ct", CTD_VIEW_GENERAL },      { "expect", CTD_VIEW_EXPECT },
	};
	*out = CTD_VIEW_GENERAL;
	if (!word)
		return true;
	for (unsigned i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		if (*word && strncmp(views[i].word, word, strlen(word)) == 0) {
			*out = views[i].view;
			return true;
		}
	}
	return false;
}

static void cache(const char *name, const json_t *c, FILE *out)
{
	fprintf(out, "cache %s:\n", name);
	fprintf(out, "current active connections:\t%12lld\n", num(c, "active"));
	fprintf(out, "connections created:\t\t%12lld\tfailed:\t%12lld\n", num(c, "created"), num(c, "created_failed"));
	fprintf(out, "connections updated:\t\t%12lld\tfailed:\t%12lld\n", num(c, "updated"), num(c, "updated_failed"));
	fprintf(out, "connections destroyed:\t\t%12lld\tfailed:\t%12lld\n\n", num(c, "destroyed"),
		num(c, "destroyed_failed"));
}

static void cache_more(const char *name, const json_t *c, FILE *out)
{
	long long failed = num(c, "created_failed");

	fprintf(out, "cache:%s\tactive objects:\t\t%12lld\n", name, num(c, "active"));
	fprintf(out, "\tactive/total entries:\t\t%12lld/%12lld\n", num(c, "active"), num(c, "active"));
	fprintf(out, "\tcreation OK/failed:\t\t%12lld/%12lld\n", num(c, "created"), failed);
	fprintf(out, "\t\tno memory available:\t%12d\n\t\tno space left in cache:\t%12lld\n", 0, failed);
	fprintf(out, "\tupdate OK/failed:\t\t%12lld/%12lld\n", num(c, "updated"), num(c, "updated_failed"));
	fprintf(out, "\t\tentry not found:\t%12lld\n", num(c, "updated_failed"));
	fprintf(out, "\tdeletion created/failed:\t%12lld/%12lld\n", num(c, "destroyed"), num(c, "destroyed_failed"));
	fprintf(out, "\t\tentry not found:\t%12lld\n\n", num(c, "destroyed_failed"));
}

static const char *kind_name(const struct dconf_link *k)
{
	return k->kind == DCONF_LINK_MULTICAST ? "multicast" : k->kind == DCONF_LINK_UDP ? "UDP" : "TCP";
}

static void traffic_rows(const json_t *ch, FILE *out)
{
	fprintf(out, "%20lld Bytes sent %20lld Bytes recv\n", num(ch, "bytes_sent"), num(ch, "bytes_received"));
	fprintf(out, "%20lld Pckts sent %20lld Pckts recv\n", num(ch, "packets_sent"), num(ch, "packets_received"));
	fprintf(out, "%20lld Error send %20lld Error recv\n\n", num(ch, "errors_sent"), num(ch, "errors_received"));
}

static void traffic(const json_t *ch, const struct dconf_link *k, FILE *out)
{
	fprintf(out, "%s traffic (active device=%s)", kind_name(k), k->ifname);
	if (k->kind == DCONF_LINK_TCP)
		fprintf(out, " server=%s client=%s", *text(ch, "device") ? "connected" : "disconnected",
			*text(ch, "device") ? "connected" : "disconnected");
	fprintf(out, ":\n");
	traffic_rows(ch, out);
}

static void general(const json_t *s, const struct dconf_link *k, FILE *out)
{
	const json_t *t = json_object_get(s, "traffic"), *m = json_object_get(s, "messages");

	cache("internal", json_object_get(s, "internal"), out);
	cache("external", json_object_get(s, "external"), out);
	fprintf(out, "traffic processed:\n%20lld Bytes      %20lld Pckts\n\n", num(t, "bytes"), num(t, "packets"));
	traffic(json_object_get(s, "channel"), k, out);
	fprintf(out, "message tracking:\n%20lld Malformed msgs %20lld Lost msgs\n\n", num(m, "malformed"),
		num(m, "lost"));
}

/* What is refused has other reasons here than a datagram's: they are counted together, in the first row. */
static void network(const json_t *s, const struct dconf_link *k, FILE *out)
{
	const json_t *m = json_object_get(s, "messages"), *ch = json_object_get(s, "channel");

	fprintf(out, "network statistics:\n\trecv:\n\t\tMalformed messages:\t%20lld\n", num(m, "malformed"));
	fprintf(out, "\t\tWrong protocol version:\t%20u\n\t\tMalformed header:\t%20u\n", 0, 0);
	fprintf(out, "\t\tMalformed payload:\t%20u\n\t\tBad message type:\t%20u\n", 0, 0);
	fprintf(out, "\t\tTruncated message:\t%20u\n\t\tBad message size:\t%20u\n", 0, 0);
	fprintf(out, "\tsend:\n\t\tMalformed messages:\t%20u\n\n", 0);
	fprintf(out,
		"sequence tracking statistics:\n\trecv:\n\t\tPackets lost:\t\t%20lld\n\t\tPackets before:\t\t%20u\n\n",
		num(m, "lost"), 0);
	traffic(ch, k, out);
}

static void uptime(long long us, FILE *out)
{
	long long s = us / 1000000, days = s / 86400, hours = s / 3600 % 24, min = s / 60 % 60;

	fprintf(out, "daemon uptime: ");
	if (days)
		fprintf(out, "%lld day%s ", days, days > 1 ? "s" : "");
	if (hours)
		fprintf(out, "%lld h ", hours);
	fprintf(out, "%lld min\n\n", min);
}

static void runtime(const json_t *s, const json_t *version, FILE *out)
{
	const json_t *ours = json_object_get(s, "ours"), *ev = json_object_get(ours, "events");

	uptime(num(version, "uptime_us"), out);
	fprintf(out, "netlink stats:\n\tevents received:\t%20lld\n\tevents filtered:\t%20lld\n", num(ev, "received"),
		num(ev, "own"));
	fprintf(out, "\tevents unknown type:\t\t%12u\n\tcatch event failed:\t\t%12u\n\tdump unknown type:\t\t%12u\n", 0,
		0, 0);
	fprintf(out, "\tnetlink overrun:\t\t%12lld\n\tflush kernel table:\t\t%12u\n", num(ev, "overruns"), 0);
	fprintf(out, "\tresync with kernel table:\t%12lld\n", num(ev, "dumps"));
	fprintf(out, "\tcurrent buffer size (in bytes):\t%12lld\n\n", num(ev, "buffer_bytes"));
	fprintf(out, "runtime stats:\n\tchild process failed:\t\t%12u\n\t\tchild process segfault:\t%12u\n", 0, 0);
	fprintf(out, "\t\tchild process termsig:\t%12u\n\tselect failed:\t\t\t%12u\n\twait failed:\t\t\t%12u\n", 0, 0,
		0);
	fprintf(out, "\tlocal read failed:\t\t%12u\n\tlocal unknown request:\t\t%12u\n\n", 0, 0);
}

static void queue(const char *name, long long now, long long most, FILE *out)
{
	fprintf(out, "queue %s:\ncurrent elements:\t\t%12lld\nmaximum elements:\t\t%12lld\n", name, now, most);
	fprintf(out, "not enough space errors:\t%12u\n\n", 0);
}

void ctd_text_stats(enum ctd_view view, const json_t *stats, const json_t *version, const struct dconf_link *k,
		    FILE *out)
{
	const json_t *ours = json_object_get(stats, "ours");
	long long dirty = num(ours, "dirty"), limit = num(json_object_get(ours, "table"), "limit");

	switch (view) {
	case CTD_VIEW_GENERAL:
		general(stats, k, out);
		return;
	case CTD_VIEW_NETWORK:
		network(stats, k, out);
		return;
	case CTD_VIEW_CACHE:
		cache_more("internal", json_object_get(stats, "internal"), out);
		cache_more("external", json_object_get(stats, "external"), out);
		return;
	case CTD_VIEW_RUNTIME:
		runtime(stats, version, out);
		return;
	case CTD_VIEW_LINK:
		fprintf(out, "%s traffic device=%s status=%s role=ACTIVE:\n", kind_name(k), k->ifname,
			*text(json_object_get(stats, "channel"), "device") ? "RUNNING" : "DOWN");
		traffic_rows(json_object_get(stats, "channel"), out);
		return;
	case CTD_VIEW_RSQUEUE:
		fprintf(out, "resent queue (len=%lld)\n", dirty);
		return;
	case CTD_VIEW_QUEUE:
		fprintf(out, "allocated queue nodes:\t\t%12lld\n\n", dirty);
		queue("txqueue", dirty, limit, out);
		queue("errorq", 0, 0, out);
		queue("rsqueue", dirty, limit, out);
		return;
	case CTD_VIEW_PROCESS:
	case CTD_VIEW_EXPECT:
		return;
	}
}

/* ---- sessions ---- */

static bool is_icmp(int l4)
{
	return l4 == IPPROTO_ICMP || l4 == IPPROTO_ICMPV6;
}

static bool has_ports(int l4)
{
	return l4 == IPPROTO_TCP || l4 == IPPROTO_UDP || l4 == IPPROTO_UDPLITE || l4 == IPPROTO_SCTP ||
	       l4 == IPPROTO_DCCP;
}

static void tuple_text(const json_t *t, int l4, FILE *out)
{
	long long sport = num(t, "source_port"), dport = num(t, "destination_port");

	fprintf(out, "src=%s dst=%s ", text(t, "source"), text(t, "destination"));
	if (is_icmp(l4))
		fprintf(out, "type=%lld code=%lld id=%lld ", dport >> 8, dport & 0xff, sport);
	else if (l4 == IPPROTO_GRE)
		fprintf(out, "srckey=0x%llx dstkey=0x%llx ", sport, dport);
	else if (has_ports(l4))
		fprintf(out, "sport=%lld dport=%lld ", sport, dport);
}

void ctd_text_session(const json_t *row, FILE *out)
{
	int l4 = (int)num(row, "protocol_number");
	const char *state = text(json_object_get(row, "tcp"), "state");

	fprintf(out, "%-8s %d %s%s", text(row, "protocol"), l4, state, *state ? " " : "");
	tuple_text(json_object_get(row, "original"), l4, out);
	if (!json_is_true(json_object_get(row, "seen_reply")))
		fprintf(out, "[UNREPLIED] ");
	tuple_text(json_object_get(row, "reply"), l4, out);
	if (json_is_true(json_object_get(row, "assured")))
		fprintf(out, "[ASSURED] ");
	fprintf(out, "mark=%lld", num(row, "mark"));
	if (num(row, "zone"))
		fprintf(out, " zone=%lld", num(row, "zone"));
	fprintf(out, "\n");
}

static void tuple_xml(const char *direction, const json_t *row, const json_t *t, FILE *out)
{
	int l4 = (int)num(row, "protocol_number");
	bool six = strchr(text(t, "source"), ':') != NULL;

	fprintf(out,
		"<meta direction=\"%s\"><layer3 protonum=\"%d\" protoname=\"%s\"><src>%s</src><dst>%s</dst></layer3>",
		direction, six ? 10 : 2, six ? "ipv6" : "ipv4", text(t, "source"), text(t, "destination"));
	fprintf(out, "<layer4 protonum=\"%d\" protoname=\"%s\">", l4, text(row, "protocol"));
	if (has_ports(l4))
		fprintf(out, "<sport>%lld</sport><dport>%lld</dport>", num(t, "source_port"),
			num(t, "destination_port"));
	fprintf(out, "</layer4></meta>");
}

void ctd_text_session_xml(const json_t *row, FILE *out)
{
	const char *state = text(json_object_get(row, "tcp"), "state");

	fprintf(out, "<flow>");
	tuple_xml("original", row, json_object_get(row, "original"), out);
	tuple_xml("reply", row, json_object_get(row, "reply"), out);
	fprintf(out, "<meta direction=\"independent\">");
	if (*state)
		fprintf(out, "<state>%s</state>", state);
	fprintf(out, "<mark>%lld</mark>", num(row, "mark"));
	if (num(row, "zone"))
		fprintf(out, "<zone>%lld</zone>", num(row, "zone"));
	fprintf(out, "<id>%lld</id>", num(row, "id"));
	if (json_is_true(json_object_get(row, "assured")))
		fprintf(out, "<assured/>");
	if (!json_is_true(json_object_get(row, "seen_reply")))
		fprintf(out, "<unreplied/>");
	fprintf(out, "</meta></flow>\n");
}
