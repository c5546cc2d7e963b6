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

/** Of tgtadm_error.h. */
const codes = { done: 0, noTarget: 4, targetActive: 19 } as const

const timeoutMs = 10_000
const int32Most = 2 ** 31 - 1
export const exportedLun = 1

interface Request {
  mode: keyof typeof modes
  op: keyof typeof ops
  tid?: number
  lun?: number
  force?: boolean
  words?: string
}

/**
 * Its callers take turns. Which number a target has is kept here and not asked for: what tgtd says of its targets has
 * in it what those who are logged in say of themselves, line ends and all.
 */
export class Tgt {
  readonly #options: TgtOptions
  readonly #tids = new Map<string, number>()

  constructor(options: TgtOptions) {
    this.#options = options
  }

  async answers(): Promise<boolean> {
    try {
      return (await this.#ask({ mode: "portal", op: "show" })).code === codes.done
    } catch {
      return false
    }
  }

  /** It has just started: what it was told since, by whomever, is taken back. */
  async begin(): Promise<void> {
    this.#tids.clear()
    const { text } = await this.#ask({ mode: "target", op: "show" })
    const tids = text.matchAll(/^Target (\d+): /gm).map(([, tid]) => Number(tid))
    for (const tid of tids.filter((tid) => tid <= int32Most))
      await this.#do({ mode: "target", op: "delete", tid, force: true }, codes.noTarget)
  }

  /** Repeatable. */
  async add(wanted: TgtExport): Promise<void> {
    if (this.#tids.has(wanted.target)) return
    const tid = 1 + Math.max(0, ...this.#tids.values())
    await this.#do({ mode: "target", op: "new", tid, words: `targetname=${wanted.target}` })
    try {
      await this.#fill(tid, wanted)
      this.#tids.set(wanted.target, tid)
    } catch (error) {
      await this.#ask({ mode: "target", op: "delete", tid, force: true }).catch(() => {})
      throw error
    }
  }

  /**
   * Succeeds when already gone. False: somebody is logged in, or what he wrote is still on its way; with `force` he is
   * thrown out.
   */
  async remove(target: string, { force = false } = {}): Promise<boolean> {
    const tid = this.#tids.get(target)
    if (tid !== undefined) {
      const code = await this.#do(
        { mode: "target", op: "delete", tid, force },
        ...[codes.noTarget, codes.targetActive],
      )
      if (code === codes.targetActive) return false
      this.#tids.delete(target)
    }
    await this.#ask({ mode: "account", op: "delete", words: `user=${userOf(target)}` })
    return true
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

  /** These codes are no errors either. */
  async #do(request: Request, ...okCodes: number[]): Promise<number> {
    const { code } = await this.#ask(request)
    if (code === codes.done || okCodes.includes(code)) return code
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
