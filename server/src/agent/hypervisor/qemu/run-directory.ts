// Where a machine's files lie. Everything is derived from the server's id, so that a machine is found again even
// when the agent died before it wrote anything down.
//
//   vms/<serverId>/  spec.json handle.json started.json disks/ jobs/ config-drive.iso serial.log qemu.log qemu.pid *.sock
import { existsSync, rmdirSync, rmSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { dirname, join } from "node:path"
import { isUuid } from "../../../platform/ids/ids.ts"
import { volatileDirectory } from "../../volatile-directory.ts"

export interface RunDirectory {
  root: string
  /** What the machine was last told to be (`EnsureInput`). */
  spec: string
  handle: string
  disks: string
  /** Files that QEMU opens after it gave up its privileges lie here, each owned by its user. */
  jobs: string
  configDrive: string
  serialLog: string
  serialLogOld: string
  qemuLog: string
  pidFile: string
  firmwareVariables: string
  sockets: string
  qmpSocket: string
  vncSocket: string
  serialSocket: string
  /** Of the guest's agent, where the image says that there is one. */
  agentSocket: string
  /** What the machine's TPM holds, and its process's own (tpm.ts). */
  tpm: string
  /** Leads to that one's socket, by a name that is short enough. */
  tpmSocket: string
  /** The guest's memory while it is suspended, and the command line that takes it up. */
  memory: string
  savedLine: string
  /** The command line that its process was started with, whatever that says of itself by now. */
  startedLine: string
  /** In a directory that QEMU's own user can always reach, there only while something passes through it. */
  transferSocket: string
  /** As above, while the guest goes to another host or comes from one. */
  live: string
  /** Which of the host's processors it has for itself. */
  pins: string
  /** What opens encrypted volumes, there only while QEMU starts. */
  keys: string
}

/** sockaddr_un holds 108 bytes with the closing NUL. */
const socketPathLimitBytes = 107

export function runDirectory(vmsDir: string, serverId: string): RunDirectory {
  // The id becomes a path, so nothing but an id may come here.
  if (!isUuid(serverId)) throw new Error(`not a server id: ${serverId}`)
  const root = join(vmsDir, serverId)
  const isLong = Buffer.byteLength(join(root, "serial.sock")) > socketPathLimitBytes
  const sockets = isLong ? volatileDirectory(root) : root
  return {
    root,
    spec: join(root, "spec.json"),
    handle: join(root, "handle.json"),
    disks: join(root, "disks"),
    jobs: join(root, "jobs"),
    configDrive: join(root, "config-drive.iso"),
    serialLog: join(root, "serial.log"),
    serialLogOld: join(root, "serial.log.1"),
    qemuLog: join(root, "qemu.log"),
    pidFile: join(root, "qemu.pid"),
    firmwareVariables: join(root, "firmware-variables.fd"),
    sockets,
    qmpSocket: join(sockets, "qmp.sock"),
    vncSocket: join(sockets, "vnc.sock"),
    serialSocket: join(sockets, "serial.sock"),
    agentSocket: join(sockets, "agent.sock"),
    tpm: join(root, "tpm"),
    tpmSocket: join(sockets, "tpm.sock"),
    memory: join(root, "memory"),
    savedLine: join(root, "memory.json"),
    startedLine: join(root, "started.json"),
    transferSocket: join(volatileDirectory(`${root}/transfer`), "memory.sock"),
    live: volatileDirectory(`${root}/live`),
    pins: join(root, "pins.json"),
    keys: volatileDirectory(`${root}/keys`),
  }
}

export async function makeRunDirectory(directory: RunDirectory): Promise<void> {
  // 0711: QEMU's own user may reach what it is shown, and list nothing.
  for (const path of [directory.root, directory.disks, directory.jobs]) {
    await mkdir(path, { recursive: true, mode: 0o711 })
  }
  if (directory.sockets !== directory.root) {
    await mkdir(dirname(directory.sockets), { recursive: true, mode: 0o711 })
    await mkdir(directory.sockets, { recursive: true, mode: 0o700 })
  }
}

/** Whether it is suspended, when it does not run (suspend.ts). */
export function hasSavedMemory(directory: RunDirectory): boolean {
  return existsSync(directory.memory)
}

/** Nothing of a machine that does not run is left outside its own directory. */
export function removeSockets(directory: RunDirectory): void {
  const { qmpSocket, vncSocket, serialSocket, agentSocket } = directory
  for (const path of [qmpSocket, vncSocket, serialSocket, agentSocket]) {
    rmSync(path, { force: true })
  }
  rmSync(directory.keys, { recursive: true, force: true })
  if (directory.sockets === directory.root) return
  rmSync(directory.sockets, { recursive: true, force: true })
  try {
    rmdirSync(dirname(directory.sockets))
  } catch {
    // Other machines still have their sockets there.
  }
}

export function removeRunDirectory(directory: RunDirectory): void {
  removeSockets(directory)
  rmSync(directory.root, { recursive: true, force: true })
}
