# ike-hooks: pure core and I/O shell, two convenience libraries.
noinst_LIBRARIES += libike_core.a libike_io.a
libike_core_a_SOURCES = 
libike_io_a_SOURCES = 
