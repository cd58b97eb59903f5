"""Cases for the comparison with keepalived: a seed becomes a configuration, and events of the world to play with it.

The configuration is a tree of statements first, so that it is known which keyword stands in which block; then it is
written down, and how (braces, comments, variables, ~SEQ, includes, conditions) is drawn as well. The same text goes to
both daemons. Virtual routers are on eth0..eth2; the far end of each plays the other router.
"""

import random

RUN = "/run/kd"  # in the router's private /run
SEGMENTS = 3
FAR4, OWN4 = "10.%d.255.9", "10.%d.255.1"
FAR6, OWN6 = "2001:db8:%d::9", "2001:db8:%d::1"


class Stmt:
    """Words, and statements in braces (None: no braces)."""

    def __init__(self, *words, subs=None):
        self.words, self.subs = [str(w) for w in words], subs

    def add(self, *words, subs=None):
        s = Stmt(*words, subs=subs)
        self.subs.append(s)
        return s


class Router:
    """A virtual router of the case: what the far end has to say when it plays the other one."""

    def __init__(self, name, segment, vrid, version, family):
        self.name, self.segment, self.vrid, self.version, self.family = name, segment, vrid, version, family
        self.priority, self.vips, self.here, self.unicast, self.password, self.interval = 100, [], [], False, b"", 10
        self.group4, self.group6 = "224.0.0.18", "ff02::12"
        self.owner = False


class Case:
    """One configuration with its events."""

    def __init__(self, seed, links=("macvlan", "ipvlan")):
        """links: kinds of interfaces that this machine's kernel can make; statements that need another are left out."""
        self.seed, self.links = seed, links
        self.r = random.Random("keepalived %d" % seed)
        self.more = random.Random("keepalived more %d" % seed)  # words that came later, so that the others stay
        self.left_out = []
        self.version = 2 if seed % 6 == 5 else 3
        self.root, self.files, self.routers, self.groups = [], {}, [], []
        self.scripts, self.tracked, self.procs = [], [], []
        self.id = self.r.choice(["north", "south"])
        self.strict = seed % 12 == 7
        self._globals()
        self._trackers()
        for n in range(self.r.choice([1, 2, 2, 3, 4])):
            self._instance(n)
        self._group()
        self._statics()
        self.events = self._events()

    def chance(self, p):
        return self.r.random() < p

    def also(self, p):
        return self.more.random() < p

    def tick(self, what=None):
        """The longest time until an event has changed a role, in seconds. Scripts run every second, and up to twice."""
        return (5.0 if self.version == 2 else 0.9) + (2.3 if what == "script" or (not what and self.scripts) else 0)

    # ---- blocks

    def _globals(self):
        g = Stmt("global_defs", subs=[])
        self.root.append(g)
        g.add("router_id", self.r.choice(["fw-1", "a_router", '"with blanks"']))
        g.add("script_user", "root")
        if self.chance(0.7):
            g.add("enable_script_security")
        g.add("vrrp_version", self.version)
        g.add("vrrp_garp_master_delay", self.r.choice([0, 1, 1]))
        if self.chance(0.5):
            g.add("vrrp_notify_fifo", RUN + "/fifo")
            g.add("vrrp_notify_fifo_script", RUN + "/reader.sh")
        else:
            g.add("notify_fifo", RUN + "/fifo")
            g.add("notify_fifo_script", '"%s/reader.sh extra"' % RUN)
        if self.chance(0.3):
            g.add("notification_email", subs=[Stmt("root@localhost"), Stmt("ops@localhost")])
            g.add("notification_email_from", "keepalived@localhost")
        for p, words in (
                (0.2, ("smtp_alert", "off")), (0.2, ("smtp_alert_vrrp", "off")), (0.2, ("no_email_faults",)),
                (0.2, ("smtp_server", "127.0.0.1", "25")), (0.2, ("smtp_connect_timeout", "3")),
                (0.2, ("smtp_helo_name", "fw")), (0.3, ("vrrp_garp_master_repeat", self.r.randint(1, 3))),
                (0.2, ("vrrp_garp_master_refresh", 2)), (0.2, ("vrrp_garp_master_refresh_repeat", 2)),
                (0.2, ("vrrp_garp_lower_prio_delay", 1)), (0.2, ("vrrp_garp_lower_prio_repeat", 2)),
                (0.2, ("vrrp_garp_interval", "0.001")), (0.2, ("vrrp_gna_interval", "0.000100")),
                (0.15, ("vrrp_min_garp",)), (0.3, ("vrrp_down_timer_adverts", self.r.choice([2, 3, 4]))),
                (0.2, ("vrrp_lower_prio_no_advert",)), (0.2, ("vrrp_higher_prio_send_advert", "true")),
                (0.2, ("vrrp_check_unicast_src",)), (0.3, ("vrrp_skip_check_adv_addr",)),
                (0.3, ("vrrp_notify_priority_changes", "yes")), (0.2, ("fifo_write_vrrp_states_on_reload",)),
                (0.2, ("vrrp_startup_delay", "0.4")), (0.3, ("dynamic_interfaces",)), (0.2, ("max_auto_priority", -1)),
                (0.2, ("vrrp_garp_extra_if", 60)), (0.1, ("vrrp_strict", "off")),
                (0.2, ("vmac_prefix", "vm")), (0.15, ("random_seed", 12)), (0.15, ("include_check", "readable")),
                (0.15, ("data_use_instance",)), (0.15, ("json_version", 2)), (0.15, ("umask", "0177")),
                (0.15, ("vrrp_mcast_group4", "224.0.1.77")), (0.15, ("vrrp_mcast_group6", "ff02::77")),
                (0.3, ("default_interface", "eth1"))):
            if self.chance(p):
                g.add(*words)
        self.g = g
        if self.chance(0.1):
            self.root.append(Stmt("use_pid_dir"))
        if self.chance(0.1):
            self.root.append(Stmt("instance", "east"))
        if self.chance(0.2):
            self.root.append(Stmt("garp_group", subs=[Stmt("garp_interval", "0.002"), Stmt("gna_interval", "0.002"),
                                                      Stmt("interface", "eth2")]))
        if self.chance(0.2):
            self.root.append(Stmt("garp_group", subs=[Stmt("garp_interval", "0.001"),
                                                      Stmt("interfaces", subs=[Stmt("eth0"), Stmt("eth1")])]))

    def _global(self, word):
        return [s for s in self.g.subs if s.words[0] == word]

    def _trackers(self):
        for n in range(self.r.choice([0, 1, 1, 2])):
            name = "chk%d" % n
            s = Stmt("vrrp_script", name, subs=[])
            s.add("script", self.r.choice(['"%s/chk.sh %s"', "\"%s/chk.sh '%s'\""]) % (RUN, name))
            s.add("interval", 1)  # 2.2.7 reads whole seconds
            for p, words in ((0.3, ("timeout", 1)), (0.6, ("weight", self.r.choice([-30, -10, 10, 25, 0]))),
                             (0.4, ("rise", self.r.choice([1, 2]))), (0.4, ("fall", self.r.choice([1, 2]))),
                             (0.4, ("user", "root")), (0.2, ("init_fail",))):
                if self.chance(p):
                    s.add(*words)
            self.scripts.append(name)
            self.root.append(s)
        for n in range(self.r.choice([0, 1, 1])):
            name = "file%d" % n
            s = Stmt(self.r.choice(["track_file", "vrrp_track_file"]), name, subs=[Stmt("file", "%s/%s" % (RUN, name))])
            if self.chance(0.6):
                s.add("weight", self.r.choice([1, -1, 2]))
            if self.chance(0.5):
                s.add("init_file", self.r.choice([0, 3]), *self.r.choice([(), ("overwrite",)]))
            self.tracked.append(name)
            self.root.append(s)
        if self.chance(0.25):
            # keepalived sees no process outside of the first network namespace, so it is one that nobody sees
            s = Stmt("vrrp_track_process", "proc0", subs=[Stmt("process", self.r.choice(['"kdnone"', '"kdnone 900"']))])
            for p, words in ((0.9, ("weight", self.r.choice([10, -20]))), (0.4, ("quorum", 1)),
                             (0.2, ("quorum_max", 3)), (0.3, ("fork_delay", "0.1")), (0.3, ("terminate_delay", "0.1")),
                             (0.2, ("delay", "0.1")), (0.2, ("param_match", "initial")), (0.2, ("full_command",))):
                if self.chance(p):
                    s.add(*words)
            self.procs.append("proc0")
            self.root.append(s)

    def _vip(self, v, n, excluded=False):
        """One address with options."""
        if v.family == 6:
            words = ["2001:db8:%d::%x%s" % (v.segment, (0x500 if excluded else 0x100) + v.vrid * 16 + n,
                                          self.r.choice(["/64", "/128", "/64"]))]
        else:
            words = ["10.%d.%d.%d%s" % (v.segment, 250 + len(self.routers) if excluded else v.vrid, n + 1, self.r.choice(["", "/24", "/32", "/16"]))]
        if v.family == 6 and n == 0 and not excluded:
            words = ["fe80::%x:%x/64" % (v.segment + 1, v.vrid)]
        elif self.chance(0.25):
            words += ["dev", self.r.choice(["eth0", "eth1", "eth2"])]
        if v.family == 4:
            if self.chance(0.15):
                words += ["label", "%s:v%d" % (words[words.index("dev") + 1] if "dev" in words else "eth%d" % v.segment, n)]
            if self.chance(0.15):
                words += ["brd", self.r.choice(["+", "10.%d.255.255" % v.segment])]
            if self.chance(0.15):
                words += ["scope", self.r.choice(["link", "global", "host", "site"])]
        else:
            if self.chance(0.2):
                words += [self.r.choice(["home", "-nodad"])]
            if self.chance(0.2):
                words += ["preferred_lft", self.r.choice(["forever", "0", "500"])]
        if self.chance(0.1):
            words += ["noprefixroute"]
        if self.chance(0.15):
            words += ["no_track"]
        return Stmt(*words)

    def _tracks(self, block, taken=()):
        """track_* blocks of an instance or a group; at most one of each.

        What a member tracks its group does not: keepalived 2.2.7 keeps both in INIT for ever then.
        """
        scripts = [s for s in self.scripts if s not in taken]
        if scripts and self.chance(0.6):
            names = self.r.sample(scripts, self.r.randint(1, len(scripts)))
            block.add("track_script", subs=[Stmt(n, *(("weight", self.r.choice([-40, -5, 5, 20]))
                                                      if self.chance(0.4) else ())) for n in names])
        if self.tracked and not set(self.tracked) & set(taken) and self.chance(0.6):
            block.add("track_file", subs=[Stmt(n, *(("weight", self.r.choice([1, -2])) if self.chance(0.5) else ()))
                                          for n in self.tracked])
        if self.procs and not set(self.procs) & set(taken) and self.chance(0.7):
            block.add("track_process", subs=[Stmt(n) for n in self.procs])

    def _notify(self, block, kind, name):
        words = ["notify", "notify_master", "notify_backup", "notify_fault", "notify_stop"]
        if kind == "INSTANCE":
            words += ["notify_master_rx_lower_pri", "notify_deleted"]
        for word in words:
            if self.chance(0.55):
                path = "%s/n.sh %s" % (RUN, word)
                block.add(word, self.r.choice(['"%s %s"' % (path, name), "\"%s '%s'\" root" % (path, name)]))
        if self.chance(0.2):
            block.add("smtp_alert", "off")
        if self.chance(0.2):
            block.add("notify_priority_changes", self.r.choice(["on", "off"]))

    def _instance(self, n):
        family = 6 if self.chance(0.3) else 4
        version = 3 if family == 6 else self.version
        if self.version == 3 and family == 4 and self.chance(0.1) and not self.strict:
            version = 3
        segment = self.r.randrange(SEGMENTS)
        v = Router("VI_%d" % n, segment, self.r.randint(1, 60) * 4 + n, version, family)
        i = Stmt("vrrp_instance", v.name, subs=[])
        for s in self._global("vrrp_mcast_group4"):
            v.group4 = s.words[1]
        for s in self._global("vrrp_mcast_group6"):
            v.group6 = s.words[1]
        v.owner = self.chance(0.07)
        v.priority = 255 if v.owner else self.r.randint(60, 200)
        if self.chance(0.7) or v.owner:
            i.add("state", "MASTER" if v.owner or (self.chance(0.2) and not self.strict) else "BACKUP")
        i.add("interface", "eth%d" % segment)
        i.add("virtual_router_id", v.vrid)
        i.add("priority", v.priority)
        i.add("advert_int", 1 if self.version == 2 else self.r.choice(["0.1", "0.1", ".1"]))
        v.interval = 100 if self.version == 2 else 10
        if self.chance(0.3):
            i.add("version", version)
        if family == 6 and self.chance(0.5):
            i.add("native_ipv6")
        if not self.strict:
            self._plain_words(i, v)
            self._more_words(i, v)
        if self.chance(0.25) and not v.owner and i.subs[0].words[-1] == "BACKUP":
            i.add("nopreempt")
        elif self.chance(0.2):
            i.add("preempt")
        vips = [self._vip(v, k) for k in range(self.r.choice([1, 1, 2, 3]))]
        i.add("virtual_ipaddress", subs=vips)
        v.vips = [s.words[0].split("/")[0] for s in vips]
        v.here = [s.words[0].split("/")[0] for s in vips if "dev" not in s.words]
        if self.chance(0.4):
            i.add("virtual_ipaddress_excluded", subs=[self._vip(v, k, True) for k in range(self.r.choice([1, 2]))])
        if self.chance(0.3):
            others = [k for k in range(SEGMENTS) if k != segment]
            i.add("track_interface", subs=[Stmt("eth%d" % k, *(("weight", self.r.choice([-20, 15])) if self.chance(0.6) else ()))
                                           for k in others[:1]])
        self._tracks(i)
        if family == 4:
            self._routes(i, v)
        self._notify(i, "INSTANCE", v.name)
        self.routers.append(v)
        self.root.append(i)

    def _plain_words(self, i, v):
        if v.family == 4 and self.chance(0.2):
            v.unicast = True
            i.add(self.r.choice(["unicast_src_ip", "mcast_src_ip"]) if self.chance(0.5) else "unicast_src_ip",
                  OWN4 % v.segment)
            i.add("unicast_peer", subs=[Stmt(FAR4 % v.segment)])
            for p, words in ((0.3, ("unicast_ttl", 64)), (0.3, ("check_unicast_src",)), (0.2, ("unicast_fault_no_peer",))):
                if self.chance(p):
                    i.add(*words)
        elif v.family == 4 and self.chance(0.2):
            i.add("mcast_src_ip", OWN4 % v.segment)
        if v.version == 2 and self.chance(0.4):
            v.password = self.r.choice([b"secret", b"eight888"])
            i.add("authentication", subs=[Stmt("auth_type", "PASS"), Stmt("auth_pass", v.password.decode())])
        for p, words in (
                (0.15, ("garp_master_delay", 1)), (0.15, ("garp_master_repeat", 2)), (0.15, ("garp_master_refresh", 2)),
                (0.15, ("garp_master_refresh_repeat", 1)), (0.15, ("garp_lower_prio_delay", 1)),
                (0.15, ("garp_lower_prio_repeat", 1)), (0.1, ("garp_extra_if", 60)), (0.1, ("vmac_garp_intvl", 60)),
                (0.15, ("lower_prio_no_advert",)), (0.15, ("higher_prio_send_advert",)), (0.1, ("skip_check_adv_addr",)),
                (0.15, ("down_timer_adverts", 3)), (0.2, ("accept",)), (0.1, ("dont_track_primary",)),
                (0.1, ("strict_mode", "off")), (0.1, ("promote_secondaries",)), (0.1, ("debug", 1))):
            if self.chance(p):
                i.add(*words)
        if self.chance(0.15) and not v.unicast and not v.owner:
            i.add("preempt_delay", "0.5")

    def _more_words(self, i, v):
        """Words whose effect is on the link, drawn from numbers of their own."""
        kind = self.more.choice(["use_vmac", "use_vmac", "use_ipvlan"]) if self.also(0.15) else None
        if kind == "use_vmac":
            i.add(kind, *self.more.choice([(), ("vm%d" % v.vrid,), ("vm%d" % v.vrid, "02:00:5e:00:77:%02x" % v.vrid)]))
            if v.unicast or self.also(0.4):
                i.add("vmac_xmit_base")
        elif kind and "ipvlan" not in self.links:
            self.left_out.append(kind)
        elif kind:
            i.add(kind, "iv%d" % v.vrid, *(("10.%d.254.%d" % (v.segment, v.vrid),) if v.family == 4 else ()))
        if self.also(0.12) and not v.owner and not any(s.words[0] == "accept" for s in i.subs):
            i.add("no_accept")
        if self.also(0.1) and not v.unicast:
            v.group4, v.group6 = "224.0.1.88", "ff02::88"
            i.add("mcast_dst_ip", v.group6 if v.family == 6 else v.group4)

    def _routes(self, i, v):
        s = v.segment
        if self.chance(0.35):
            block = i.add("virtual_routes", subs=[])
            for k, words in enumerate(self.r.sample([
                    "src 10.%d.255.1 192.168.%d.0/24 via 10.%d.255.9 dev eth%d" % (s, v.vrid, s, s),
                    "172.16.%d.0/24 dev eth%d scope link" % (v.vrid, s),
                    "192.0.2.%d/32 via 10.%d.255.9 metric 50" % (v.vrid, s),
                    "198.51.100.%d via 10.%d.255.9 table %d" % (v.vrid, s, 100 + v.vrid),
                    "blackhole 192.168.%d.128/25" % v.vrid,
                    "203.0.113.%d/32 gw 10.%d.255.9 dev eth%d onlink no_track" % (v.vrid, s, s)], 2)):
                block.add(*words.split())
                del k
        if self.chance(0.25):
            i.add("virtual_rules", subs=[Stmt(*("from 192.168.%d.0/24 table %d priority %d" % (v.vrid, v.vrid, 1000 + v.vrid)).split()),
                                         Stmt(*("to 10.250.%d.0/24 iif eth%d lookup main preference %d" % (v.vrid, s, 3000 + v.vrid)).split())])

    def _group(self):
        members = [v for v in self.routers if not v.owner]
        if len(members) < 2 or not self.chance(0.6):
            return
        members = members[:2]
        g = Stmt("vrrp_sync_group", "G1", subs=[Stmt("group", subs=[Stmt(v.name) for v in members])])
        self._notify(g, "GROUP", "G1")
        if self.chance(0.3):
            g.add(self.r.choice(["sync_group_tracking_weight", "global_tracking"]))
        taken = {x.words[0] for i in self.root if i.words[0] == "vrrp_instance" and i.words[1] in [v.name for v in members]
                 for b in i.subs if b.words[0].startswith("track_") for x in b.subs}
        if self.chance(0.3) and "eth2" not in taken:
            g.add("track_interface", subs=[Stmt("eth2")])
        self._tracks(g, taken)
        if self.also(0.2) and not any(b.words[0] == "track_process" for b in g.subs):
            self.root.insert(1, Stmt("vrrp_track_process", "proc1", subs=[Stmt("process", "kdnever"), Stmt("weight", 5)]))
            g.add("track_process", subs=[Stmt("proc1")])
        self.groups.append([v.name for v in members])
        at = self.r.choice([1, len(self.root)])
        self.root.insert(at, g)

    def _statics(self):
        if self.chance(0.3):
            self.root.append(Stmt("static_ipaddress", subs=[Stmt("10.77.0.1/24", "dev", "eth0"),
                                                            Stmt("10.78.0.1/24", "dev", "eth1", "scope", "link")]))
        if self.chance(0.3):
            self.root.append(Stmt("static_routes", subs=[Stmt(*"10.79.0.0/16 via 10.0.255.9 dev eth0".split()),
                                                         Stmt(*"blackhole 10.80.0.0/16 metric 9".split())]))
        if self.chance(0.3):
            self.root.append(Stmt("static_rules", subs=[Stmt(*"from 10.79.0.0/16 table 79 priority 979".split())]))

        if self.also(0.2):
            # shorter than what is left of the master-down time: the manual wants it so
            self.root.insert(1, Stmt("interface_up_down_delays", subs=[Stmt("eth0", "0.05"), Stmt("eth2", "0.1", "0.05")]))

    # ---- events

    def _events(self):
        """(what, argument): each is played when the one before has come to rest."""
        pool = [("far", v.name) for v in self.routers if not v.owner]
        pool += [("link", k) for k in sorted({v.segment for v in self.routers})]
        pool += [("script", s) for s in self.scripts] + [("file", f) for f in self.tracked]
        pool += [("lower", v.name) for v in self.routers[:1]] + [("zero", v.name) for v in self.routers[-1:] if not v.owner]
        pool += [("reload", k) for k in self.r.sample(["same", "priority", "address", "instance"], 1)]
        n = 3 if self.version == 2 else 5
        return self.r.sample(pool, min(n, len(pool)))

    # ---- text

    def changed(self, how):
        """The statements after a reload."""
        root = list(self.root)
        if how == "same":
            return root

        def copy(s):
            return Stmt(*s.words, subs=None if s.subs is None else [copy(x) for x in s.subs])

        root = [copy(s) for s in root]
        instances = [s for s in root if s.words[0] == "vrrp_instance"]
        last = instances[-1]
        v = self.routers[-1]
        if how == "priority" and not v.owner:
            next(s for s in last.subs if s.words[0] == "priority").words[1] = str(v.priority + 7)
        elif how == "address":
            next(s for s in last.subs if s.words[0] == "virtual_ipaddress").subs.append(
                Stmt("2001:db8:%d::9999/64" % v.segment if v.family == 6 else "10.%d.99.99/24" % v.segment))
        elif how == "instance" and len(instances) > 1 and not any(v.name in g for g in self.groups):
            root.remove(last)
        return root

    def text(self, how="same"):
        """{name: text}; keepalived.conf is the main file."""
        w = Writer(random.Random("%d text" % self.seed), self.id)
        return w.write(self.changed(how))

    def words(self):
        """{(block, word)} of all statements that a keyword begins."""
        found = set()

        def walk(stmts, block):
            for s in stmts:
                found.add((block, s.words[0]))
                if s.subs is not None and (block, s.words[0]) in OPEN:
                    walk(s.subs, OPEN[(block, s.words[0])])
        walk(self.root, "the top")
        return found


# blocks that hold keywords, and what they are called in the table of words
OPEN = {("the top", w): w for w in ("global_defs", "vrrp_instance", "vrrp_sync_group", "vrrp_script", "vrrp_track_process",
                                    "garp_group")}
OPEN.update({("the top", "track_file"): "track_file", ("the top", "vrrp_track_file"): "track_file",
             ("vrrp_instance", "authentication"): "authentication"})


class Writer:
    """Statements as text, in one of the many ways."""

    def __init__(self, r, name):
        self.r, self.name, self.files, self.vars = r, name, {}, 0

    def chance(self, p):
        return self.r.random() < p

    def write(self, root):
        style = self.r.choice(["plain", "plain", "wild"])
        out, later = [], []
        if style == "wild":
            out += ["! made for a test", "$DEV=eth", "$EMPTY=", "@%s $HERE=yes" % self.name]
        for s in root:
            text = self.stmt(s, 0, style == "wild")
            if style == "wild" and s.words[0] != "global_defs" and self.chance(0.2):
                name = "part%d.conf" % len(self.files)
                self.files[name] = "\n".join(text) + "\n"
                text = ["include " + name]
            elif style == "wild" and s.words[0] == "vrrp_instance" and self.chance(0.3):
                # as a variable of several lines
                name = "INST_%s" % s.words[1]
                later.append("$" + name)
                body = [line.split("#")[0].rstrip() for line in text]
                text = ["$%s= \\" % name] + [line + " \\" for line in body[:-1] if line.strip()] + [body[-1]]
            out += text
        self.files["keepalived.conf"] = "\n".join(out + later) + "\n"
        return self.files

    def stmt(self, s, depth, wild):
        pad = self.r.choice(["", "  ", "\t"]) if wild else "    "
        ind = pad * depth
        words = " ".join(s.words)
        if wild and depth and self.chance(0.1):
            words = words.replace(" eth", " ${DEV}") if " eth" in words and '"' not in words else words
        if s.subs is None:
            if wild and depth and self.chance(0.1):
                return [ind + "@^nowhere " + words]
            if wild and self.chance(0.05):
                return [ind + "# a comment", ind + words + " ! and another"]
            return [ind + words]
        if wild and len(s.subs) == 1 and s.subs[0].subs is None and self.chance(0.4) and depth:
            return [ind + "%s { %s }" % (words, " ".join(s.subs[0].words))]
        inner = [line for x in s.subs for line in self.stmt(x, depth + 1, wild)]
        if wild and self.chance(0.3):
            return [ind + words, ind + "{"] + inner + [ind + "}"]
        return [ind + words + " {"] + inner + [ind + "}"]
