# What metadata and user data ask for.

set_hostname() {
  name=$(printf '%s' "${1%%.*}" | tr -cd 'A-Za-z0-9-' | cut -c 1-63)
  [ -n "$name" ] || return
  [ "$name" = "$(hostname)" ] && return
  echo "$name" > /etc/hostname
  hostname "$name"
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost ip6-loopback\n' "$name" > /etc/hosts
}

# From user data, which runs once: the name stays when later boots hear another one from the metadata.
keep_hostname() {
  echo "$1" > $state/hostname
  set_hostname "$1"
}

# The lines of standard input become keys of the user, if they are not there yet.
add_keys() {
  mkdir -p /home/cirros/.ssh
  while read -r key; do
    [ -n "$key" ] || continue
    grep -q -x -F -e "$key" /home/cirros/.ssh/authorized_keys 2> /dev/null && continue
    echo "$key" >> /home/cirros/.ssh/authorized_keys
  done
  chmod 700 /home/cirros/.ssh
  [ -f /home/cirros/.ssh/authorized_keys ] && chmod 600 /home/cirros/.ssh/authorized_keys
  chown -R cirros:cirros /home/cirros/.ssh
}

# The password, and where it comes from.
set_password() {
  hash=$(printf '%s\n' "$1" | mkpasswd -m sha512 -P 0)
  awk -F : -v OFS=: -v hash="$hash" '$1 == "cirros" { $2 = hash } { print }' /etc/shadow > /etc/shadow.new
  chmod 640 /etc/shadow.new
  mv /etc/shadow.new /etc/shadow
  echo "login as 'cirros' user with the password ${2:-from the user data}. use 'sudo' for root." > /etc/issue
}

# Keys belong to one machine: a server started from a snapshot of another must not answer with its keys. RSA is made
# by dropbear when a client asks for it: that takes seconds on an emulated processor, the other two take none.
make_host_keys() {
  [ "$(cat $state/host-keys-of 2> /dev/null)" = "$1" ] && return
  mkdir -p /etc/dropbear
  rm -f /etc/dropbear/dropbear_*_host_key
  for type in ed25519 ecdsa; do
    dropbearkey -t $type -f /etc/dropbear/dropbear_${type}_host_key > /dev/null 2>&1
  done
  echo "$1" > $state/host-keys-of
}

start_sshd() {
  passwords=-s
  [ -f $state/ssh-passwords ] && passwords=
  dropbear -R $passwords
}

run_user_data() {
  file=$seed/user_data
  case $(head -c 2 "$file" | hexdump -v -e '1/1 "%02x"') in
    1f8b) gunzip -c "$file" > "$file.plain" && mv "$file.plain" "$file" ;;
  esac
  read -r first < "$file"
  case $first in
    '#!'*)
      cp "$file" $state/user-data
      chmod 700 $state/user-data
      say "kumoi: running the user data script"
      show_output $state/user-data
      ;;
    '#cloud-config'*)
      # The file made from it is shell that calls the functions of this one.
      awk -f /usr/lib/kumoi/cloud-config.awk "$file" > "$state/cloud-config.sh"
      say "kumoi: running the cloud config"
      show_output /usr/lib/kumoi/run-cloud-config "$state/cloud-config.sh"
      ;;
    *) say "kumoi: user data is neither a script nor a cloud config; it is kept in $state/user-data" && cp "$file" $state/user-data ;;
  esac
}

# Runs a command; its output goes to the console and a log.
show_output() {
  { "$@" 2>&1 < /dev/null; echo $? > /run/kumoi/user-data-code; } | tee -a /var/log/user-data.log > /dev/console
  read -r code < /run/kumoi/user-data-code
  [ "$code" = 0 ] || say "kumoi: user data ended with code $code"
}
