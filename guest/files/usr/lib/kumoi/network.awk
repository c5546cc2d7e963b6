# From the lines of a flattened network_data.json to the ip commands of one interface (fixed addresses only; the
# networks of type ipv4_dhcp, ipv6_slaac and so on give nothing). Wants: mac, interface.
{ data[$1] = $2 }

END {
  for (i = 0; ("links." i ".id") in data; i++) {
    if (tolower(data["links." i ".ethernet_mac_address"]) != mac) continue
    link = data["links." i ".id"]
    mtu = data["links." i ".mtu"]
  }
  if (link == "") exit
  for (i = 0; ("networks." i ".type") in data; i++) {
    at = "networks." i "."
    type = data[at "type"]
    if (data[at "link"] != link || (type != "ipv4" && type != "ipv6")) continue
    fixed = 1
    address = data[at "ip_address"]
    if (address !~ /\//) address = address "/" prefix(data[at "netmask"])
    emit("ip addr replace " word(address) (type == "ipv4" ? " broadcast +" : "") " dev " interface)
    for (r = 0; (at "routes." r ".network") in data; r++) {
      to = data[at "routes." r ".network"] "/" prefix(data[at "routes." r ".netmask"])
      emit("ip route replace " word(to) " via " word(data[at "routes." r ".gateway"]) " dev " interface)
    }
    for (s = 0; (at "services." s ".address") in data; s++) server(data[at "services." s ".address"])
  }
  if (!fixed) exit
  for (s = 0; ("services." s ".address") in data; s++) server(data["services." s ".address"])
  if (mtu + 0 >= 68) print "ip link set " interface " mtu " (mtu + 0)
  print "ip -4 addr flush dev " interface
  printf "%s", commands
}

function emit(line) { commands = commands line "\n" }

function server(address) {
  if (address in seen) return
  seen[address] = 1
  emit("echo nameserver " word(address) " >> /etc/resolv.conf")
}

# The file comes from outside: only what an address can have reaches a shell.
function word(text) {
  gsub(/[^0-9A-Fa-f:.\/]/, "", text)
  return text
}

function prefix(mask,    parts, count, bits, n, i, k) {
  if (mask ~ /^[0-9]+$/) return mask
  bits = 0
  if (mask ~ /:/) {
    count = split(mask, parts, ":")
    for (i = 1; i <= count; i++) for (k = 1; k <= length(parts[i]); k++) bits += nibble(substr(parts[i], k, 1))
    return bits
  }
  count = split(mask, parts, ".")
  for (i = 1; i <= count; i++) for (n = parts[i] + 0; n > 0; n = (n * 2) % 256) bits++
  return bits
}

function nibble(digit) {
  digit = tolower(digit)
  return digit == "f" ? 4 : digit == "e" ? 3 : digit == "c" ? 2 : digit == "8" ? 1 : 0
}
