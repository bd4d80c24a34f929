#!/usr/bin/env bash
# A node in a virtual machine, for the suite beside this file: Debian with systemd, cgroup v2, AppArmor, and Docker with the
# systemd cgroup driver. QEMU emulates it, some ten times slower than the machine; QEMU_ACCEL=kvm does without emulation
# where KVM works, which is not everywhere that /dev/kvm is.
#   vm.sh up DIR     builds the machine in DIR once (root, Debian's mirror, 3 GiB), boots it, and prints ssh's arguments
#   vm.sh down DIR   shuts it down; its disk stays
# Needs: debootstrap, qemu-system-x86, e2fsprogs, openssh-client.
set -euo pipefail
action=${1:?up or down} dir=${2:?the machine\'s folder}
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | sed -n 1p)}
packages=linux-image-cloud-amd64,initramfs-tools,systemd-sysv,dbus,udev,kmod,openssh-server,iproute2,procps,iptables
packages+=,docker.io,docker-cli,containernetworking-plugins,apparmor,nodejs,busybox-static,jq

build() {
  local tree=$dir/tree
  mkdir -p "$dir"
  [ -s "$dir/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
  # Services start in the machine, not in the chroot.
  debootstrap --variant=minbase --include=$packages trixie "$tree" "${mirror:?no mirror among the apt sources, set DEBIAN_MIRROR}" >&2
  echo node >"$tree/etc/hostname"
  echo '/dev/vda / ext4 rw,noatime 0 1' >"$tree/etc/fstab"
  install -d -m 700 "$tree/root/.ssh"
  cp "$dir/key.pub" "$tree/root/.ssh/authorized_keys"
  # QEMU's user network gives this address. Type=ether would take veths too, and out of their bridge.
  printf '[Match]\nDriver=virtio_net\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n' >"$tree/etc/systemd/network/10-node.network"
  printf '{"exec-opts": ["native.cgroupdriver=systemd"]}\n' >"$tree/etc/docker/daemon.json"
  printf 'net.ipv4.ip_forward=1\n' >"$tree/etc/sysctl.d/99-node.conf"
  # What a busy machine emulates takes its time.
  printf '[Manager]\nDefaultTimeoutStartSec=600s\nDefaultDeviceTimeoutSec=600s\n' >"$tree/etc/systemd/system.conf"
  chroot "$tree" systemctl -q enable systemd-networkd ssh docker apparmor
  cp "$tree"/boot/vmlinuz-* "$dir/kernel"
  cp "$tree"/boot/initrd.img-* "$dir/initrd"
  truncate -s 12G "$dir/disk.new"
  mkfs.ext4 -q -F -d "$tree" "$dir/disk.new"
  rm -rf --one-file-system "$tree"
  mv "$dir/disk.new" "$dir/disk"
}

running() { [ -s "$dir/pid" ] && kill -0 "$(cat "$dir/pid")" 2>/dev/null; }

ssh_arguments() {
  echo "-i $dir/key -p $(cat "$dir/port") -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR root@127.0.0.1"
}

boot() {
  local port=$((20000 + RANDOM)) end=$((SECONDS + 900))
  echo "$port" >"$dir/port"
  setsid qemu-system-x86_64 -machine q35 -accel "${QEMU_ACCEL:-tcg}" -cpu max -smp 2 -m 3072 -nodefaults -display none -serial "file:$dir/console" \
    -kernel "$dir/kernel" -initrd "$dir/initrd" -append 'root=/dev/vda rw console=ttyS0 quiet apparmor=1 security=apparmor mitigations=off' \
    -drive "file=$dir/disk,format=raw,if=virtio,cache=unsafe" -device virtio-rng-pci \
    -netdev "user,id=net,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=net,romfile= </dev/null >"$dir/qemu.log" 2>&1 &
  echo $! >"$dir/pid"
  # shellcheck disable=SC2046
  until ssh $(ssh_arguments) -o BatchMode=yes -o ConnectTimeout=30 true 2>/dev/null; do
    running || { cat "$dir/qemu.log" >&2; exit 1; }
    [ $SECONDS -lt $end ] || { echo "the machine does not answer: $dir/console" >&2; exit 1; }
    sleep 2
  done
}

case $action in
  up)
    [ -s "$dir/disk" ] || build
    running || boot
    ssh_arguments
    ;;
  down)
    running || exit 0
    # shellcheck disable=SC2046
    ssh $(ssh_arguments) -o BatchMode=yes -o ConnectTimeout=30 systemctl poweroff || true
    for _ in $(seq 120); do running || exit 0; sleep 1; done
    kill -9 "$(cat "$dir/pid")"
    ;;
esac
