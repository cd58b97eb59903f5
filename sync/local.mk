# sync: pure core and I/O shell, two convenience libraries.
noinst_LIBRARIES += libsync_core.a libsync_io.a
libsync_core_a_SOURCES = 
libsync_io_a_SOURCES = 

# conntrack: codec, shell
libsync_core_a_SOURCES += sync/ct.h sync/ct_wire.h sync/ct_wire.c sync/ct_wire_build.c
libsync_io_a_SOURCES += sync/ct_io.h sync/ct_io_int.h sync/ct_io.c sync/ct_dump.c sync/ct_sysctl.c sync/ct_stat.c

check_PROGRAMS += check_ct_wire check_ct_build check_fake_ct fuzz_ct_wire
check_ct_wire_SOURCES = tests/unit/check_ct_wire.c tests/unit/ct_wire_util.h
check_ct_wire_LDADD = libsync_core.a $(BASE_LIBS) $(NFCT_LIBS) $(UNIT_LIBS)
check_ct_build_SOURCES = tests/unit/check_ct_build.c tests/unit/ct_wire_util.h
check_ct_build_LDADD = libsync_core.a $(BASE_LIBS) $(NFCT_LIBS) $(UNIT_LIBS)
check_fake_ct_SOURCES = tests/unit/check_fake_ct.c
check_fake_ct_LDADD = libfake_ct.a libsync_core.a $(BASE_LIBS) $(NFCT_LIBS) $(UNIT_LIBS)
fuzz_ct_wire_SOURCES = tests/fuzz/fuzz_ct_wire.c
fuzz_ct_wire_LDADD = libsync_core.a libbase_core.a $(FUZZ_LIBS)

# the fake conntrack table and the script that it and the real kernel pass; the latter needs root
noinst_LIBRARIES += libfake_ct.a
libfake_ct_a_SOURCES = tests/sim/fake_ct.h tests/sim/fake_ct_int.h tests/sim/fake_ct.c tests/sim/fake_ct_change.c tests/sim/fake_ct_packet.c \
	tests/sim/fake_ct_req.h tests/sim/fake_ct_req.c \
	tests/sim/ct_script.h tests/sim/ct_script.c
noinst_PROGRAMS += ct_script_real ct_io_real
ct_script_real_SOURCES = tests/netns/ct_script_real.c
ct_script_real_LDADD = libfake_ct.a libsync_io.a libsync_core.a $(BASE_LIBS) $(NFCT_LIBS)
ct_io_real_SOURCES = tests/netns/ct_io_real.c
ct_io_real_LDADD = libsync_io.a libsync_core.a $(BASE_LIBS) $(NFCT_LIBS)

# channel: codec, key file, TLS, connections
libsync_core_a_SOURCES += sync/sync_wire.h sync/sync_wire_tlv.h sync/sync_wire.c sync/sync_wire_data.c sync/sync_wire_ask.h sync/sync_wire_ask.c sync/peer_msg.h \
	sync/peer_why.h sync/peer_why.c sync/peer_hello.h sync/peer_hello.c
libsync_io_a_SOURCES += sync/key_file.c sync/peer_tls.c sync/peer_conn.c sync/peer_sock.c sync/peer_io.c sync/peer_ctl_link.c sync/peer_io_int.h sync/peer_listen.c \
	sync/sync_thread.c sync/sync_drive.c sync/sync_delete.c sync/sync_data.c sync/sync_client.c sync/sync_client.h sync/sync_show.c sync/sync_show_policy.c \
	sync/sync_show_table.c sync/sync_show_count.c sync/client_explain.c sync/client_act.c sync/sync_addr.c sync/client_store.h sync/client_store.c
libsync_io_a_SOURCES += sync/sync.h sync/sync_conf.h sync/sync_run.h sync/key_file.h sync/ossl.h sync/peer_tls.h \
	sync/peer_conn.h sync/peer_link.h sync/peer_io.h sync/peer_listen.h
SYNC_LIBS = libsync_io.a libsync_core.a $(SSL_LIBS) $(JANSSON_LIBS)
libsync_io_a_SOURCES += sync/sync_tell.c
libsync_core_a_SOURCES += sync/sync_facts.h sync/sync_facts.c
check_PROGRAMS += check_sync_facts
check_sync_facts_SOURCES = tests/unit/check_sync_facts.c
check_sync_facts_LDADD = libsync_core.a libbase_core.a $(SODIUM_LIBS) $(UNIT_LIBS)

# replication core
libsync_core_a_SOURCES += \
	sync/rec.h sync/sess_tbl.c sync/sess_tbl.h sync/sync_owner.c sync/sync_owner.h sync/sync_policy.c sync/sync_policy.h \
	sync/sync_locals.c sync/sync_filter.c sync/sync_age.c sync/sync_acct.c \
	sync/sync_digest.c sync/sync_digest.h sync/sync_fsm.c sync/sync_fsm.h sync/sync_int.h sync/sync_flow.c sync/sync_list.c sync/sync_recount.c sync/sync_kern.c sync/sync_sweep.c \
	sync/sync_former.c sync/sync_ops.c sync/sync_rx.c sync/sync_handles.c sync/sync_compare.c sync/sync_tx.c sync/sync_view.c sync/sync_ask.h sync/sync_ask.c sync/sync_reset.c \
	sync/sync_explain.h sync/sync_explain.c sync/sync_verdict.c \
	sync/sync_count.c sync/sync_count.h sync/sync_lag.c sync/sync_lag.h sync/sync_query.c sync/sync_query.h
libsync_core_a_SOURCES += sync/sync_wait.h sync/sync_wait.c sync/sync_limit.c sync/sync_store.h sync/sync_store.c sync/sync_reject.h sync/sync_reject.c
SYNC_CORE_LIBS = libsync_core.a libbase_core.a $(SODIUM_LIBS)
sync_rig = tests/unit/sync_rig.c tests/unit/sync_rig.h tests/unit/run.h
rig_pair = tests/unit/rig_pair.c tests/unit/rig_pair.h $(sync_rig)
check_PROGRAMS += check_sync_explain fuzz_explain
fuzz_explain_SOURCES = tests/fuzz/fuzz_explain.c
fuzz_explain_LDADD = $(SYNC_CORE_LIBS) $(FUZZ_LIBS)
check_sync_explain_SOURCES = tests/unit/check_sync_explain.c $(rig_pair)
check_sync_explain_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_peer_msg check_sync_wire check_sync_objects check_key_file fuzz_sync_wire
sync_samples = tests/unit/sync_samples.c tests/unit/sync_samples.h tests/unit/run.h
check_peer_msg_SOURCES = tests/unit/check_peer_msg.c $(sync_samples)
check_peer_msg_LDADD = $(check_sync_wire_LDADD)
check_sync_wire_SOURCES = tests/unit/check_sync_wire.c $(sync_samples)
check_sync_wire_LDADD = libsync_core.a $(BASE_LIBS) $(UNIT_LIBS)
check_sync_objects_SOURCES = tests/unit/check_sync_objects.c $(sync_samples)
check_sync_objects_LDADD = $(check_sync_wire_LDADD)
check_key_file_SOURCES = tests/unit/check_key_file.c
check_key_file_LDADD = $(SYNC_LIBS) $(BASE_LIBS) $(UNIT_LIBS)
fuzz_sync_wire_SOURCES = tests/fuzz/fuzz_sync_wire.c
fuzz_sync_wire_LDADD = libsync_core.a libbase_core.a $(FUZZ_LIBS)
EXTRA_DIST += tests/unit/golden
check_PROGRAMS += check_peer_tls check_peer_strangers
peer_ends = tests/unit/peer_ends.c tests/unit/peer_ends.h tests/unit/run.h
check_peer_strangers_SOURCES = tests/unit/check_peer_strangers.c $(peer_ends)
check_peer_strangers_LDADD = $(check_peer_tls_LDADD)
check_peer_tls_SOURCES = tests/unit/check_peer_tls.c $(peer_ends)
check_peer_tls_LDADD = $(SYNC_LIBS) $(BASE_LIBS) $(UNIT_LIBS)
noinst_PROGRAMS += sync_node evil_peer
evil_peer_SOURCES = tests/netns/evil_peer.c
evil_peer_LDADD = $(SYNC_LIBS) $(BASE_LIBS) $(NFCT_LIBS)
sync_node_SOURCES = tests/netns/sync_node.c
sync_node_LDADD = $(SYNC_LIBS) $(BASE_LIBS) $(NFCT_LIBS)
check_PROGRAMS += check_sess_tbl check_sync_owner check_sync_policy check_sync_digest check_sync_fsm check_sync_life \
	check_sync_join
check_sess_tbl_SOURCES = tests/unit/check_sess_tbl.c
check_sess_tbl_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_sync_owner_SOURCES = tests/unit/check_sync_owner.c
check_sync_owner_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_sync_policy_SOURCES = tests/unit/check_sync_policy.c $(sync_rig)
check_sync_policy_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_sync_digest_SOURCES = tests/unit/check_sync_digest.c $(sync_rig)
check_sync_digest_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_sync_fsm_SOURCES = tests/unit/check_sync_fsm.c $(rig_pair)
check_sync_fsm_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_sync_life_SOURCES = tests/unit/check_sync_life.c $(rig_pair)
check_sync_life_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_sync_join_SOURCES = tests/unit/check_sync_join.c $(rig_pair)
check_sync_join_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_sync_sweep check_sync_former
check_sync_former_SOURCES = tests/unit/check_sync_former.c $(rig_pair)
check_sync_former_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_sync_sweep_SOURCES = tests/unit/check_sync_sweep.c $(rig_pair)
check_sync_sweep_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_sync_ops
check_sync_ops_SOURCES = tests/unit/check_sync_ops.c $(rig_pair)
check_sync_ops_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_sync_age
check_sync_age_SOURCES = tests/unit/check_sync_age.c $(rig_pair)
check_sync_age_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_sync_store check_sync_limit check_sync_wait
check_sync_wait_SOURCES = tests/unit/check_sync_wait.c
check_sync_wait_LDADD = libsync_core.a libbase_core.a $(UNIT_LIBS)
check_sync_limit_SOURCES = tests/unit/check_sync_limit.c $(rig_pair)
check_sync_limit_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_sync_store_SOURCES = tests/unit/check_sync_store.c $(rig_pair)
check_sync_store_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_PROGRAMS += fuzz_sync_policy
fuzz_sync_policy_SOURCES = tests/fuzz/fuzz_sync_policy.c
fuzz_sync_policy_LDADD = libsync_core.a libbase_core.a $(FUZZ_LIBS)
check_PROGRAMS += check_sync_count
check_sync_count_SOURCES = tests/unit/check_sync_count.c $(rig_pair)
check_sync_count_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_sync_obj
check_sync_obj_SOURCES = tests/unit/check_sync_obj.c
check_sync_obj_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
