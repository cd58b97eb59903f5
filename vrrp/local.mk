# vrrp: pure core and I/O shell, two convenience libraries.
noinst_LIBRARIES += libvrrp_core.a libvrrp_io.a
libvrrp_core_a_SOURCES = \
	vrrp/announce.c vrrp/announce.h \
	vrrp/garp.c vrrp/garp.h \
	vrrp/vrrp_conf.h vrrp/vrrp_frame.c vrrp/vrrp_frame.h \
	vrrp/vrrp_fsm.c vrrp/vrrp_fsm.h \
	vrrp/vrrp_track.c vrrp/vrrp_track.h \
	vrrp/vrrp_wire.c vrrp/vrrp_wire.h
libvrrp_io_a_SOURCES = \
	vrrp/vrrp_io.c vrrp/vrrp_io.h


check_PROGRAMS += check_vrrp_wire check_vrrp_compat check_garp
vrrp_vectors = tests/unit/vrrp_vectors.c tests/unit/vrrp_vectors.h tests/unit/vrrp_seal.h tests/unit/run.h
check_vrrp_compat_SOURCES = tests/unit/check_vrrp_compat.c $(vrrp_vectors)
check_vrrp_compat_LDADD = $(check_vrrp_wire_LDADD)
check_vrrp_wire_SOURCES = tests/unit/check_vrrp_wire.c $(vrrp_vectors)
check_vrrp_wire_LDADD = libvrrp_core.a libbase_core.a $(UNIT_LIBS)
check_garp_SOURCES = tests/unit/check_garp.c
check_garp_LDADD = libvrrp_core.a libbase_core.a $(UNIT_LIBS)

check_PROGRAMS += check_vrrp_fsm check_vrrp_forms
vrrp_one = tests/unit/vrrp_one.c tests/unit/vrrp_one.h
check_vrrp_fsm_SOURCES = tests/unit/check_vrrp_fsm.c $(vrrp_one)
check_vrrp_forms_SOURCES = tests/unit/check_vrrp_forms.c $(vrrp_one)
check_vrrp_forms_LDADD = $(check_vrrp_fsm_LDADD)
check_vrrp_fsm_LDADD = libvrrp_core.a libbase_core.a $(UNIT_LIBS)

check_PROGRAMS += fuzz_vrrp_wire
fuzz_vrrp_wire_SOURCES = tests/fuzz/fuzz_vrrp_wire.c tests/unit/vrrp_seal.h
fuzz_vrrp_wire_LDADD = libvrrp_core.a libbase_core.a $(FUZZ_LIBS)

check_PROGRAMS += check_vrrp_io
check_vrrp_io_SOURCES = tests/unit/check_vrrp_io.c
check_vrrp_io_LDADD = libvrrp_io.a libvrrp_core.a $(BASE_LIBS) $(UNIT_LIBS)

check_PROGRAMS += check_vrrp_frame
check_vrrp_frame_SOURCES = tests/unit/check_vrrp_frame.c
check_vrrp_frame_LDADD = libvrrp_core.a libbase_core.a $(UNIT_LIBS)

check_PROGRAMS += check_announce
check_announce_SOURCES = tests/unit/check_announce.c
check_announce_LDADD = libvrrp_core.a libbase_core.a $(UNIT_LIBS)

check_PROGRAMS += check_vrrp_track
check_vrrp_track_SOURCES = tests/unit/check_vrrp_track.c tests/unit/run.h
check_vrrp_track_LDADD = libvrrp_core.a libbase_core.a $(UNIT_LIBS)
