# The part of #cloud-config that test clouds use, as shell that calls the functions of actions.sh: hostname, fqdn,
# password, ssh_pwauth, ssh_authorized_keys, write_files, bootcmd, runcmd. Anything else is passed over.
/^[ \t]*#/ && !block { next }
{ sub(/\r$/, "") }

# Inside a block scalar ("key: |"): everything that is indented deeper than the line that opened it.
block {
  match($0, /^ */)
  if ($0 ~ /^ *$/ || RLENGTH > opened) {
    if (inner < 0 && $0 !~ /^ *$/) inner = RLENGTH
    text = text substr($0, inner + 1) "\n"
    next
  }
  end_block()
}

/^[ \t]*$/ { next }

/^[A-Za-z_]/ {
  finish_item()
  split_pair($0)
  section = key
  indent = 0
  if (!open_block(val, 0)) top(val)
  next
}

/^ *- / || /^ *-$/ {
  match($0, /^ */)
  depth = RLENGTH
  rest = substr($0, depth + 3)
  if (section == "write_files") {
    finish_item()
    has_item = 1
    $0 = rest
    field(depth + 2)
  } else if (!open_block(rest, depth)) element(rest)
  next
}

section == "write_files" {
  match($0, /^ */)
  field(RLENGTH)
}

END {
  if (block) end_block()
  finish_item()
  printf "%s%s", first, last
}

function split_pair(line) {
  sub(/^ */, "", line)
  key = line
  sub(/:.*/, "", key)
  val = substr(line, length(key) + 2)
  sub(/^ */, "", val)
}

function field(depth) {
  split_pair($0)
  name = key
  if (!open_block(val, depth)) item[key] = scalar(val)
}

function open_block(value, depth) {
  if (value !~ /^[|>][-+0-9]*$/) return 0
  block = 1
  opened = depth
  inner = -1
  text = ""
  strip = value ~ /-/
  return 1
}

function end_block() {
  block = 0
  sub(/\n+$/, "\n", text)
  if (strip) sub(/\n$/, "", text)
  if (section == "write_files" && has_item) item[name] = text
  else if (section == "runcmd" || section == "bootcmd") command(text)
  else top(text)
}

function top(value) {
  if (value ~ /^\[/ && section != "") {
    if (section == "ssh_authorized_keys") each(value)
    return
  }
  value = scalar(value)
  if (value == "") return
  if (section == "hostname" || section == "fqdn") first = first "keep_hostname " quote(value) "\n"
  if (section == "password") first = first "set_password " quote(value) "\n"
  if (section == "ssh_pwauth" && value ~ /^([Tt]rue|[Yy]es|1)$/) {
    first = first ": > $state/ssh-passwords; killall dropbear; start_sshd\n"
  }
}

function element(value) {
  if (section == "ssh_authorized_keys") first = first "echo " quote(scalar(value)) " | add_keys\n"
  if (section == "runcmd" || section == "bootcmd") command(value ~ /^\[/ ? words(value) : scalar(value))
}

function command(line) {
  # A shell of its own: one that fails or exits does not take the others with it.
  line = "/bin/sh -c " quote(line) "\n"
  if (section == "bootcmd") first = first line
  else last = last line
}

function each(list,    parts, count, i) {
  count = split_list(list, parts)
  for (i = 1; i <= count; i++) element(parts[i])
}

function words(list,    parts, count, i, line) {
  count = split_list(list, parts)
  for (i = 1; i <= count; i++) line = line (i > 1 ? " " : "") quote(scalar(parts[i]))
  return line
}

function split_list(list, parts,    count) {
  sub(/^\[ */, "", list)
  sub(/ *\] *$/, "", list)
  count = 0
  while (list != "") {
    if (!match(list, /^"([^"\\]|\\.)*"/) && !match(list, /^'[^']*'/)) match(list, /^[^,]*/)
    parts[++count] = substr(list, 1, RLENGTH)
    list = substr(list, RLENGTH + 1)
    sub(/^ *,? */, "", list)
  }
  return count
}

function scalar(value) {
  sub(/ +$/, "", value)
  if (value ~ /^".*"$/) {
    value = substr(value, 2, length(value) - 2)
    gsub(/\\"/, "\"", value)
    gsub(/\\n/, "\n", value)
    gsub(/\\\\/, "\\", value)
  } else if (value ~ /^'.*'$/) {
    value = substr(value, 2, length(value) - 2)
    gsub(/''/, "'", value)
  } else {
    sub(/ +#.*$/, "", value)
  }
  return value
}

function finish_item(    path, decode) {
  if (!has_item) return
  has_item = 0
  path = item["path"]
  if (path != "") {
    decode = item["encoding"] ~ /^(b64|base64)$/ ? " | base64 -d" : ""
    first = first "mkdir -p \"$(dirname " quote(path) ")\"\n"
    first = first "printf %s " quote(item["content"]) decode (item["append"] ~ /^[Tt]rue$/ ? " >> " : " > ") quote(path) "\n"
    if (item["permissions"] != "") first = first "chmod " quote(item["permissions"]) " " quote(path) "\n"
    if (item["owner"] != "") first = first "chown " quote(item["owner"]) " " quote(path) "\n"
  }
  split("", item)
}

function quote(value) {
  gsub(/'/, "'\\''", value)
  return "'" value "'"
}
