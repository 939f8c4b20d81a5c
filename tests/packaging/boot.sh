#!/bin/sh
# Boots this machine's own systemd in namespaces: a machine of its own for tests, with this one's network and programs,
# whose disk is a layer in memory. Ends with whoever started it, and leaves nothing but an empty control group.
#
#   boot.sh FOLDER NAME
#
# FOLDER/units, FOLDER/etc and FOLDER/opt become /etc/systemd/system, /etc/hotdesk and /opt/hotdesk; NAME is its control
# group's.
set -eu
PATH="$PATH:/usr/sbin:/sbin"
folder=$1 name=$2

if [ "${3:-}" != inside ]; then
  mkdir -p "$folder/groups" "$folder/memory"
  # A control group of its own is all that its systemd sees of them.
  mount -t cgroup2 cgroup2 "$folder/groups"
  mkdir "$folder/groups/$name"
  echo $$ >"$folder/groups/$name/cgroup.procs"
  exec unshare --pid --fork --kill-child --mount --uts --ipc --cgroup sh "$0" "$folder" "$name" inside
fi

mount --make-rprivate /
mount -t tmpfs tmpfs "$folder/memory"
mkdir "$folder/memory/upper" "$folder/memory/work" "$folder/memory/root"
root="$folder/memory/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/memory/upper,workdir=$folder/memory/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind -o ro /sys "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts" "$root/old"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mkdir -p "$root/etc/systemd/system" "$root/etc/hotdesk" "$root/opt/hotdesk"
mount --bind "$folder/units" "$root/etc/systemd/system"
mount --bind "$folder/etc" "$root/etc/hotdesk"
mount --bind "$folder/opt" "$root/opt/hotdesk"
cd "$root"
pivot_root . old
umount -l /old
# As a real systemd finds it: credentials are mounted where it sees them, too.
mount --make-rshared /
exec env -i container=hotdesk-tests PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --unit=idle.target --log-target=console --show-status=no
