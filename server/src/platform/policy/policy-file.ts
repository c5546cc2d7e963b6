// `policy.yaml` and the files of `policy.d/` in the data directory: single rules that replace the defaults, as
// oslo.policy's files do, and like those looked at again while the cloud runs.
//
// Who decides looks, at most once in `lookEveryMs`, whether a file is another one than before (stat: cheaper than
// the decision itself). So every process follows by itself, no event of a file system can be missed (an editor
// writes a new file and renames it), and nothing runs when nobody asks. Files that are wrong change nothing: the
// rules that were stay, and one line in the log says what is wrong, each time that the files change.
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { parse } from "yaml"
import type { Clock } from "../clock/clock.ts"
import { describeError, Fault } from "../fault/fault.ts"
import type { Logger } from "../log/log.ts"
import type { PolicyEngine, RuleProblem } from "./policy.ts"

const lookEveryMs = 1_000
/** A file that was written this short ago may be half of what it is to be; the next look takes it. */
const settlingMs = 200

/** Takes the files' rules over now, and from then on whenever they change. Wrong ones stop the start and are named. */
export function followPolicyFiles(
  policy: PolicyEngine,
  options: { dir: string; clock: Clock; log: Logger },
): void {
  const { dir, clock, log } = options
  let seen = look(dir).identity
  let lookedAtMs = clock.monotonicMs()
  policy.override(...readPolicyFiles(policy, policyFiles(dir)))
  policy.beforeDeciding(() => {
    const nowMs = clock.monotonicMs()
    if (nowMs - lookedAtMs < lookEveryMs) return
    lookedAtMs = nowMs
    const { identity, writtenAtMs } = look(dir)
    if (identity === seen) return
    const ageMs = clock.now().getTime() - writtenAtMs
    if (ageMs >= 0 && ageMs < settlingMs) return
    seen = identity
    try {
      const overridden = policy.override(...readPolicyFiles(policy, policyFiles(dir)))
      log.info({ dir, overridden }, "policy files taken over")
    } catch (error) {
      log.error({ dir, reason: describeError(error) }, "policy files are wrong: the rules stay as they were")
    }
  })
}

/** The files that count, in the order in which later ones win: `policy.yaml`, then `policy.d/*` by name. */
export function policyFiles(dir: string): string[] {
  const single = join(dir, "policy.yaml")
  const more = join(dir, "policy.d")
  const names = ifThere(() => readdirSync(more)) ?? []
  const wanted = names.filter((name) => !name.startsWith(".") && /\.(ya?ml|json)$/.test(name)).sort()
  const hasSingle = ifThere(() => statSync(single)) !== undefined
  return [...(hasSingle ? [single] : []), ...wanted.map((name) => join(more, name))]
}

/** The identity changes with every file that is written, replaced, added or removed. */
function look(dir: string): { identity: string; writtenAtMs: number } {
  try {
    const stats = policyFiles(dir).map((path) => ({
      path,
      stat: ifThere(() => statSync(path, { bigint: true })),
    }))
    return {
      identity: stats
        .map(({ path, stat: s }) => [path, s?.ino, s?.size, s?.mtimeNs, s?.ctimeNs].join(" "))
        .join("\n"),
      writtenAtMs: Math.max(0, ...stats.map(({ stat }) => Number(stat?.mtimeMs ?? 0))),
    }
  } catch (error) {
    // Reading will meet the same and say so, once.
    return { identity: describeError(error), writtenAtMs: 0 }
  }
}

/** The rules of each file; throws a fault that names the first wrong file and its mistakes. */
export function readPolicyFiles(policy: PolicyEngine, files: readonly string[]): Record<string, string>[] {
  const layers = files.map(readPolicyFile)
  // All together: a rule may ask one of another file.
  const problems = policy.problemsOf(...layers)
  const [first] = problems
  if (!first) return layers
  throw wrong(
    files[first.layer] ?? "",
    problems.filter(({ layer }) => layer === first.layer),
  )
}

/** One file's rules as text, not yet looked at as rules. */
function readPolicyFile(path: string): Record<string, string> {
  let parsed: unknown
  try {
    parsed = parse(readFileSync(path, "utf8"), { logLevel: "error" }) ?? {}
  } catch (error) {
    if (error instanceof Error && "syscall" in error)
      throw new Fault("invalid", "policy.file_unreadable", `${path} cannot be read.`, { cause: error })
    throw wrong(path, [{ why: error instanceof Error ? error.message.trim() : String(error) }])
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw wrong(path, [{ why: "it must be a mapping of rules" }])
  const rules: Record<string, string> = {}
  const problems: Mistake[] = []
  for (const [rule, check] of Object.entries(parsed)) {
    if (typeof check === "string") rules[rule] = check
    else problems.push({ rule, why: 'it must be text, such as "role:admin"' })
  }
  if (problems.length > 0) throw wrong(path, problems)
  return rules
}

type Mistake = Partial<Pick<RuleProblem, "rule">> & Pick<RuleProblem, "why">

function wrong(path: string, problems: readonly Mistake[]): Fault {
  const lines = problems.map(({ rule, why }) => (rule ? `${rule}: ${why}` : why))
  const message = lines.length === 1 ? `${path}: ${lines[0]}.` : `${path}:\n  ${lines.join("\n  ")}`
  return new Fault("invalid", "policy.file_invalid", message, { detail: { problems } })
}

function ifThere<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR"))
      return undefined
    throw error
  }
}
