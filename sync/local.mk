# sync: pure core and I/O shell, two convenience libraries.
noinst_LIBRARIES += libsync_core.a libsync_io.a
libsync_core_a_SOURCES = 
libsync_io_a_SOURCES = 

# conntrack: codec, shell
libsync_core_a_SOURCES += sync/ct_wire.c sync/ct_wire_build.c
libsync_io_a_SOURCES += sync/ct_io.c sync/ct_sysctl.c

# channel: codec, key file, TLS, connections
libsync_core_a_SOURCES += sync/sync_wire.c sync/peer_why.c sync/peer_hello.c
libsync_io_a_SOURCES += sync/key_file.c sync/peer_tls.c sync/peer_conn.c sync/peer_sock.c sync/peer_io.c sync/peer_listen.c
SYNC_LIBS = libsync_io.a libsync_core.a $(SSL_LIBS) $(JANSSON_LIBS)
