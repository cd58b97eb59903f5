#!/bin/sh
# The first process of the virtual machine; vm.py copies it into the job directory and names that directory in $job.
# It makes of the host's root, mounted read-only, a place where programs run; then it runs $job/command and ends.
set -u
: "${job:?the job directory is missing on the kernel command line}"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

finish() {
	echo "$1" >"$job/status"
	echo o >/proc/sysrq-trigger
	# The machine is off before this loop has an end.
	while :; do sleep 1; done
}

fail() {
	echo "virtual machine: $*" >>"$job/output"
	finish 125
}

# host PATH OPTION: a directory of the host at its own place, also where a file system of ours now hides it
host() {
	mkdir -p "$1" && mount -t hostfs -o "$2,$1" host "$1"
}

directories=$(cat "$job/directories")
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mountpoint -q /dev || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /dev/net /run/lock /run/netns /dev/vm/lib
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
# Outer ones first: the job directory may lie in one of them.
echo "$directories" | sort | while read -r directory; do
	[ -e "$directory" ] || host "$directory" ro
done
host "$job" rw || exit 1 # nobody could be told more than that the first process has ended

# The modules are not where modprobe looks, whether we call it, the kernel or iptables. A place that machines of the lab,
# which have a /run of their own, can see as well.
ln -s /usr/lib/uml/modules /dev/vm/lib/modules
printf '#!/bin/sh\nexec modprobe -d /dev/vm "$@"\n' >/dev/vm/modprobe
chmod 755 /dev/vm/modprobe
echo /dev/vm/modprobe >/proc/sys/kernel/modprobe
export MODPROBE_OPTIONS="-d /dev/vm"
# shellcheck disable=SC2046 # one word for each module
modprobe -a $(cat "$job/modules") >>"$job/output" 2>&1 || fail "a kernel module is missing"

echo vm >/proc/sys/kernel/hostname
ip link set lo up
sh "$job/command" >>"$job/output" 2>&1 </dev/null
finish $?
