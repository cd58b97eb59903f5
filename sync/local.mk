# sync: pure core and I/O shell, two convenience libraries.
noinst_LIBRARIES += libsync_core.a libsync_io.a
libsync_core_a_SOURCES = 
libsync_io_a_SOURCES = 

# conntrack: codec, shell
libsync_core_a_SOURCES += sync/ct_wire.c sync/ct_wire_build.c
libsync_io_a_SOURCES += sync/ct_io.c sync/ct_sysctl.c
