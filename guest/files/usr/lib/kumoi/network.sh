# Addresses: from the config drive where it gives fixed ones, by DHCP otherwise. IPv6 addresses come by themselves from
# router advertisements (the kernel does that).

start_network() {
  for path in /sys/class/net/eth*; do
    [ -d "$path" ] || continue
    interface=${path##*/}
    ip link set "$interface" up
    set_fixed "$interface" || start_dhcp "$interface"
  done
}

# One process an interface, all at the same time. Keeps trying in the background when nobody answers.
start_dhcp() {
  udhcpc -i "$1" -p "/var/run/udhcpc.$1.pid" -s /etc/udhcpc/default.script -t 10 -T 1 -A 5 -b -S \
    -O mtu -O staticroutes -O msstaticroutes -O routes -O search > /dev/null 2>&1 &
}

# The config drive came late (a CD takes its time) and has fixed addresses: they replace what DHCP was asked for.
restart_fixed() {
  for path in /sys/class/net/eth*; do
    [ -d "$path" ] || continue
    interface=${path##*/}
    set_fixed "$interface" || continue
    [ -f "/var/run/udhcpc.$interface.pid" ] && kill "$(cat "/var/run/udhcpc.$interface.pid")"
    rm -f "/var/run/udhcpc.$interface.pid"
  done
}

# Fails when network_data.json has no fixed address for this interface.
set_fixed() {
  [ -s "$seed/network_data.json" ] || return 1
  [ -s "$seed/network" ] || json "$seed/network_data.json" > "$seed/network"
  read -r mac < "/sys/class/net/$1/address"
  awk -F '\t' -v mac="$mac" -v interface="$1" -f /usr/lib/kumoi/network.awk "$seed/network" > "$seed/network.$1"
  [ -s "$seed/network.$1" ] || return 1
  . "$seed/network.$1"
  echo fixed > "/run/kumoi/lease.$1"
}

# True when an interface has an address within the given seconds; at once when there is no interface at all.
wait_for_address() {
  ls /sys/class/net | grep -q '^eth' || return 1
  left=$(($1 * 20))
  while [ $left -gt 0 ]; do
    for file in /run/kumoi/lease.*; do
      [ -f "$file" ] && return 0
    done
    left=$((left - 1))
    usleep 50000
  done
  return 1
}
