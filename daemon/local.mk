# daemon: owns everything; the only folder that knows all domains.
noinst_LIBRARIES += libdaemon_core.a libdaemon_io.a
libdaemon_core_a_SOURCES = daemon/role.h daemon/role.c daemon/group.h daemon/group.c \
	daemon/node.h daemon/node_int.h daemon/node.c daemon/node_group.c daemon/node_peer.c daemon/node_ike.c
libdaemon_io_a_SOURCES =
