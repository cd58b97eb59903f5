# sync: pure core and I/O shell, two convenience libraries.
noinst_LIBRARIES += libsync_core.a libsync_io.a
libsync_core_a_SOURCES = 
libsync_io_a_SOURCES = 
