# Shared by the boot scripts.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
state=/var/lib/kumoi
seed=/run/kumoi/seed

# A line on the serial console and on the screen. /dev/console is the last console of the kernel command line; the
# screen is written too when that one is a serial port.
say() {
  echo "$*" > /dev/console
  echo "$*" > /dev/tty1
}

# json FILE: one line "path<TAB>value" for each leaf. json_get FILE PATH: one value, with newlines as they were meant.
json() {
  [ -s "$1" ] && awk -f /usr/lib/kumoi/json.awk "$1"
}

json_get() {
  printf '%b' "$(json "$1" | awk -F '\t' -v path="$2" '$1 == path { print $2; exit }')"
}

uptime_seconds() {
  read -r up rest < /proc/uptime
  echo "${up%.*}"
}
