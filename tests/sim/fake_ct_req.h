/*
 * Purpose: a ctnetlink request as the kernel's parser hands it on; read with libmnl, independent of ct_wire.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      one message.   Out: struct fake_ct_req.
 * Errors:  -EINVAL as nla_parse and the tuple parsers give it.
 */
#ifndef KT_TESTS_FAKE_CT_REQ_H
#define KT_TESTS_FAKE_CT_REQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sync/ct.h"

enum fake_ct_cmd { FAKE_CMD_NEW = 0, FAKE_CMD_GET = 1, FAKE_CMD_DELETE = 2 };

struct fake_ct_manip {
	bool given, has_port;
	uint8_t addr[16];
	uint16_t port;
};

struct fake_ct_req {
	enum fake_ct_cmd cmd;
	bool create, excl;
	bool has_orig, has_reply, has_status, has_timeout, has_mark, has_id, has_helper, has_master;
	struct ct_tuple orig, reply, master;
	uint32_t status, timeout_s, mark, id;
	struct fake_ct_manip nat_src, nat_dst;
	bool has_tcp_state, has_wscale[2], has_flags[2];
	uint8_t tcp_state, wscale[2], flags[2], flags_mask[2];
	char helper[16];
};

int fake_ct_req_read(const void *msg, size_t len, struct fake_ct_req *q);

#endif
