# daemon: owns everything; the only folder that knows all domains.
noinst_LIBRARIES += libdaemon_core.a libdaemon_io.a
libdaemon_core_a_SOURCES =
libdaemon_io_a_SOURCES =
