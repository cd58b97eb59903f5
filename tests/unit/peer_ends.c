/* Two ends of a channel in one process. */
#include "tests/unit/peer_ends.h"
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/log.h"
#include "sync/key_file.h"
#include "sync/ossl.h"

struct loop *loop;
struct end a, b;
char key1[96], key2[96];
const uint64_t digest[4] = { 1, 2, 3, 4 };
static char dir[64];

static void own_namespace(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
		return; /* the host's loopback does as well */
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert(fd != -1);
	ifr.ifr_flags = IFF_UP;
	ck_assert(ioctl(fd, SIOCSIFFLAGS, &ifr) == 0);
	close(fd);
}

static void on_msg(void *arg, uint32_t node, const struct peer_msg *m)
{
	struct end *e = arg;
	(void)node;
	e->hellos += m->type == PEER_HELLO;
	e->heartbeats += m->type == PEER_HEARTBEAT;
	e->takes += m->type == PEER_TAKE;
	e->last_group = m->group;
}

static void on_state(void *arg, uint32_t node, const struct peer_ctl_state *s)
{
	struct end *e = arg;
	(void)node;
	if (s->up)
		e->ups++;
	else
		e->downs++;
	e->why = s->why;
	snprintf(e->text, sizeof(e->text), "%s", s->text);
}

static void on_probe(void *arg, uint32_t node, enum peer_probe r)
{
	struct end *e = arg;
	(void)node;
	e->probe = (int)r;
}

static const struct peer_ctl_cb ctl_cb = { .on_msg = on_msg, .on_state = on_state, .on_probe = on_probe };

static void on_peer(void *arg, int fd, struct ssl_st *ssl, uint32_t node, unsigned link, bool data)
{
	struct end *e = arg;
	(void)link;
	if (data || !e->ctl) {
		e->data_conns++;
		SSL_free(ssl);
		close(fd);
		return;
	}
	ck_assert_int_eq(peer_ctl_adopt(e->ctl, fd, ssl, node), 0);
}

static const struct peer_listen_cb listen_cb = { .on_peer = on_peer };

void conf_init(struct sync_conf *c, uint32_t self, unsigned links, const char *key)
{
	*c = (struct sync_conf){ .enabled = true, .self = self, .n_nodes = 2, .port = PORT };
	strcpy(c->cluster, "edge");
	strcpy(c->key_file, key);
	for (unsigned n = 0; n < 2; n++) {
		c->nodes[n].id = n + 1;
		c->nodes[n].n_addrs = (uint8_t)links;
		for (unsigned i = 0; i < links; i++)
			c->nodes[n].addrs[i] = addr_v4(127, 0, (uint8_t)i, (uint8_t)(n + 1));
	}
}

static void setup(void)
{
	char err[256];
	own_namespace();
	log_init(&(struct log_conf){ .ident = "check", .level = LOG_L_ERR });
	strcpy(dir, "/tmp/kt-tls-XXXXXX");
	ck_assert(mkdtemp(dir) != NULL);
	snprintf(key1, sizeof(key1), "%s/1", dir);
	snprintf(key2, sizeof(key2), "%s/2", dir);
	ck_assert_int_eq(key_file_generate(key1, err, sizeof(err)), 0);
	ck_assert_int_eq(key_file_generate(key2, err, sizeof(err)), 0);
	loop = loop_new("test");
	ck_assert(loop != NULL);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	a.probe = b.probe = -1;
	conf_init(&a.conf, 1, 1, key1);
	conf_init(&b.conf, 2, 1, key1);
}

static void teardown(void)
{
	peer_ctl_free(a.ctl, NULL);
	peer_ctl_free(b.ctl, NULL);
	peer_listen_free(b.listen);
	peer_tls_free(b.tls);
	loop_free(loop);
	unlink(key1);
	unlink(key2);
	rmdir(dir);
}

void start_ctl(struct end *e, uint64_t nonce)
{
	char err[256] = "";
	e->ctl = peer_ctl_new(loop, &e->conf, nonce, digest, &ctl_cb, e, err, sizeof(err));
	ck_assert_msg(e->ctl != NULL, "%s", err);
}

void start_listen(struct end *e)
{
	char err[256] = "";
	ck_assert_msg(peer_tls_new(&e->conf, &e->tls, err, sizeof(err)) == 0, "%s", err);
	e->listen = peer_listen_new(loop, &e->conf, e->tls, &listen_cb, e, err, sizeof(err));
	ck_assert_msg(e->listen != NULL, "%s", err);
}

void start_both(void)
{
	start_ctl(&b, 22);
	start_listen(&b);
	start_ctl(&a, 11);
}

void run_for(int64_t ns)
{
	mono_t end = mono_add(clock_mono(), ns);
	while (!mono_due(end, clock_mono()))
		loop_once(loop, 5 * NS_PER_MS);
}

struct peer_link_info link_of(struct end *e)
{
	struct peer_link_info i[SYNC_LINKS_MAX];
	ck_assert_uint_ge(peer_ctl_links(e->ctl, e == &a ? 2 : 1, i, SYNC_LINKS_MAX), 1);
	return i[0];
}

void heartbeat(struct end *e)
{
	struct peer_msg m = { .type = PEER_HEARTBEAT };
	peer_ctl_broadcast(e->ctl, &m);
}

int raw_connect(uint8_t last)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) }, from = to;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	to.sin_addr.s_addr = htonl(0x7f000002);
	from.sin_addr.s_addr = htonl(0x7f000000u | last);
	from.sin_port = 0;
	ck_assert(bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0);
	ck_assert(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
	return fd;
}

bool at_end(int fd)
{
	char buf[256];
	ssize_t n;
	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		continue;
	return n == 0 || (errno != EAGAIN && errno != EINTR);
}

int peer_ends_run(const char *name, TCase *t)
{
	Suite *s = suite_create(name);

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	suite_add_tcase(s, t);
	return unit_run(s);
}
