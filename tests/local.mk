# tests: shared parts. Unit tests are listed beside their module as check_PROGRAMS += check_X.
#
# Fuzz targets: tests/fuzz/fuzz_X.c gives the program fuzz_X. Normally it is linked with a driver that replays
# tests/fuzz/corpus/X (so `make check` runs it), under --enable-fuzz with libFuzzer. Three lines each:
#   check_PROGRAMS += fuzz_X
#   fuzz_X_SOURCES = tests/fuzz/fuzz_X.c
#   fuzz_X_LDADD = libY_core.a libbase_core.a $(FUZZ_LIBS)
if FUZZ
FUZZ_LIBS = $(FUZZ_ENGINE) $(SODIUM_LIBS)
else
noinst_LIBRARIES += libfuzzdriver.a
libfuzzdriver_a_SOURCES = tests/fuzz/driver.c
FUZZ_LIBS = libfuzzdriver.a $(SODIUM_LIBS)
endif

# Files that no program is made of. Folders that hold objects in the build tree are given file by file.
EXTRA_DIST += dev README.md HACKING.md LICENSE .clang-format .editorconfig .ci/run m4/.gitkeep docs tests/fuzz/corpus \
	tests/cppcheck.supp tests/lsan.supp tests/tsan.supp $(wildcard $(top_srcdir)/tests/lab/*.py $(top_srcdir)/tests/netns/*.py $(top_srcdir)/tests/netns/*.txt \
	$(top_srcdir)/tests/interop/*.py $(top_srcdir)/tests/bench/*.py $(top_srcdir)/tests/diff/*.py $(top_srcdir)/tests/lab/*.sh) \
	$(wildcard $(top_srcdir)/tests/vm/*.py $(top_srcdir)/tests/vm/*.sh $(top_srcdir)/tests/vm/*.c) tests/vm/guest

# Lists for ./dev, which runs tests one by one and measures the pure cores.
.PHONY: print-check-programs print-core-sources print-core-libraries print-dist-files
print-dist-files:
	@echo $(patsubst $(top_srcdir)/%,%,$(DISTFILES))
print-check-programs:
	@echo $(check_PROGRAMS)
print-core-sources:
	@echo $(filter %.c,$(libbase_core_a_SOURCES) $(libvrrp_core_a_SOURCES) $(libsync_core_a_SOURCES) \
		$(libike_core_a_SOURCES) $(libdaemon_core_a_SOURCES) $(libcli_core_a_SOURCES))
print-core-libraries:
	@echo $(filter %_core.a,$(noinst_LIBRARIES))

# The lab's own tools (tests/lab): traffic that measures itself, a capture that understands what matters, sessions for
# the kernel's table and their comparison, packets of many flows, the table as text.
noinst_PROGRAMS += labtraffic labcapture labct labflow labtable
labtable_SOURCES = tests/lab/table.c
labtraffic_SOURCES = tests/lab/traffic.c
labcapture_SOURCES = tests/lab/capture.c
labct_SOURCES = tests/lab/ct_tool.h tests/lab/ct_load.c tests/lab/ct_compare.c
labflow_SOURCES = tests/lab/flow.c

# The simulation: the pure cores once more, with the named bugs built in (SIM_CPPFLAGS), and one program around them.
noinst_LIBRARIES += libsim_mutants.a
libsim_mutants_a_SOURCES = $(libbase_core_a_SOURCES) $(libvrrp_core_a_SOURCES) $(libsync_core_a_SOURCES) \
	$(libike_core_a_SOURCES) $(libdaemon_core_a_SOURCES)
libsim_mutants_a_CPPFLAGS = $(AM_CPPFLAGS) $(SIM_CPPFLAGS)
noinst_PROGRAMS += sim
sim_SOURCES = tests/sim/sim.h tests/sim/sim_main.c tests/sim/sim_world.c tests/sim/sim_node.c tests/sim/sim_kern.c \
	tests/sim/sim_wire.c tests/sim/sim_sync.c tests/sim/sim_ike.c tests/sim/sim_load.c tests/sim/sim_fault.c \
	tests/sim/sim_check.c tests/sim/sim_check_sync.c tests/sim/sim_store.c tests/sim/sim_fault_sync.c tests/sim/sim_group.c tests/sim/sim_vrrp.c tests/sim/sim_track.c tests/sim/fake_ct.h tests/sim/fake_ct_int.h tests/sim/fake_ct.c tests/sim/fake_ct_change.c tests/sim/fake_ct_packet.c \
	tests/sim/fake_ct_req.h tests/sim/fake_ct_req.c \
	tests/sim/fake_rtnl.h tests/sim/fake_rtnl.c tests/sim/fake_route.c
sim_CPPFLAGS = $(AM_CPPFLAGS) $(SIM_CPPFLAGS)
sim_LDADD = libsim_mutants.a $(SODIUM_LIBS) $(NFCT_LIBS)
sim_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=sess_walk_next,--wrap=clock_gettime,--wrap=gettimeofday,--wrap=time

# Leaks of libraries, for builds with sanitizers.
AM_TESTS_ENVIRONMENT += LSAN_OPTIONS=suppressions=$(abs_top_srcdir)/tests/lsan.supp:print_suppressions=0; export LSAN_OPTIONS;
check_PROGRAMS += check_sync_heal check_node_sync
check_sync_heal_SOURCES = tests/unit/check_sync_heal.c $(rig_pair)
check_sync_heal_LDADD = $(SYNC_CORE_LIBS) $(UNIT_LIBS)
check_node_sync_SOURCES = tests/unit/check_node_sync.c
check_node_sync_LDADD = libdaemon_core.a libike_core.a libvrrp_core.a libsync_core.a libbase_core.a $(SODIUM_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_sync_mutants
check_sync_mutants_SOURCES = tests/unit/check_sync_mutants.c $(rig_pair)
check_sync_mutants_CPPFLAGS = $(AM_CPPFLAGS) $(SIM_CPPFLAGS)
check_sync_mutants_LDADD = libsim_mutants.a $(SODIUM_LIBS) $(UNIT_LIBS)
check_PROGRAMS += fuzz_sync_core
fuzz_sync_core_SOURCES = tests/fuzz/fuzz_sync_core.c
fuzz_sync_core_LDADD = libfake_ct.a libsync_core.a libbase_core.a $(NFCT_LIBS) $(FUZZ_LIBS)
