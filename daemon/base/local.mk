# daemon/base: the bottom layer, includes nothing of ours.
noinst_LIBRARIES += libbase_core.a libbase_io.a
libbase_core_a_SOURCES = \
	daemon/base/addr.c daemon/base/addr.h \
	daemon/base/epoch.h \
	daemon/base/err.c daemon/base/err.h \
	daemon/base/hist.c daemon/base/hist.h \
	daemon/base/list.h \
	daemon/base/mono.h \
	daemon/base/require.c daemon/base/require.h \
	daemon/base/slab.c daemon/base/slab.h \
	daemon/base/tbl.c daemon/base/tbl.h \
	daemon/base/wire.h
libbase_io_a_SOURCES = \
	daemon/base/clock.c daemon/base/clock.h \
	daemon/base/log.c daemon/base/log.h \
	daemon/base/loop.c daemon/base/loop.h \
	daemon/base/ring.c daemon/base/ring.h
BASE_LIBS = libbase_io.a libbase_core.a $(EVENT_LIBS) $(SODIUM_LIBS) -lpthread
