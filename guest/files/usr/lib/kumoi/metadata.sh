# Who am I: the config drive first, the metadata service otherwise. Both end as files in $seed.

# By its label: bytes 32808 of an ISO image, 43 or 71 of a FAT file system (there often in capitals). Two reads of a few
# bytes take a tenth of the time of blkid.
is_config_drive() {
  [ -b "$1" ] || return 1
  case $(dd if="$1" bs=8 skip=4101 count=1 2> /dev/null) in config-2) return 0 ;; esac
  case $(dd if="$1" bs=128 count=1 2> /dev/null | tr -d '\000') in *[Cc][Oo][Nn][Ff][Ii][Gg]-2*FAT*) return 0 ;; esac
  return 1
}

# Loading the IDE driver and waiting for nothing takes most of a second, so the ports are asked first: status of the
# master and the slave of both channels. QEMU answers 0 where no drive is; a machine that answers otherwise just takes
# the long way.
has_ide_drive() {
  grep -q '^0x010180' /sys/bus/pci/devices/*/class 2> /dev/null || return 1
  [ -c /dev/port ] || return 0
  for base in 496 368; do
    for drive in '\240' '\260'; do
      printf "$drive" | dd of=/dev/port bs=1 seek=$((base + 6)) conv=notrunc 2> /dev/null
      status=$(dd if=/dev/port bs=1 skip=$((base + 7)) count=1 2> /dev/null | hexdump -v -e '1/1 "%02x"')
      [ "$status" = 00 ] || return 0
    done
  done
  return 1
}

# True when the files of a config drive were copied. Argument: none, or "cd" to start the IDE controller first.
read_config_drive() {
  if [ "$1" = cd ]; then
    modprobe -a -q ata_piix sr_mod || return 1
    left=30
    until [ -b /dev/sr0 ] || [ $left = 0 ]; do
      left=$((left - 1))
      usleep 20000
    done
  fi
  device=
  for candidate in /dev/vd* /dev/sd* /dev/sr*; do
    if is_config_drive "$candidate"; then
      device=$candidate
      break
    fi
  done
  [ -n "$device" ] || return 1
  modprobe -a -q isofs nls_utf8
  if ! mount -t iso9660 -o ro "$device" /mnt 2> /dev/null; then
    modprobe -a -q vfat nls_cp437 nls_ascii nls_iso8859-1
    mount -t vfat -o ro "$device" /mnt || return 1
  fi
  for file in meta_data.json network_data.json user_data; do
    [ -s "/mnt/openstack/latest/$file" ] && cp "/mnt/openstack/latest/$file" "$seed/$file"
  done
  umount /mnt
  [ -s "$seed/meta_data.json" ] && source="config drive $device"
}

# The limit is kept from outside: Debian's static busybox crashes in wget -T (seen in 1.35.0-4).
get() {
  timeout 3 busybox wget -q -O "$2.new" "$base/$1" 2> /dev/null && mv "$2.new" "$2"
}

# True when the service answered within the given seconds. The waits grow, so that a service that needs a moment is
# met early and one that is not there is not hammered.
read_metadata_service() {
  base=http://169.254.169.254
  deadline=$(($(uptime_seconds) + $1))
  pause=100000
  while :; do
    if get openstack/latest/meta_data.json "$seed/meta_data.json"; then
      get openstack/latest/user_data "$seed/user_data"
      source="$base/openstack"
      return 0
    fi
    if get latest/meta-data/instance-id "$seed/ec2-id"; then
      get latest/meta-data/hostname "$seed/ec2-hostname" || get latest/meta-data/local-hostname "$seed/ec2-hostname"
      get latest/meta-data/public-keys/0/openssh-key "$seed/ec2-key"
      get latest/user-data "$seed/user_data"
      source="$base/latest"
      return 0
    fi
    [ "$(uptime_seconds)" -lt $deadline ] || return 1
    usleep $pause
    [ $pause -lt 1600000 ] && pause=$((pause * 2))
  done
}

# Sets: instance, host, admin_pass, and the file $seed/keys.
understand_metadata() {
  : > "$seed/keys"
  if [ -s "$seed/meta_data.json" ]; then
    json "$seed/meta_data.json" > "$seed/meta"
    instance=$(awk -F '\t' '$1 == "uuid" { print $2 }' "$seed/meta")
    host=$(awk -F '\t' '$1 == "hostname" { print $2 }' "$seed/meta")
    admin_pass=$(awk -F '\t' '$1 == "admin_pass" { gsub(/\\\\/, "\\"); print $2 }' "$seed/meta")
    awk -F '\t' 'index($1, "public_keys.") == 1 { gsub(/\\n/, "\n", $2); print $2 }' "$seed/meta" | grep . > "$seed/keys"
  elif [ -s "$seed/ec2-id" ]; then
    instance=$(cat "$seed/ec2-id")
    host=$(cat "$seed/ec2-hostname")
    [ -s "$seed/ec2-key" ] && cat "$seed/ec2-key" > "$seed/keys"
  else
    instance=$hardware
    host=$(cat /run/kumoi/dhcp-hostname 2> /dev/null)
  fi
}
