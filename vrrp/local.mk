# vrrp: pure core and I/O shell, two convenience libraries.
noinst_LIBRARIES += libvrrp_core.a libvrrp_io.a
libvrrp_core_a_SOURCES = \
	vrrp/garp.c vrrp/garp.h \
	vrrp/vrrp_conf.h \
	vrrp/vrrp_fsm.c vrrp/vrrp_fsm.h \
	vrrp/vrrp_wire.c vrrp/vrrp_wire.h
libvrrp_io_a_SOURCES = \
	vrrp/vrrp_io.c vrrp/vrrp_io.h

