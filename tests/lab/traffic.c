/*
 * Traffic of the lab, as a client that measures and a server that echoes.
 *
 *   labtraffic server [TCP-PORT [UDP-PORT]]
 *   labtraffic client SERVER-IP|- TCP-PORT IDLE-CONNECTIONS [NAME,IP,PORT,RATE]...      -: without any TCP
 *
 * The client keeps one TCP connection busy with numbered messages, a number of TCP connections idle, and any number
 * of UDP echo flows at a fixed rate. It obeys lines on its standard input and answers each with one line of JSON:
 *   mark            begin a measuring window
 *   report          what happened in the window
 *   idle MS         one message on each idle connection, wait at most MS for the answers
 *   reopen          new TCP connections (for a run after one that killed them)
 *   quit
 * Times are CLOCK_MONOTONIC nanoseconds. The server writes the source it saw into each UDP echo, so that the client
 * notices when its translated port changes.
 */
#define _GNU_SOURCE 1 /* accept4 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE       32 /* bytes of a TCP message */
#define RING          (1u << 18)
#define UDP_MAX       16
#define IDLE_MAX      4000
#define STREAM_STEP   5000000ll   /* ns between two messages of the stream */
#define SETTLE        250000000ll /* an echo younger than this is not lost yet */
#define SERVER_CONNS  8192
#define IN_FLIGHT_MAX 200 /* unanswered messages of the stream: they fit in its send buffer */

struct echo {
	uint32_t magic;
	uint32_t seq;
	uint32_t seen_ip; /* filled by the server, network order */
	uint16_t seen_port;
	uint16_t pad;
	uint8_t fill[48];
};

struct udp_flow {
	char name[16];
	struct sockaddr_in to;
	int fd, timer;
	int64_t step;
	uint32_t seq, window_seq; /* next to send; first of the window */
	int64_t *sent, *answered; /* rings by sequence */
	int64_t last_answer, gap, gap_begin;
	uint32_t moved, other_errors;
	uint32_t seen_ip;
	uint16_t seen_port;
};

struct conn {
	int fd;
	int error; /* 0: none; else errno that ended it */
	bool up;
	bool answered;
	uint8_t part[MESSAGE];
	size_t have;
};

static struct udp_flow flows[UDP_MAX];
static unsigned n_flows;
static struct conn stream, idle[IDLE_MAX];
static unsigned n_idle;
static struct sockaddr_in server;
static uint64_t stream_seq, stream_next, stream_window;
static int64_t stream_last, stream_gap, stream_gap_begin, window_begin;
static bool stream_disorder;
static int stream_timer, ep;

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "labtraffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int make_timer(int64_t step)
{
	struct itimerspec it = { { step / 1000000000, step % 1000000000 },
				 { 0, step % 1000000000 ? step % 1000000000 : 1 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd < 0 || timerfd_settime(fd, 0, &it, NULL) != 0)
		fail("timerfd");
	return fd;
}

static void watch(int fd, uint32_t kind, uint32_t index)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = (uint64_t)kind << 32 | index };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) != 0)
		fail("epoll_ctl");
}

enum { W_STDIN, W_STREAM_TIMER, W_STREAM, W_IDLE, W_UDP_TIMER, W_UDP, W_LISTEN, W_CONN };

/* ---------------------------------------------------------------- server */

static void serve_udp(int fd)
{
	for (unsigned i = 0; i < 64; i++) {
		struct echo e;
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, &e, sizeof(e), 0, (struct sockaddr *)&from, &len);

		if (n < (ssize_t)sizeof(e))
			return;
		e.seen_ip = from.sin_addr.s_addr;
		e.seen_port = from.sin_port;
		sendto(fd, &e, sizeof(e), 0, (struct sockaddr *)&from, len);
	}
}

static void serve_conn(int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || write(fd, buf, (size_t)n) != n)
		close(fd);
}

static _Noreturn void run_server(unsigned tcp_port, unsigned udp_port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY) };
	int on = 1, l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int u = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct epoll_event evs[64];

	ep = epoll_create1(EPOLL_CLOEXEC);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	any.sin_port = htons((uint16_t)tcp_port);
	if (bind(l, (struct sockaddr *)&any, sizeof(any)) != 0 || listen(l, SERVER_CONNS) != 0)
		fail("TCP port");
	any.sin_port = htons((uint16_t)udp_port);
	if (bind(u, (struct sockaddr *)&any, sizeof(any)) != 0)
		fail("UDP port");
	watch(l, W_LISTEN, 0);
	watch(u, W_UDP, 0);
	printf("{\"ready\": true}\n");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(ep, evs, 64, -1);

		for (int i = 0; i < n; i++) {
			uint32_t kind = (uint32_t)(evs[i].data.u64 >> 32);
			int c;

			if (kind == W_UDP) {
				serve_udp(u);
			} else if (kind == W_CONN) {
				serve_conn((int)(uint32_t)evs[i].data.u64);
			} else {
				while ((c = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
					setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
					watch(c, W_CONN, (uint32_t)c);
				}
			}
		}
	}
}

/* ---------------------------------------------------------------- client: TCP */

static int conn_open(struct conn *c)
{
	struct pollfd p;
	int on = 1, err = 0;
	socklen_t len = sizeof(err);

	*c = (struct conn){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) };
	if (c->fd < 0)
		fail("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(c->fd, (struct sockaddr *)&server, sizeof(server)) != 0 && errno != EINPROGRESS)
		return -errno;
	p = (struct pollfd){ .fd = c->fd, .events = POLLOUT };
	if (poll(&p, 1, 5000) != 1)
		return -ETIMEDOUT;
	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	c->up = err == 0;
	c->error = err;
	return -err;
}

static void conn_lost(struct conn *c, int error)
{
	c->up = false;
	c->error = error ? error : EPIPE;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* True when the whole message was taken. */
static bool conn_send(struct conn *c, uint64_t seq)
{
	ssize_t n;

	uint8_t msg[MESSAGE] = { 0 };

	memcpy(msg, &seq, sizeof(seq));
	if (!c->up)
		return false;
	n = send(c->fd, msg, sizeof(msg), MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		conn_lost(c, errno);
	return n == sizeof(msg);
}

/* Reads whole messages; gives each sequence number to the stream's accounting, or marks an idle connection answered. */
static void conn_read(struct conn *c, bool is_stream)
{
	for (;;) {
		ssize_t n = recv(c->fd, c->part + c->have, MESSAGE - c->have, 0);
		int64_t now = now_ns();
		uint64_t seq;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			conn_lost(c, n < 0 ? errno : 0);
			return;
		}
		c->have += (size_t)n;
		if (c->have < MESSAGE)
			continue;
		c->have = 0;
		c->answered = true;
		if (!is_stream)
			continue;
		memcpy(&seq, c->part, sizeof(seq));
		if (seq != stream_next)
			stream_disorder = true;
		stream_next = seq + 1;
		if (now - stream_last > stream_gap) {
			stream_gap = now - stream_last;
			stream_gap_begin = stream_last;
		}
		stream_last = now;
	}
}

static void open_all(void)
{
	unsigned bad = 0;

	if (stream.fd > 0)
		close(stream.fd);
	stream_seq = stream_next = 0;
	stream_disorder = false;
	stream_last = now_ns();
	if (server.sin_addr.s_addr == INADDR_ANY) {
		printf("{\"opened\": 0, \"refused\": 0}\n");
		fflush(stdout);
		return;
	}
	if (conn_open(&stream) == 0)
		watch(stream.fd, W_STREAM, 0);
	else
		bad++;
	for (unsigned i = 0; i < n_idle; i++) {
		if (idle[i].fd > 0)
			close(idle[i].fd);
		if (conn_open(&idle[i]) == 0)
			watch(idle[i].fd, W_IDLE, i);
		else
			bad++;
		conn_send(&idle[i], 0);
	}
	printf("{\"opened\": %u, \"refused\": %u}\n", n_idle + 1 - bad, bad);
	fflush(stdout);
}

/* ---------------------------------------------------------------- client: UDP */

static void udp_add(const char *spec)
{
	struct udp_flow *f = &flows[n_flows];
	char ip[64];
	unsigned port, rate;

	if (n_flows == UDP_MAX || sscanf(spec, "%15[^,],%63[^,],%u,%u", f->name, ip, &port, &rate) != 4 || rate == 0) {
		fprintf(stderr, "labtraffic: %s is not NAME,IP,PORT,RATE\n", spec);
		exit(2);
	}
	f->to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	inet_pton(AF_INET, ip, &f->to.sin_addr);
	f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	f->step = 1000000000ll / rate;
	f->sent = calloc(RING, sizeof(int64_t));
	f->answered = calloc(RING, sizeof(int64_t));
	if (f->fd < 0 || !f->sent || !f->answered)
		fail("UDP flow");
	f->timer = make_timer(f->step);
	f->last_answer = now_ns();
	watch(f->timer, W_UDP_TIMER, n_flows);
	watch(f->fd, W_UDP, n_flows);
	n_flows++;
}

static void udp_send(struct udp_flow *f)
{
	uint64_t due;

	if (read(f->timer, &due, sizeof(due)) != sizeof(due))
		return;
	for (; due > 0; due--) { /* late wake-ups are made up for: the rate is kept */
		struct echo e = { .magic = 0x6b74, .seq = f->seq };

		f->sent[f->seq % RING] = now_ns();
		f->answered[f->seq % RING] = 0;
		if (sendto(f->fd, &e, sizeof(e), 0, (struct sockaddr *)&f->to, sizeof(f->to)) < 0)
			f->other_errors++;
		f->seq++;
	}
}

static void udp_read(struct udp_flow *f)
{
	struct echo e;
	ssize_t n;

	while ((n = recv(f->fd, &e, sizeof(e), 0)) > 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		int64_t now = now_ns();

		if (n != sizeof(e) || e.magic != 0x6b74 || f->seq - e.seq > RING)
			continue;
		if (f->answered[e.seq % RING] == 0)
			f->answered[e.seq % RING] = now;
		if (now - f->last_answer > f->gap) {
			f->gap = now - f->last_answer;
			f->gap_begin = f->last_answer;
		}
		f->last_answer = now;
		if (f->seen_port != 0 && (e.seen_port != f->seen_port || e.seen_ip != f->seen_ip))
			f->moved++;
		f->seen_port = e.seen_port;
		f->seen_ip = e.seen_ip;
	}
}

/* ---------------------------------------------------------------- client: commands */

static void mark(void)
{
	window_begin = now_ns();
	stream_gap = 0;
	stream_window = stream_next;
	if (stream_last < window_begin - SETTLE)
		stream_last = window_begin; /* already silent before: the window has its own beginning */
	for (unsigned i = 0; i < n_flows; i++) {
		struct udp_flow *f = &flows[i];

		f->window_seq = f->seq;
		f->gap = 0;
		f->moved = f->other_errors = 0;
		if (f->last_answer < window_begin - SETTLE)
			f->last_answer = window_begin;
	}
	printf("{\"mark\": %lld}\n", (long long)window_begin);
}

static void report_flow(const struct udp_flow *f, int64_t now, bool first)
{
	uint32_t begin = f->seq - f->window_seq > RING - 1 ? f->seq - (RING - 1) : f->window_seq;
	unsigned counted = 0, lost = 0;
	int64_t silence = now - f->last_answer;

	for (uint32_t s = begin; s != f->seq; s++) {
		if (now - f->sent[s % RING] < SETTLE)
			break;
		counted++;
		if (f->answered[s % RING] == 0)
			lost++;
	}
	printf("%s\"%s\": {\"sent\": %u, \"lost\": %u, \"gap_ns\": %lld, \"gap_begin_ns\": %lld, "
	       "\"silence_ns\": %lld, \"moved\": %u, \"send_errors\": %u}",
	       first ? "" : ", ", f->name, counted, lost, (long long)(silence > f->gap ? silence : f->gap),
	       (long long)(silence > f->gap ? f->last_answer : f->gap_begin), (long long)silence, f->moved,
	       f->other_errors);
}

static void report(void)
{
	int64_t now = now_ns(), silence = now - stream_last;

	printf("{\"begin_ns\": %lld, \"now_ns\": %lld, \"stream\": {\"messages\": %llu, \"gap_ns\": %lld, "
	       "\"gap_begin_ns\": %lld, \"silence_ns\": %lld, \"up\": %s, \"error\": \"%s\", \"disorder\": %s}, "
	       "\"udp\": {",
	       (long long)window_begin, (long long)now, (unsigned long long)(stream_next - stream_window),
	       (long long)(silence > stream_gap ? silence : stream_gap),
	       (long long)(silence > stream_gap ? stream_last : stream_gap_begin), (long long)silence,
	       stream.up ? "true" : "false", stream.error ? strerror(stream.error) : "",
	       stream_disorder ? "true" : "false");
	for (unsigned i = 0; i < n_flows; i++)
		report_flow(&flows[i], now, i == 0);
	printf("}}\n");
}

static void step(int timeout_ms);

static void check_idle(int wait_ms)
{
	int64_t end = now_ns() + wait_ms * 1000000ll;
	unsigned alive = 0, reset = 0;

	for (unsigned i = 0; i < n_idle; i++) {
		idle[i].answered = false;
		conn_send(&idle[i], 1);
	}
	for (;;) {
		alive = reset = 0;
		for (unsigned i = 0; i < n_idle; i++) {
			alive += idle[i].answered;
			reset += idle[i].error == ECONNRESET;
		}
		if (alive == n_idle || now_ns() >= end)
			break;
		step(5);
	}
	printf("{\"total\": %u, \"alive\": %u, \"reset\": %u}\n", n_idle, alive, reset);
}

static void command(void)
{
	static char line[256];
	static size_t have;
	ssize_t n = read(STDIN_FILENO, line + have, sizeof(line) - 1 - have);
	char *nl;

	if (n <= 0)
		exit(0);
	have += (size_t)n;
	line[have] = '\0';
	while ((nl = strchr(line, '\n')) != NULL) {
		char cmd[256];

		*nl = '\0';
		snprintf(cmd, sizeof(cmd), "%s", line);
		have -= (size_t)(nl + 1 - line);
		memmove(line, nl + 1, have + 1);
		if (strcmp(cmd, "mark") == 0)
			mark();
		else if (strcmp(cmd, "report") == 0)
			report();
		else if (strncmp(cmd, "idle ", 5) == 0)
			check_idle(atoi(cmd + 5));
		else if (strcmp(cmd, "reopen") == 0)
			open_all();
		else if (strcmp(cmd, "quit") == 0)
			exit(0);
		else
			printf("{\"error\": \"unknown command\"}\n");
		fflush(stdout);
	}
}

static void step(int timeout_ms)
{
	struct epoll_event evs[64];
	int n = epoll_wait(ep, evs, 64, timeout_ms);

	for (int i = 0; i < n; i++) {
		uint32_t kind = (uint32_t)(evs[i].data.u64 >> 32), index = (uint32_t)evs[i].data.u64;
		uint64_t due;

		if (kind == W_UDP_TIMER)
			udp_send(&flows[index]);
		else if (kind == W_UDP)
			udp_read(&flows[index]);
		else if (kind == W_STREAM && stream.fd >= 0)
			conn_read(&stream, true);
		else if (kind == W_IDLE && idle[index].fd >= 0)
			conn_read(&idle[index], false);
		else if (kind == W_STREAM_TIMER && read(stream_timer, &due, sizeof(due)) > 0)
			stream_seq += stream_seq - stream_next < IN_FLIGHT_MAX && conn_send(&stream, stream_seq);
		else if (kind == W_STDIN && timeout_ms < 0)
			command();
	}
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	if (argc >= 2 && strcmp(argv[1], "server") == 0)
		run_server(argc > 2 ? (unsigned)atoi(argv[2]) : 5001, argc > 3 ? (unsigned)atoi(argv[3]) : 5002);
	if (argc < 5 || strcmp(argv[1], "client") != 0) {
		fprintf(stderr, "usage: labtraffic server [TCP-PORT [UDP-PORT]]\n"
				"       labtraffic client SERVER-IP|- TCP-PORT IDLE [NAME,IP,PORT,RATE]...\n");
		return 2;
	}
	server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3])) };
	inet_pton(AF_INET, argv[2], &server.sin_addr);
	n_idle = server.sin_addr.s_addr == INADDR_ANY ? 0 : (unsigned)atoi(argv[4]);
	if (n_idle > IDLE_MAX)
		n_idle = IDLE_MAX;
	ep = epoll_create1(EPOLL_CLOEXEC);
	stream_timer = make_timer(STREAM_STEP);
	watch(stream_timer, W_STREAM_TIMER, 0);
	watch(STDIN_FILENO, W_STDIN, 0);
	open_all();
	for (int i = 5; i < argc; i++)
		udp_add(argv[i]);
	for (;;)
		step(-1);
}
