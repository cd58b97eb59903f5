# cli: ktsh. The grammar is pure.
noinst_LIBRARIES += libcli_core.a libcli_io.a
libcli_core_a_SOURCES = cli/gram.h cli/gram.c
libcli_io_a_SOURCES = cli/client.h cli/client.c cli/table.h cli/table.c cli/fmt_text.h cli/fmt_text.c cli/fmt_vrrp.c cli/fmt_peer.c \
	cli/fmt_failover.c cli/fmt_explain.c cli/fmt_sync.c cli/fmt_rows.c cli/fmt_session.c cli/fmt_sync_more.c cli/fmt_ipsec.c cli/fmt_ipsec_more.c cli/shell.h cli/shell.c cli/repl.c
libcli_io_a_SOURCES += cli/fmt_track.c cli/fmt_pair.c cli/fmt_sweep.c cli/fmt_notify.c
# libdaemon_core holds the command table that both ends share; nothing else is taken from it
CLI_LIBS = libcli_io.a libcli_core.a libdaemon_core.a $(JANSSON_LIBS)

bin_PROGRAMS += ktsh
ktsh_SOURCES = cli/main.c
ktsh_LDADD = $(CLI_LIBS) $(EDIT_LIBS)
dist_man_MANS += cli/ktsh.1

check_PROGRAMS += check_gram check_fmt check_shell fuzz_gram
check_gram_SOURCES = tests/unit/check_gram.c
check_gram_LDADD = libcli_core.a libdaemon_core.a $(UNIT_LIBS)
check_fmt_SOURCES = tests/unit/check_fmt.c
check_fmt_LDADD = $(CLI_LIBS) $(UNIT_LIBS)
check_shell_SOURCES = tests/unit/check_shell.c
check_shell_LDADD = libcli_io.a libcli_core.a libdaemon_io.a libdaemon_core.a $(BASE_LIBS) $(JANSSON_LIBS) $(EDIT_LIBS) \
	$(UNIT_LIBS)
fuzz_gram_SOURCES = tests/fuzz/fuzz_gram.c
fuzz_gram_LDADD = libcli_core.a libdaemon_core.a libbase_core.a $(FUZZ_LIBS)
EXTRA_DIST += tests/unit/fmt
