# daemon/base: the bottom layer, includes nothing of ours.
noinst_LIBRARIES += libbase_core.a libbase_io.a
libbase_core_a_SOURCES = \
	daemon/base/addr.c daemon/base/addr.h \
	daemon/base/epoch.h \
	daemon/base/err.c daemon/base/err.h \
	daemon/base/hist.c daemon/base/hist.h \
	daemon/base/list.h \
	daemon/base/mono.h daemon/base/mutant.h \
	daemon/base/require.c daemon/base/require.h \
	daemon/base/slab.c daemon/base/slab.h \
	daemon/base/tbl.c daemon/base/tbl.h \
	daemon/base/timerq.c daemon/base/timerq.h \
	daemon/base/wire.h
libbase_io_a_SOURCES = \
	daemon/base/clock.c daemon/base/clock.h \
	daemon/base/fd.h \
	daemon/base/log.c daemon/base/log.h \
	daemon/base/loop.c daemon/base/loop.h \
	daemon/base/ring.c daemon/base/ring.h \
	daemon/base/thread.c daemon/base/thread.h
BASE_LIBS = libbase_io.a libbase_core.a $(EVENT_LIBS) $(SODIUM_LIBS) -lpthread

check_PROGRAMS += check_base_thread
check_base_thread_SOURCES = tests/unit/check_base_thread.c tests/unit/run.h
check_base_thread_LDADD = $(BASE_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_base_values check_base_wire check_base_tbl check_base_ring check_base_log check_base_loop
check_base_values_SOURCES = tests/unit/check_base_values.c
check_base_values_LDADD = $(BASE_LIBS) $(UNIT_LIBS)
check_base_wire_SOURCES = tests/unit/check_base_wire.c
check_base_wire_LDADD = $(UNIT_LIBS)
check_base_tbl_SOURCES = tests/unit/check_base_tbl.c
check_base_tbl_LDADD = $(BASE_LIBS) $(UNIT_LIBS)
check_base_tbl_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
check_base_ring_SOURCES = tests/unit/check_base_ring.c
check_base_ring_LDADD = $(BASE_LIBS) $(UNIT_LIBS)
check_base_log_SOURCES = tests/unit/check_base_log.c
check_base_log_LDADD = $(BASE_LIBS) $(UNIT_LIBS)
check_base_loop_SOURCES = tests/unit/check_base_loop.c
check_base_loop_LDADD = $(BASE_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_base_timerq
check_base_timerq_SOURCES = tests/unit/check_base_timerq.c
check_base_timerq_LDADD = libbase_core.a $(UNIT_LIBS)
