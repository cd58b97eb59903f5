# daemon/dist: what is installed besides the programs.
dist_man8_MANS = daemon/dist/keeptrackd.8
systemdsystemunit_DATA = daemon/dist/keeptrackd.service
initdir = $(sysconfdir)/init.d
defaultsdir = $(sysconfdir)/default

EXTRA_DIST += daemon/dist/keeptrackd.service daemon/dist/keeptrackd.init daemon/dist/keeptrackd.default

install-data-local:
	$(MKDIR_P) $(DESTDIR)$(initdir) $(DESTDIR)$(defaultsdir) $(DESTDIR)$(sysconfdir)/keeptrackd
	$(INSTALL_SCRIPT) $(srcdir)/daemon/dist/keeptrackd.init $(DESTDIR)$(initdir)/keeptrackd
	test -e $(DESTDIR)$(defaultsdir)/keeptrackd || \
		$(INSTALL_DATA) $(srcdir)/daemon/dist/keeptrackd.default $(DESTDIR)$(defaultsdir)/keeptrackd

# What the administrator changed stays.
uninstall-local:
	rm -f $(DESTDIR)$(initdir)/keeptrackd
	! cmp -s $(srcdir)/daemon/dist/keeptrackd.default $(DESTDIR)$(defaultsdir)/keeptrackd || \
		rm -f $(DESTDIR)$(defaultsdir)/keeptrackd
