# daemon/base: the bottom layer, includes nothing of ours.
noinst_LIBRARIES += libbase_core.a libbase_io.a
libbase_core_a_SOURCES =
libbase_io_a_SOURCES =
BASE_LIBS = libbase_io.a libbase_core.a $(EVENT_LIBS) $(SODIUM_LIBS) -lpthread
