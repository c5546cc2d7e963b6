// The text of a cloud's systemd unit, and what can be read back from one.
import { Fault } from "../../platform/fault/fault.ts"

export interface UnitFacts {
  /** With `.service`. */
  name: string
  /** Where the program lies. */
  programDir: string
  dataDir: string
  /** Options of `up`, without --data. */
  upArgs: readonly string[]
  /** Time for guests to power off by themselves when the service is stopped. */
  graceSeconds: number
  /** PATH, where systemd's own does not find Node. */
  path: string | null
}

/** What `down` and its clean-up take beside the guests' time, on a busy machine. */
const stopSpareSeconds = 160

/** systemd ignores sections whose names begin with X-; ours says that we wrote the unit, and for which cloud. */
const ownSection = "[X-Kumoi]"

/** Secrets (DATABASE_URL, AMQP_URL) are no matter for a unit, which everybody may read. */
export function environmentFileOf(unitName: string): string {
  return `/etc/default/${unitName.replace(/\.service$/, "")}`
}

export function unitNameOf(name: string | undefined): string {
  if (name === undefined) return "kumoi.service"
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(name)) return `kumoi-${name}.service`
  const message = `--name ${JSON.stringify(name)}: use 1 to 63 letters, digits, "_", "." and "-".`
  throw new Fault("invalid", "cli.option.invalid", message)
}

/** The cloud of a unit that we wrote; null for somebody else's. */
export function readUnitData(text: string): string | null {
  const at = text.split("\n").indexOf(ownSection)
  if (at < 0) return null
  const line = text
    .split("\n")
    .slice(at)
    .find((each) => each.startsWith("Data="))
  return line ? line.slice("Data=".length) : null
}

/** A word of a command or a list: quotes keep blanks, `%` begins a specifier. */
export function unitWord(text: string): string {
  const plain = unitValue(text)
  if (/^[A-Za-z0-9_./:=,@%+-]+$/.test(plain)) return plain
  return `"${plain.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`
}

/** A whole value, which systemd does not unquote. */
function unitValue(text: string): string {
  refuseControls(text)
  return text.replaceAll("%", "%%")
}

function refuseControls(text: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
  if (!/[\u0000-\u001f\u007f]/.test(text)) return
  const message = `${JSON.stringify(text)} has control characters, which a unit cannot hold.`
  throw new Fault("invalid", "cli.option.invalid", message)
}

/** Paths stand in settings that know no escapes as well. */
function unitPath(path: string): string {
  if (/["\\]/.test(path)) {
    const message = `${path}: a unit cannot hold quotes and backslashes in a path; use another directory.`
    throw new Fault("invalid", "cli.option.invalid", message)
  }
  return unitValue(path)
}

export function unitText(facts: UnitFacts): string {
  const { name, programDir, dataDir, graceSeconds } = facts
  const [program, data] = [unitPath(programDir), unitPath(dataDir)]
  // The shell, because a path in the first place has rules of its own. `:`, because `$` is a character like others.
  const kumoi = `/bin/sh ${unitWord(`${programDir}/kumoi`)}`
  const upWords = ["up", "--data", dataDir, ...facts.upArgs].map(unitWord).join(" ")
  const downWords = ["down", "--data", dataDir, "--grace", String(graceSeconds)].map(unitWord).join(" ")
  const mounts = [programDir, dataDir].map(unitWord).join(" ")
  const path = facts.path === null ? "" : `Environment=${unitWord(`PATH=${facts.path}`)}\n`
  return `# Written by ./kumoi service install, which writes it anew; your own settings: systemctl edit ${name}
[Unit]
Description=Kumoi cloud in ${data}
# Addresses given to --listen must be there first.
Wants=network-online.target
After=network-online.target
RequiresMountsFor=${mounts}
# What a start needs (a database elsewhere, an address) may come minutes after the machine: no last try.
StartLimitIntervalSec=0

[Service]
Type=exec
WorkingDirectory=${program}
Environment=KUMOI_SERVICE=${unitWord(name)}
${path}# Secrets such as DATABASE_URL; mode 0600.
EnvironmentFile=-${environmentFileOf(name)}
# The main process is the shell that starts the cloud again after a crash, with guests and engines going on.
# systemd starts the shell again, and a start that failed.
ExecStart=:${kumoi} ${upWords}
Restart=on-failure
RestartSec=5
# Another process runs this cloud already, or this host was removed from its cloud.
RestartPreventExitStatus=75 78
# Guests and engines outlive the main process; the next one adopts them.
KillMode=process
# A stop of the service is a stop of the cloud: guests power off, engines end, namespaces go. A cloud that is
# stopped already, or purged, is no error.
ExecStop=-:${kumoi} ${downWords}
TimeoutStopSec=${graceSeconds + stopSpareSeconds}
# One guest that the kernel kills for want of memory must not stop the others.
OOMPolicy=continue
# Each guest is a process with several threads.
TasksMax=infinity

# Guests and engines live in what is set here, so little can be.
# Not set: all that gives the service a view of the file system of its own (ProtectSystem, ProtectHome, PrivateTmp,
# PrivateMounts, ProtectKernelTunables, ProtectKernelModules, ProtectControlGroups, ReadOnlyPaths): network namespaces
# are mounts that "down" and the administrator must see, and engines that outlive a restart would keep the former view.
# Not set: PrivateDevices, DevicePolicy, ProtectClock (/dev/kvm, /dev/net/tun), PrivateNetwork, RestrictNamespaces,
# RestrictAddressFamilies (namespaces, taps, netlink, packet sockets), MemoryDenyWriteExecute (Node and QEMU translate
# code), NoNewPrivileges and RestrictSUIDSGID (missing Debian packages are installed), User (taps and namespaces need
# root; PostgreSQL runs as a user of its own).
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native
CapabilityBoundingSet=~CAP_SYS_BOOT CAP_SYS_TIME CAP_SYS_PACCT CAP_SYS_TTY_CONFIG CAP_WAKE_ALARM

[Install]
WantedBy=multi-user.target

${ownSection}
Data=${dataDir}
`
}
