/* The few sysctls of conntrack that replication needs, in the network namespace of the calling thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "sync/ct_io.h"

#define SYSCTL_DIR "/proc/sys/net/netfilter/"

/* 0 and *v, or -errno; -EINVAL when the file does not hold a number. */
static int sysctl_read(const char *name, uint32_t *v)
{
	char path[128], text[32];
	snprintf(path, sizeof(path), SYSCTL_DIR "%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	int err = n < 0 ? -errno : 0;
	close(fd);
	if (err)
		return err;
	text[n] = 0;
	char *end;
	unsigned long num = strtoul(text, &end, 10);
	if (end == text || num > UINT32_MAX)
		return -EINVAL;
	*v = (uint32_t)num;
	return 0;
}

static int sysctl_write(const char *name, uint32_t v)
{
	char path[128], text[16];
	snprintf(path, sizeof(path), SYSCTL_DIR "%s", name);
	int len = snprintf(text, sizeof(text), "%u\n", v);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, text, (size_t)len);
	int err = n < 0 ? -errno : n < len ? -EIO : 0;
	close(fd);
	return err;
}

int ct_io_events_on(int *was)
{
	uint32_t old;
	int rc = sysctl_read("nf_conntrack_events", &old);
	if (rc < 0)
		return rc;
	if (was)
		*was = (int)old;
	return old == 1 ? 0 : sysctl_write("nf_conntrack_events", 1);
}

int ct_io_table_size(uint32_t *max, uint32_t *count)
{
	int rc = sysctl_read("nf_conntrack_max", max);
	return rc < 0 ? rc : sysctl_read("nf_conntrack_count", count);
}

int ct_io_timeouts(struct sync_timeouts *t)
{
	sync_timeouts_default(t);
	const struct {
		const char *name;
		uint32_t *v;
	} rows[] = {
		{ "nf_conntrack_tcp_timeout_syn_sent", &t->tcp[CT_TCP_SYN_SENT] },
		{ "nf_conntrack_tcp_timeout_syn_recv", &t->tcp[CT_TCP_SYN_RECV] },
		{ "nf_conntrack_tcp_timeout_established", &t->tcp[CT_TCP_ESTABLISHED] },
		{ "nf_conntrack_tcp_timeout_fin_wait", &t->tcp[CT_TCP_FIN_WAIT] },
		{ "nf_conntrack_tcp_timeout_close_wait", &t->tcp[CT_TCP_CLOSE_WAIT] },
		{ "nf_conntrack_tcp_timeout_last_ack", &t->tcp[CT_TCP_LAST_ACK] },
		{ "nf_conntrack_tcp_timeout_time_wait", &t->tcp[CT_TCP_TIME_WAIT] },
		{ "nf_conntrack_tcp_timeout_close", &t->tcp[CT_TCP_CLOSE] },
		{ "nf_conntrack_udp_timeout", &t->udp },
		{ "nf_conntrack_udp_timeout_stream", &t->udp_stream },
		{ "nf_conntrack_icmp_timeout", &t->icmp },
		{ "nf_conntrack_icmpv6_timeout", &t->icmpv6 },
		{ "nf_conntrack_generic_timeout", &t->generic },
		{ "nf_conntrack_gre_timeout", &t->gre },
		{ "nf_conntrack_gre_timeout_stream", &t->gre_stream },
		{ "nf_conntrack_sctp_timeout_closed", &t->sctp[CT_SCTP_CLOSED] },
		{ "nf_conntrack_sctp_timeout_cookie_wait", &t->sctp[CT_SCTP_COOKIE_WAIT] },
		{ "nf_conntrack_sctp_timeout_cookie_echoed", &t->sctp[CT_SCTP_COOKIE_ECHOED] },
		{ "nf_conntrack_sctp_timeout_established", &t->sctp[CT_SCTP_ESTABLISHED] },
		{ "nf_conntrack_sctp_timeout_shutdown_sent", &t->sctp[CT_SCTP_SHUTDOWN_SENT] },
		{ "nf_conntrack_sctp_timeout_shutdown_recd", &t->sctp[CT_SCTP_SHUTDOWN_RECD] },
		{ "nf_conntrack_sctp_timeout_shutdown_ack_sent", &t->sctp[CT_SCTP_SHUTDOWN_ACK_SENT] },
		{ "nf_conntrack_sctp_timeout_heartbeat_sent", &t->sctp[CT_SCTP_HEARTBEAT_SENT] },
	};
	int first = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = sysctl_read(rows[i].name, rows[i].v);
		if (rc < 0 && rc != -ENOENT && !first)
			first = rc;
	}
	/* the state has no timer of its own: the kernel uses that of SYN_SENT */
	t->tcp[CT_TCP_SYN_SENT2] = t->tcp[CT_TCP_SYN_SENT];
	return first;
}
