// tgtd of this host, as its own tgtadm speaks to it: a fixed head, words behind it, over a socket. Not by tgtadm, which
// takes the secrets of initiators as arguments, where everybody on the host reads them.
//
// tgtd is not root, and listens to nobody but its own user: so each request is carried by a program of that user.
import { exec } from "../../platform/exec/exec.ts"
import { backendAway } from "./backend-away.ts"

export interface TgtOptions {
  /** Of the back end. */
  name: string
  /** As `TGT_IPC_SOCKET`; the number of the control port follows, which is 0. */
  socketPath: string
  /** Null: this process's own. */
  user: { uid: number; gid: number } | null
}

export interface TgtTarget {
  tid: number
  name: string
  /** The names of those that are logged in. */
  initiators: string[]
}

export interface TgtExport {
  target: string
  path: string
  initiator: string
  user: string
  secret: string
}

// Of tgtadm.h.
const modes = { target: 1, unit: 2, portal: 3, account: 7 } as const
const ops = { new: 0, delete: 1, show: 2, bind: 3, update: 5 } as const
const headBytes = 120
const at = { mode: 0, op: 4, driver: 8, length: 72, tid: 76, sid: 80, lun: 88, force: 116 } as const

const timeoutMs = 10_000
export const exportedLun = 1

interface Request {
  mode: keyof typeof modes
  op: keyof typeof ops
  tid?: number
  lun?: number
  force?: boolean
  words?: string
}

export class Tgt {
  readonly #options: TgtOptions
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: TgtOptions) {
    this.#options = options
  }

  async targets(): Promise<TgtTarget[]> {
    return readTargets((await this.#ask({ mode: "target", op: "show" })).text)
  }

  /** Numbers are given away one at a time. */
  async add(wanted: TgtExport): Promise<void> {
    await this.#inTurn(async () => {
      const targets = await this.targets()
      if (targets.some(({ name }) => name === wanted.target)) return
      const tid = 1 + Math.max(0, ...targets.map((each) => each.tid))
      await this.#do({ mode: "target", op: "new", tid, words: `targetname=${wanted.target}` })
      try {
        await this.#fill(tid, wanted)
      } catch (error) {
        await this.#ask({ mode: "target", op: "delete", tid, force: true }).catch(() => {})
        throw error
      }
    })
  }

  /** Whoever is logged in is thrown out. Succeeds when already gone. */
  async remove(target: string): Promise<void> {
    await this.#inTurn(async () => {
      const found = (await this.targets()).find(({ name }) => name === target)
      if (found) await this.#do({ mode: "target", op: "delete", tid: found.tid, force: true })
      await this.#ask({ mode: "account", op: "delete", words: `user=${userOf(target)}` })
    })
  }

  /** From now on there are targets at the address. Repeatable. */
  async listen(portal: string): Promise<void> {
    const { text } = await this.#ask({ mode: "portal", op: "show" })
    if (text.includes(`Portal: ${portal},`)) return
    await this.#do({ mode: "portal", op: "new", words: `portal=${portal}` })
  }

  /** The access list comes last: until then nobody may log in. */
  async #fill(tid: number, { target, path, initiator, user, secret }: TgtExport): Promise<void> {
    const lun = exportedLun
    await this.#do({ mode: "unit", op: "new", tid, lun, words: `path=${path}` })
    // What guests discard is given back.
    await this.#do({ mode: "unit", op: "update", tid, lun, words: "targetOps thin_provisioning=1," })
    if (user !== userOf(target)) throw new Error("an account is called as its target")
    await this.#ask({ mode: "account", op: "delete", words: `user=${user}` })
    await this.#do({ mode: "account", op: "new", words: `user=${user},password=${secret}` })
    await this.#do({ mode: "account", op: "bind", tid, words: `user=${user}` })
    await this.#do({ mode: "target", op: "bind", tid, words: `initiator-name=${initiator}` })
  }

  async #do(request: Request): Promise<void> {
    const { code } = await this.#ask(request)
    if (code === 0) return
    throw backendAway(this.#options.name, `tgtd refused ${request.mode} ${request.op}: error ${code}`)
  }

  async #ask(request: Request): Promise<{ code: number; text: string }> {
    const { name, socketPath, user } = this.#options
    // It takes the end of what it is sent for the end of the caller.
    const args = ["-t", String(timeoutMs / 1000), "-", `UNIX-CONNECT:${socketPath}.0,shut-none`]
    try {
      const { stdout } = await exec("socat", args, {
        ...{ timeoutMs, input: encode(request) },
        ...(user ? { uid: user.uid, gid: user.gid } : {}),
      })
      if (stdout === "") throw new Error("tgtd did not answer")
      // Its errors are small numbers, so the first byte has all of it.
      return { code: stdout.charCodeAt(0), text: stdout }
    } catch (cause) {
      throw backendAway(name, cause)
    }
  }

  async #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#last.then(task, task)
    this.#last = done.catch(() => {})
    return await done
  }
}

/** CHAP's name of whoever may log in. */
export function userOf(target: string): string {
  return target.slice(target.lastIndexOf(":") + 1)
}

function encode({ mode, op, tid = -1, lun, force = false, words }: Request): Buffer {
  const text = words === undefined ? Buffer.alloc(0) : Buffer.from(`${words}\0`)
  const head = Buffer.alloc(headBytes)
  head.writeUInt32LE(modes[mode], at.mode)
  head.writeUInt32LE(ops[op], at.op)
  head.write("iscsi", at.driver)
  head.writeUInt32LE(headBytes + text.length, at.length)
  head.writeInt32LE(tid, at.tid)
  head.writeBigInt64LE(lun === undefined ? -1n : BigInt(lun), at.lun)
  head.writeUInt32LE(force ? 1 : 0, at.force)
  return Buffer.concat([head, text])
}

/** `Target 1: NAME`, and in it a line for each that is logged in. */
function readTargets(text: string): TgtTarget[] {
  const targets: TgtTarget[] = []
  for (const line of text.split("\n")) {
    const target = /Target (\d+): (\S+)$/.exec(line)
    if (target) targets.push({ tid: Number(target[1]), name: target[2] ?? "", initiators: [] })
    const initiator = /^\s+Initiator: (\S+)/.exec(line)?.[1]
    if (initiator !== undefined) targets.at(-1)?.initiators.push(initiator)
  }
  return targets
}
