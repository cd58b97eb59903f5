# vrrp: pure core and I/O shell, two convenience libraries.
noinst_LIBRARIES += libvrrp_core.a libvrrp_io.a
libvrrp_core_a_SOURCES = 
libvrrp_io_a_SOURCES = 
