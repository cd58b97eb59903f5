# In the place of keepalived and conntrackd: their files, command lines, and what others expect of them.

# keepalived.conf: words and what they mean.
libdaemon_core_a_SOURCES += daemon/dropin/kconf_words.h daemon/dropin/kconf_words.c
libdaemon_io_a_SOURCES += daemon/dropin/kconf_map.h daemon/dropin/kconf_map_int.h daemon/dropin/kconf_map.c daemon/dropin/kconf_map_inst.c \
	daemon/dropin/kconf_map_finish.c daemon/dropin/kconf_map_addr.c daemon/dropin/kconf_map_route.c daemon/dropin/kconf_map_script.c \
	daemon/dropin/kconf_map_global.c daemon/dropin/kconf_map_group.c daemon/dropin/kconf_map_ours.c daemon/dropin/kconf_map_track.c daemon/dropin/convert.h daemon/dropin/convert.c

# keepalived.conf: the lexical surface.
libdaemon_io_a_SOURCES += daemon/dropin/kconf_lex.h daemon/dropin/kconf_int.h daemon/dropin/kconf_text.h daemon/dropin/kconf_text.c daemon/dropin/kconf_vars.c \
	daemon/dropin/kconf_subst.c daemon/dropin/kconf_lex.c daemon/dropin/kconf_file.c
check_PROGRAMS += check_kconf_map check_kconf_quirk
check_kconf_quirk_SOURCES = tests/unit/check_kconf_quirk.c tests/unit/kconf_map_util.h
check_kconf_quirk_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
check_kconf_map_SOURCES = tests/unit/check_kconf_map.c tests/unit/kconf_map_util.h
check_kconf_map_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
check_PROGRAMS += check_kconf_text check_kconf_lex check_kconf_file fuzz_kconf fuzz_kconf_map
check_kconf_text_SOURCES = tests/unit/check_kconf_text.c
check_kconf_text_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
check_kconf_lex_SOURCES = tests/unit/check_kconf_lex.c tests/unit/kconf_util.h
check_kconf_lex_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
check_kconf_file_SOURCES = tests/unit/check_kconf_file.c tests/unit/kconf_util.h
check_kconf_file_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
fuzz_kconf_map_SOURCES = tests/fuzz/fuzz_kconf_map.c
fuzz_kconf_map_LDADD = $(CFG_TEST_LIBS) $(FUZZ_LIBS)
fuzz_kconf_SOURCES = tests/fuzz/fuzz_kconf.c
fuzz_kconf_LDADD = $(CFG_TEST_LIBS) $(FUZZ_LIBS)

# Which of its names the program was called by.
libdaemon_core_a_SOURCES += daemon/dropin/persona.h daemon/dropin/persona.c
check_PROGRAMS += check_persona
check_persona_SOURCES = tests/unit/check_persona.c
check_persona_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)

# Called keepalived.
libdaemon_io_a_SOURCES += daemon/dropin/kalive_opts.h daemon/dropin/kalive_opts.c daemon/dropin/kalive.h daemon/dropin/kalive_main.c daemon/dropin/kalive_proc.c \
	daemon/dropin/kalive_test.c daemon/dropin/kalive_files.c daemon/dropin/kalive_text.c daemon/dropin/kalive_things.c daemon/dropin/kalive_json.c daemon/dropin/kalive_log.c daemon/dropin/place_io.h daemon/dropin/place_io.c
check_PROGRAMS += check_kalive_opts
check_kalive_opts_SOURCES = tests/unit/check_kalive_opts.c
check_kalive_opts_LDADD = libdaemon_io.a $(UNIT_LIBS)
check_PROGRAMS += fuzz_kalive_opts
fuzz_kalive_opts_SOURCES = tests/fuzz/fuzz_kalive_opts.c
fuzz_kalive_opts_LDADD = libdaemon_io.a libbase_core.a $(FUZZ_LIBS)
# conntrackd.conf: words, reader and mapping are pure.
libdaemon_io_a_SOURCES += daemon/dropin/dconf.h daemon/dropin/dconf_words.c daemon/dropin/dconf_read.c daemon/dropin/dconf_map.c daemon/dropin/dconf_io.h daemon/dropin/dconf_io.c
check_PROGRAMS += check_dconf fuzz_dconf
check_dconf_SOURCES = tests/unit/check_dconf.c
check_dconf_LDADD = $(CFG_TEST_LIBS) $(UNIT_LIBS)
fuzz_dconf_SOURCES = tests/fuzz/fuzz_dconf.c
fuzz_dconf_LDADD = $(CFG_TEST_LIBS) $(FUZZ_LIBS)

# Called conntrackd.
libdaemon_io_a_SOURCES += daemon/dropin/ctd_find.h daemon/dropin/ctd_find.c daemon/dropin/ctd_text.h daemon/dropin/ctd_text.c \
	daemon/dropin/ctd_client.h daemon/dropin/ctd_client.c daemon/dropin/ctd_main.h daemon/dropin/ctd_main.c daemon/dropin/ctd_run.c
check_PROGRAMS += check_ctd fuzz_ctd_find
fuzz_ctd_find_SOURCES = tests/fuzz/fuzz_ctd_find.c
fuzz_ctd_find_LDADD = $(keeptrackd_LDADD) $(FUZZ_LIBS)
check_ctd_SOURCES = tests/unit/check_ctd.c
check_ctd_LDADD = $(keeptrackd_LDADD) $(UNIT_LIBS)

# Two names, one engine.
libdaemon_core_a_SOURCES += daemon/dropin/layer.h daemon/dropin/layer.c
libdaemon_io_a_SOURCES += daemon/dropin/layer_io.h daemon/dropin/layer_io.c daemon/dropin/legacy.h daemon/dropin/legacy.c
check_PROGRAMS += check_layer
check_layer_SOURCES = tests/unit/check_layer.c
check_layer_LDADD = libdaemon_core.a libbase_core.a $(UNIT_LIBS)
check_PROGRAMS += check_legacy
check_legacy_SOURCES = tests/unit/check_legacy.c
check_legacy_LDADD = $(keeptrackd_LDADD) $(UNIT_LIBS)
