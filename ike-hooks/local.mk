# ike-hooks: pure core and I/O shell, two convenience libraries.
noinst_LIBRARIES += libike_core.a libike_io.a
libike_core_a_SOURCES = \
	ike-hooks/ike_backend.c ike-hooks/ike_backend.h \
	ike-hooks/ike_conf.h \
	ike-hooks/sa_text.c ike-hooks/sa_text.h \
	ike-hooks/sa_bridge.c ike-hooks/sa_bridge.h \
	ike-hooks/sa_copy.h \
	ike-hooks/sa_send.c ike-hooks/sa_send.h \
	ike-hooks/sa_store.c ike-hooks/sa_store.h \
	ike-hooks/sa_wire.c ike-hooks/sa_wire.h \
	ike-hooks/ike_hist.c ike-hooks/ike_hist.h \
	ike-hooks/ike_lint.c ike-hooks/ike_lint.h \
	ike-hooks/ike_verdict.c ike-hooks/ike_verdict.h \
	ike-hooks/swan_text.c ike-hooks/swan_text.h \
	ike-hooks/ike_dpd.c ike-hooks/ike_event.c ike-hooks/ike_fsm.c ike-hooks/ike_fsm.h ike-hooks/ike_int.h \
	ike-hooks/ike_role.c ike-hooks/ike_warm.c \
	ike-hooks/vici_conn.c ike-hooks/vici_conn.h \
	ike-hooks/vici_detail.c ike-hooks/vici_detail.h \
	ike-hooks/vici_req.c ike-hooks/vici_req.h \
	ike-hooks/vici_sa.c ike-hooks/vici_sa.h \
	ike-hooks/vici_wire.c ike-hooks/vici_wire.h \
	ike-hooks/xfrm_attr.h ike-hooks/xfrm_policy.c ike-hooks/xfrm_policy.h \
	ike-hooks/xfrm_sa.c ike-hooks/xfrm_sa.h \
	ike-hooks/xfrm_wire.c ike-hooks/xfrm_wire.h
libike_io_a_SOURCES = \
	ike-hooks/child_io.c ike-hooks/child_io.h \
	ike-hooks/child_user.c ike-hooks/child_user.h \
	ike-hooks/exec_io.c ike-hooks/exec_io.h \
	ike-hooks/ha_env.c ike-hooks/ha_env.h \
	ike-hooks/prog_end.c ike-hooks/prog_int.h ike-hooks/prog_io.c ike-hooks/prog_io.h \
	ike-hooks/sa_io.c ike-hooks/sa_io.h \
	ike-hooks/sa_lock.c ike-hooks/sa_lock.h \
	ike-hooks/sa_seal.c ike-hooks/sa_seal.h \
	ike-hooks/vici_ctl.c ike-hooks/vici_evt.c ike-hooks/vici_int.h ike-hooks/vici_io.c ike-hooks/vici_io.h \
	ike-hooks/xfrm_io.c ike-hooks/xfrm_io.h \
	ike-hooks/xfrm_sock.c ike-hooks/xfrm_sock.h

IKE_CORE_LIBS = libike_core.a libbase_core.a $(SODIUM_LIBS)
IKE_IO_LIBS = libike_io.a libike_core.a $(BASE_LIBS)

noinst_PROGRAMS += vici_probe
vici_probe_SOURCES = tests/netns/vici_probe.c
vici_probe_LDADD = $(IKE_IO_LIBS)

check_PROGRAMS += check_exec_io check_ike_dpd check_ike_fsm check_ike_matrix check_ike_role check_ike_warm check_vici_io check_vici_wire check_xfrm_io check_xfrm_wire
check_vici_wire_SOURCES = tests/unit/check_vici_wire.c
check_vici_wire_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_xfrm_wire_SOURCES = tests/unit/check_xfrm_wire.c
check_xfrm_wire_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_ike_fsm_SOURCES = tests/unit/check_ike_fsm.c tests/unit/ike_util.h
check_ike_matrix_SOURCES = tests/unit/check_ike_matrix.c tests/unit/ike_util.h
check_ike_matrix_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_ike_dpd_SOURCES = tests/unit/check_ike_dpd.c tests/unit/ike_util.h
check_ike_dpd_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_ike_fsm_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_child_user
check_child_user_SOURCES = tests/unit/check_child_user.c
check_child_user_LDADD = $(IKE_IO_LIBS) $(UNIT_LIBS)
check_exec_io_SOURCES = tests/unit/check_exec_io.c
check_exec_io_LDADD = $(IKE_IO_LIBS) $(UNIT_LIBS)
check_xfrm_io_SOURCES = tests/unit/check_xfrm_io.c
check_xfrm_io_LDADD = $(IKE_IO_LIBS) $(UNIT_LIBS)
check_vici_io_SOURCES = tests/unit/check_vici_io.c tests/unit/vici_server.c tests/unit/vici_server.h
check_vici_io_LDADD = $(IKE_IO_LIBS) $(UNIT_LIBS)

check_PROGRAMS += check_ike_lint check_ike_verdict check_swan_text check_vici_conn
check_ike_lint_SOURCES = tests/unit/check_ike_lint.c
check_ike_lint_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_ike_verdict_SOURCES = tests/unit/check_ike_verdict.c
check_ike_verdict_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_swan_text_SOURCES = tests/unit/check_swan_text.c
check_swan_text_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_vici_conn_SOURCES = tests/unit/check_vici_conn.c
check_vici_conn_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)

check_PROGRAMS += fuzz_swan_text fuzz_vici_conn
fuzz_swan_text_SOURCES = tests/fuzz/fuzz_swan_text.c
fuzz_swan_text_LDADD = $(IKE_CORE_LIBS) $(FUZZ_LIBS)
fuzz_vici_conn_SOURCES = tests/fuzz/fuzz_vici_conn.c
fuzz_vici_conn_LDADD = $(IKE_CORE_LIBS) $(FUZZ_LIBS)

check_PROGRAMS += fuzz_vici_wire fuzz_xfrm_wire
fuzz_vici_wire_SOURCES = tests/fuzz/fuzz_vici_wire.c
fuzz_vici_wire_LDADD = $(IKE_CORE_LIBS) $(FUZZ_LIBS)
fuzz_xfrm_wire_SOURCES = tests/fuzz/fuzz_xfrm_wire.c
fuzz_xfrm_wire_LDADD = $(IKE_CORE_LIBS) $(FUZZ_LIBS)

check_PROGRAMS += check_ike_backend check_prog_io check_sa_text fuzz_sa_text
check_ike_backend_SOURCES = tests/unit/check_ike_backend.c
check_ike_backend_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_prog_io_SOURCES = tests/unit/check_prog_io.c
check_prog_io_LDADD = $(IKE_IO_LIBS) $(UNIT_LIBS)
check_sa_text_SOURCES = tests/unit/check_sa_text.c
check_sa_text_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
fuzz_sa_text_SOURCES = tests/fuzz/fuzz_sa_text.c
fuzz_sa_text_LDADD = $(IKE_CORE_LIBS) $(FUZZ_LIBS)
# Copies of inbound SAs.
check_PROGRAMS += check_sa_io check_sa_seal check_sa_store check_sa_wire check_xfrm_policy check_xfrm_sa fuzz_sa_wire fuzz_xfrm_sa
check_sa_io_SOURCES = tests/unit/check_sa_io.c tests/unit/sa_util.h
check_sa_io_LDADD = $(IKE_IO_LIBS) $(UNIT_LIBS)
check_sa_seal_SOURCES = tests/unit/check_sa_seal.c
check_sa_seal_LDADD = $(IKE_IO_LIBS) $(UNIT_LIBS)
check_sa_store_SOURCES = tests/unit/check_sa_store.c tests/unit/sa_util.h
check_sa_store_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_sa_wire_SOURCES = tests/unit/check_sa_wire.c tests/unit/sa_util.h
check_sa_wire_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_xfrm_sa_SOURCES = tests/unit/check_xfrm_sa.c tests/unit/sa_util.h
check_xfrm_sa_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
fuzz_sa_wire_SOURCES = tests/fuzz/fuzz_sa_wire.c
fuzz_sa_wire_LDADD = $(IKE_CORE_LIBS) $(FUZZ_LIBS)
fuzz_xfrm_sa_SOURCES = tests/fuzz/fuzz_xfrm_sa.c
fuzz_xfrm_sa_LDADD = $(IKE_CORE_LIBS) $(FUZZ_LIBS)
check_xfrm_policy_SOURCES = tests/unit/check_xfrm_policy.c tests/unit/sa_util.h
check_xfrm_policy_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_ike_role_SOURCES = tests/unit/check_ike_role.c tests/unit/ike_util.h
check_ike_role_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_ike_warm_SOURCES = tests/unit/check_ike_warm.c tests/unit/ike_util.h
check_ike_warm_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)

# The watch for unknown SPIs.
libike_core_a_SOURCES += ike-hooks/spi_bpf.c ike-hooks/spi_bpf.h ike-hooks/spi_watch.c ike-hooks/spi_watch.h \
	ike-hooks/vici_alert.c ike-hooks/vici_alert.h
libike_io_a_SOURCES += ike-hooks/spi_io.c ike-hooks/spi_io.h
check_PROGRAMS += check_spi_watch check_spi_bpf check_spi_io fuzz_spi_watch
check_spi_watch_SOURCES = tests/unit/check_spi_watch.c
check_spi_watch_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_spi_bpf_SOURCES = tests/unit/check_spi_bpf.c
check_spi_bpf_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
check_spi_io_SOURCES = tests/unit/check_spi_io.c
check_spi_io_LDADD = $(IKE_IO_LIBS) $(UNIT_LIBS)
fuzz_spi_watch_SOURCES = tests/fuzz/fuzz_spi_watch.c
fuzz_spi_watch_LDADD = $(IKE_CORE_LIBS) $(FUZZ_LIBS)
libike_core_a_SOURCES += ike-hooks/ike_stale.c
check_PROGRAMS += check_ike_stale
check_ike_stale_SOURCES = tests/unit/check_ike_stale.c tests/unit/ike_util.h
check_ike_stale_LDADD = $(IKE_CORE_LIBS) $(UNIT_LIBS)
