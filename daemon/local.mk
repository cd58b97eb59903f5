# daemon: owns everything; the only folder that knows all domains.
noinst_LIBRARIES += libdaemon_core.a libdaemon_io.a
libdaemon_core_a_SOURCES = daemon/role.h daemon/role_int.h daemon/role.c daemon/role_stage.c daemon/group.h daemon/group.c \
	daemon/node.h daemon/node_int.h daemon/node.c daemon/node_group.c daemon/node_role.c daemon/node_timer.c daemon/node_sync.c daemon/node_peer.c daemon/node_split.c daemon/node_start.c daemon/node_track.c daemon/node_wake.c daemon/node_ike.c
libdaemon_io_a_SOURCES =

# Configuration: schema and comparison are pure, reading and building are not.
libdaemon_core_a_SOURCES += daemon/cfg.h daemon/notify_conf.h daemon/cfg_schema.h daemon/cfg_schema.c daemon/cfg_diff.c daemon/cfg_diff_track.c
libdaemon_core_a_SOURCES += daemon/cfg_rows.h daemon/cfg_rows.c
libdaemon_io_a_SOURCES += daemon/cfg_tree.h daemon/cfg_tree.c daemon/cfg_text.h daemon/cfg_text.c daemon/cfg_read.c \
	daemon/cfg_check.h daemon/cfg_check.c daemon/cfg_check_inst.c daemon/cfg_check_node.c daemon/cfg_check_sync.c daemon/cfg_check_vmac.c daemon/cfg_ike.c daemon/cfg_notify.c daemon/cfg_audit.c daemon/cfg_route.c daemon/cfg_track.h daemon/cfg_track.c daemon/cfg_build.c daemon/cfg_print.c daemon/cfg_say.h daemon/cfg_say.c
CFG_TEST_LIBS = libdaemon_io.a libike_io.a libdaemon_core.a libbase_core.a $(CONFIG_LIBS) $(SODIUM_LIBS) -lm
check_PROGRAMS += check_cfg_schema check_cfg_read check_cfg_check check_cfg_print check_cfg_diff fuzz_cfg
check_cfg_schema_SOURCES = tests/unit/check_cfg_schema.c
check_cfg_schema_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
check_cfg_read_SOURCES = tests/unit/check_cfg_read.c tests/unit/cfg_util.h
check_cfg_read_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
check_cfg_check_SOURCES = tests/unit/check_cfg_check.c tests/unit/cfg_util.h
check_cfg_check_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
check_cfg_print_SOURCES = tests/unit/check_cfg_print.c tests/unit/cfg_util.h
check_cfg_print_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
check_cfg_diff_SOURCES = tests/unit/check_cfg_diff.c tests/unit/cfg_util.h
check_cfg_diff_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
fuzz_cfg_SOURCES = tests/fuzz/fuzz_cfg.c
fuzz_cfg_LDADD = $(CFG_TEST_LIBS) $(FUZZ_LIBS)

keeptrackdconfdir = $(sysconfdir)/keeptrackd
keeptrackdconf_DATA = daemon/dist/keeptrackd.conf.example
EXTRA_DIST += daemon/dist/keeptrackd.conf.example
dist_man_MANS += daemon/dist/keeptrackd.conf.5

# The role transaction and the group table.
check_PROGRAMS += check_role check_role_pairs check_role_store check_group
role_one = tests/unit/role_one.c tests/unit/role_one.h tests/unit/run.h
check_role_SOURCES = tests/unit/check_role.c $(role_one)
check_role_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
check_role_pairs_SOURCES = tests/unit/check_role_pairs.c $(role_one)
check_role_pairs_LDADD = $(check_role_LDADD)
check_role_store_SOURCES = tests/unit/check_role_store.c $(role_one)
check_role_store_LDADD = $(check_role_LDADD)
check_PROGRAMS += check_role_import
check_role_import_SOURCES = tests/unit/check_role_import.c $(role_one)
check_role_import_LDADD = $(check_role_LDADD)
check_group_SOURCES = tests/unit/check_group.c
check_group_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
check_PROGRAMS += check_node check_node_switch check_node_guard
node_pair = tests/unit/node_pair.c tests/unit/node_pair.h
check_node_SOURCES = tests/unit/check_node.c $(node_pair)
check_node_LDADD = libdaemon_core.a libike_core.a libsync_core.a libvrrp_core.a libbase_core.a $(UNIT_LIBS)
check_node_switch_SOURCES = tests/unit/check_node_switch.c $(node_pair)
check_node_switch_LDADD = $(check_node_LDADD)
check_node_guard_SOURCES = tests/unit/check_node_guard.c $(node_pair)
check_node_guard_LDADD = $(check_node_LDADD)
check_PROGRAMS += check_node_ike
check_node_ike_SOURCES = tests/unit/check_node_ike.c
check_node_ike_LDADD = $(check_node_LDADD)
check_PROGRAMS += check_node_many check_node_three check_node_crowd
node_many = tests/unit/node_many.c tests/unit/node_many.h tests/unit/run.h
check_node_many_SOURCES = tests/unit/check_node_many.c $(node_many)
check_node_many_LDADD = $(check_node_LDADD)
check_node_three_SOURCES = tests/unit/check_node_three.c $(node_many)
check_node_three_LDADD = $(check_node_LDADD)
check_node_crowd_SOURCES = tests/unit/check_node_crowd.c $(node_many)
check_node_crowd_LDADD = $(check_node_LDADD)
check_PROGRAMS += check_node_delay
check_node_delay_SOURCES = tests/unit/check_node_delay.c
check_node_delay_LDADD = $(check_node_LDADD)

# Addresses, links, the KERNEL thread, journal, guardian, process.
libdaemon_core_a_SOURCES += daemon/netstate.h daemon/netstate_priv.h daemon/netstate.c daemon/netstate_conf.c \
	daemon/netstate_obs.c daemon/netstate_done.c daemon/netstate_show.c daemon/netstate_route.c daemon/netstate_share.c \
	daemon/route_text.h daemon/route_read.h daemon/route_read.c daemon/route_text.c daemon/rule_text.c daemon/route_print.c daemon/rtnl_route.h daemon/rtnl_route.c daemon/rtnl_get.h daemon/rtnl_put.h \
	daemon/rtnl_wire.h daemon/rtnl_wire.c daemon/rtnl_link.h daemon/rtnl_link.c \
	daemon/sysctl_plan.h daemon/sysctl_plan.c daemon/nft_rules.h daemon/nft_rules.c daemon/quar_rules.h daemon/quar_rules.c daemon/sweep_ct.h daemon/sweep_ct.c \
	daemon/ownfile.h daemon/ownfile.c \
	daemon/journal_wire.h daemon/journal_wire.c
libdaemon_io_a_SOURCES += daemon/netapply.h daemon/netapply.c daemon/route_list.h daemon/route_list.c daemon/rtnl_io.h daemon/rtnl_io.c \
	daemon/kernel_thread.h daemon/kernel_thread.c daemon/sysctl_io.h daemon/sysctl_io.c daemon/nft_io.h daemon/nft_io.c daemon/ipt_io.h daemon/ipt_io.c daemon/journal.h daemon/journal.c daemon/guardian.h \
	daemon/guardian.c daemon/sandbox.h daemon/sandbox.c daemon/sdnotify.h daemon/sdnotify.c daemon/file_io.h \
	daemon/file_io.c

# Control socket: the command table is pure and shared with ktsh.
libdaemon_core_a_SOURCES += daemon/ctl_proto.h daemon/ctl_proto.c
libdaemon_io_a_SOURCES += daemon/ctl.h daemon/ctl.c daemon/ctl_msg.c
check_PROGRAMS += check_ctl fuzz_ctl
check_ctl_SOURCES = tests/unit/check_ctl.c
check_ctl_LDADD = libdaemon_io.a libdaemon_core.a $(BASE_LIBS) $(JANSSON_LIBS) $(UNIT_LIBS)
fuzz_ctl_SOURCES = tests/fuzz/fuzz_ctl.c
fuzz_ctl_LDADD = libdaemon_io.a libdaemon_core.a $(BASE_LIBS) $(JANSSON_LIBS) $(FUZZ_LIBS)

# What is told to programs, pipes and people.
libdaemon_core_a_SOURCES += daemon/notify.h daemon/notify.c daemon/notify_text.c
libdaemon_io_a_SOURCES += daemon/fifo_io.h daemon/fifo_io.c daemon/notify_io.h daemon/notify_io.c daemon/notify_int.h daemon/notify_run.c daemon/app_notify.h \
	daemon/app_notify.c daemon/show_notify.c
check_PROGRAMS += check_notify check_cfg_notify check_fifo_io
check_fifo_io_SOURCES = tests/unit/check_fifo_io.c
check_fifo_io_LDADD = libdaemon_io.a libike_io.a libdaemon_core.a $(BASE_LIBS) $(UNIT_LIBS)
check_cfg_notify_SOURCES = tests/unit/check_cfg_notify.c tests/unit/cfg_util.h
check_cfg_notify_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
check_notify_SOURCES = tests/unit/check_notify.c
check_notify_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)

# The daemon itself: the shell around the node core.
libdaemon_io_a_SOURCES += daemon/app_sa.h daemon/app_sa_int.h daemon/app_sa.c daemon/app_sa_peer.c daemon/app_sa_policy.c daemon/app_sa_show.c
libdaemon_io_a_SOURCES += daemon/app.h daemon/app.c daemon/app_node.c daemon/app_garp.c daemon/app_net.c daemon/app_vrrp.c daemon/app_vmac.c daemon/app_accept.c daemon/app_peer.c daemon/app_watch.h daemon/app_watch.c daemon/app_ike.c daemon/app_ike_backend.c daemon/app_learn.c \
	daemon/app_tell.c daemon/reload.c daemon/reload_map.h daemon/reload_map.c daemon/show.h daemon/show.c daemon/show_vrrp.c daemon/show_failover.c \
	daemon/app_ipsec.c daemon/app_ipsec.h daemon/app_ipsec_int.h daemon/app_ipsec_ask.c daemon/app_ipsec_probe.c daemon/ipsec_files.c daemon/ipsec_files.h \
	daemon/show_ipsec.c daemon/show_ipsec_do.c daemon/show_ipsec_more.c daemon/show_act.c
libdaemon_io_a_SOURCES += daemon/app_sweep.h daemon/app_sweep_int.h daemon/app_sweep.c daemon/show_sweep.c daemon/app_quar.h daemon/app_quar.c
libdaemon_io_a_SOURCES += daemon/app_track.h daemon/track_int.h daemon/app_track.c daemon/track_iface.c daemon/track_script.c \
	daemon/track_list.c daemon/track_table.c daemon/track_file.c daemon/track_process.c daemon/track_look.h daemon/track_look.c
libdaemon_core_a_SOURCES += daemon/track_text.h daemon/track_text.c
libdaemon_io_a_SOURCES += daemon/app_maint.c daemon/app_stored.c daemon/show_peer.c daemon/show_query.c

# check-pair: facts, comparison, rules are pure.
libdaemon_io_a_SOURCES += daemon/cfg_flat.c
check_PROGRAMS += check_cfg_flat
check_cfg_flat_SOURCES = tests/unit/check_cfg_flat.c tests/unit/cfg_util.h
check_cfg_flat_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
libdaemon_core_a_SOURCES += daemon/pair_facts.h daemon/pair_facts.c daemon/pair_check.h daemon/pair_check.c daemon/pair_rules.h \
	daemon/pair_rules.c
libdaemon_io_a_SOURCES += daemon/pair_gather.h daemon/pair_gather.c daemon/pair_nft.c daemon/pair_own.h daemon/pair_own.c daemon/app_pair.h daemon/app_pair.c daemon/app_pair_int.h daemon/app_pair_check.c daemon/app_pair_own.c daemon/app_pair_tell.c daemon/show_pair.c
check_PROGRAMS += check_pair_check check_pair_facts fuzz_pair_facts
check_pair_check_SOURCES = tests/unit/check_pair_check.c
check_pair_check_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
check_pair_facts_SOURCES = tests/unit/check_pair_facts.c
check_pair_facts_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
fuzz_pair_facts_SOURCES = tests/fuzz/fuzz_pair_facts.c
fuzz_pair_facts_LDADD = libdaemon_core.a libbase_core.a $(FUZZ_LIBS)
sbin_PROGRAMS += keeptrackd
keeptrackd_SOURCES = daemon/main.c
keeptrackd_LDADD = libdaemon_io.a libdaemon_core.a libike_io.a libike_core.a libsync_io.a libsync_core.a libvrrp_io.a \
	libvrrp_core.a $(BASE_LIBS) $(SSL_LIBS) $(CONFIG_LIBS) $(JANSSON_LIBS) $(CAPNG_LIBS) $(NFT_LIBS) -lm
# The imagined kernel of the simulation and the address script that it and the real kernel pass; *_real and *_root
# need root.
noinst_LIBRARIES += libfake_rtnl.a
libfake_rtnl_a_SOURCES = tests/sim/fake_rtnl.h tests/sim/fake_rtnl.c tests/sim/fake_route.c tests/sim/rtnl_script.h tests/sim/rtnl_script.c
NET_TEST_LIBS = libdaemon_io.a libdaemon_core.a $(BASE_LIBS) $(CAPNG_LIBS)
check_PROGRAMS += check_netstate check_netstate_routes check_netstate_share check_netstate_walk check_fake_rtnl
netstate_world = tests/unit/netstate_world.c tests/unit/netstate_world.h
check_netstate_SOURCES = tests/unit/check_netstate.c $(netstate_world)
check_netstate_routes_SOURCES = tests/unit/check_netstate_routes.c $(netstate_world)
check_netstate_share_SOURCES = tests/unit/check_netstate_share.c $(netstate_world)
check_netstate_walk_SOURCES = tests/unit/check_netstate_walk.c $(netstate_world)
check_netstate_routes_LDADD = $(check_netstate_LDADD)
check_netstate_share_LDADD = $(check_netstate_LDADD)
check_netstate_walk_LDADD = $(check_netstate_LDADD)
check_netstate_LDADD = libfake_rtnl.a libdaemon_core.a libbase_core.a $(SODIUM_LIBS) $(UNIT_LIBS)
check_fake_rtnl_SOURCES = tests/unit/check_fake_rtnl.c
check_fake_rtnl_LDADD = libfake_rtnl.a libdaemon_core.a libbase_core.a $(SODIUM_LIBS) $(UNIT_LIBS)
noinst_PROGRAMS += rtnl_script_real
rtnl_script_real_SOURCES = tests/netns/rtnl_script_real.c tests/netns/rtnl_util.h tests/netns/rtnl_util.c
rtnl_script_real_LDADD = libfake_rtnl.a $(NET_TEST_LIBS)
noinst_PROGRAMS += guardian_root netapply_root sandbox_root
sandbox_root_SOURCES = tests/netns/sandbox_root.c
sandbox_root_LDADD = $(NET_TEST_LIBS)
guardian_root_SOURCES = tests/netns/guardian_root.c tests/netns/rtnl_util.h tests/netns/rtnl_util.c
guardian_root_LDADD = $(NET_TEST_LIBS)
netapply_root_SOURCES = tests/netns/netapply_root.c tests/netns/rtnl_util.h tests/netns/rtnl_util.c
netapply_root_LDADD = $(NET_TEST_LIBS)
noinst_PROGRAMS += nft_root
nft_root_SOURCES = tests/netns/nft_root.c
nft_root_LDADD = $(NET_TEST_LIBS) $(NFT_LIBS)
check_PROGRAMS += check_ownfile check_journal check_rtnl_wire check_kernel_thread fuzz_ownfile fuzz_journal fuzz_rtnl_wire
check_PROGRAMS += check_sdnotify
check_sdnotify_SOURCES = tests/unit/check_sdnotify.c
check_sdnotify_LDADD = $(NET_TEST_LIBS) $(UNIT_LIBS)
check_ownfile_SOURCES = tests/unit/check_ownfile.c
check_ownfile_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
check_journal_SOURCES = tests/unit/check_journal.c
check_journal_LDADD = $(NET_TEST_LIBS) $(UNIT_LIBS)
check_rtnl_wire_SOURCES = tests/unit/check_rtnl_wire.c
check_rtnl_wire_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
check_kernel_thread_SOURCES = tests/unit/check_kernel_thread.c
check_kernel_thread_LDADD = $(NET_TEST_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_route_text check_rtnl_route fuzz_route_text fuzz_rtnl_route
check_route_text_SOURCES = tests/unit/check_route_text.c
check_route_text_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
check_rtnl_route_SOURCES = tests/unit/check_rtnl_route.c
check_rtnl_route_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
fuzz_route_text_SOURCES = tests/fuzz/fuzz_route_text.c
fuzz_route_text_LDADD = libdaemon_core.a libbase_core.a $(FUZZ_LIBS)
fuzz_rtnl_route_SOURCES = tests/fuzz/fuzz_rtnl_route.c
fuzz_rtnl_route_LDADD = libdaemon_core.a libbase_core.a $(FUZZ_LIBS)
fuzz_ownfile_SOURCES = tests/fuzz/fuzz_ownfile.c tests/fuzz/sealed.h
fuzz_ownfile_LDADD = libdaemon_core.a libbase_core.a $(FUZZ_LIBS)
fuzz_journal_SOURCES = tests/fuzz/fuzz_journal.c
fuzz_journal_LDADD = libdaemon_core.a libbase_core.a $(FUZZ_LIBS)
check_PROGRAMS += check_sysctl_plan check_sysctl_io fuzz_sysctl_record
check_sysctl_plan_SOURCES = tests/unit/check_sysctl_plan.c
check_sysctl_plan_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
check_sysctl_io_SOURCES = tests/unit/check_sysctl_io.c
check_sysctl_io_LDADD = $(NET_TEST_LIBS) $(UNIT_LIBS)
fuzz_sysctl_record_SOURCES = tests/fuzz/fuzz_sysctl_record.c tests/fuzz/sealed.h
fuzz_sysctl_record_LDADD = libdaemon_core.a libbase_core.a $(FUZZ_LIBS)
check_PROGRAMS += check_cfg_vmac
check_cfg_vmac_SOURCES = tests/unit/check_cfg_vmac.c tests/unit/cfg_util.h
check_cfg_vmac_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_cfg_track
check_cfg_track_SOURCES = tests/unit/check_cfg_track.c tests/unit/cfg_util.h
check_cfg_track_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_netstate_link
check_netstate_link_SOURCES = tests/unit/check_netstate_link.c
check_netstate_link_LDADD = libdaemon_core.a libbase_core.a $(SODIUM_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_nft_rules
check_nft_rules_SOURCES = tests/unit/check_nft_rules.c
check_nft_rules_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
check_PROGRAMS += check_quar_rules check_sweep_ct
check_quar_rules_SOURCES = tests/unit/check_quar_rules.c
check_quar_rules_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
check_sweep_ct_SOURCES = tests/unit/check_sweep_ct.c
check_sweep_ct_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
check_PROGRAMS += check_rtnl_link
check_rtnl_link_SOURCES = tests/unit/check_rtnl_link.c
check_rtnl_link_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
fuzz_rtnl_wire_SOURCES = tests/fuzz/fuzz_rtnl_wire.c
fuzz_rtnl_wire_LDADD = libdaemon_core.a libbase_core.a $(FUZZ_LIBS)
check_PROGRAMS += check_reload_map
check_reload_map_SOURCES = tests/unit/check_reload_map.c
check_reload_map_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_ipsec_files
check_ipsec_files_SOURCES = tests/unit/check_ipsec_files.c
check_ipsec_files_LDADD = libdaemon_io.a libdaemon_core.a $(IKE_CORE_LIBS) $(BASE_LIBS) $(UNIT_LIBS)

# What is tracked, as bytes of files and of the kernel.
check_PROGRAMS += check_track_text fuzz_track_text
check_track_text_SOURCES = tests/unit/check_track_text.c tests/unit/run.h
check_track_text_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
fuzz_track_text_SOURCES = tests/fuzz/fuzz_track_text.c
fuzz_track_text_LDADD = libdaemon_core.a libbase_core.a $(FUZZ_LIBS)
check_PROGRAMS += check_node_track
check_node_track_SOURCES = tests/unit/check_node_track.c $(node_pair)
check_node_track_LDADD = $(check_node_LDADD)
noinst_PROGRAMS += track_root
track_root_SOURCES = tests/netns/track_root.c
track_root_LDADD = $(keeptrackd_LDADD)

# The engine's side of other names.
libdaemon_io_a_SOURCES += daemon/app_ctd.h daemon/app_ctd.c daemon/app_layer.h daemon/app_layer.c
