// How much the processes of the cloud log, while they run. Each has one level for all that it does; at its next start
// it has the one of its configuration.
import { Type } from "typebox"
import { sendToAgent } from "../../engine/agent-call.ts"
import { inParallel } from "../../platform/clock/in-parallel.ts"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { inputInvalid } from "../faults.ts"
import { upSince } from "../pool/place.ts"

/** Cinder's words, and the log's. */
const levels = { DEBUG: "debug", INFO: "info", WARNING: "warn", ERROR: "error" } as const
type LevelWord = keyof typeof levels

/** Cinder's other name for it. */
const wordOf = (level: string): string =>
  (Object.keys(levels) as LevelWord[]).find((word) => levels[word] === level) ?? level.toUpperCase()

/** What all that is logged is logged as. */
const logger = "kumoi"
/** All processes that answer or work hear it. */
const topic = "block_storage.log_level"
const control = ["cinder-api", "cinder-scheduler", "cinder-backup"] as const
const ofHosts = "cinder-volume"
const hostsAtOnce = 32
const askTimeoutMs = 5_000

export interface ShownLevel {
  binary: string
  host: string
  levels: Record<string, string>
}

const Which = { binary: Type.String(), server: Type.String(), prefix: Type.String() }

export const setLogLevel = operation({
  name: "block_storage.log_level.set",
  input: Type.Object({ ...Which, level: Type.String() }),
  faults: [inputInvalid],
  rule: "volume_extension:services:update",
  run: async (ctx, { level: asked, ...which }): Promise<void> => {
    const word = asked.toUpperCase() === "WARN" ? "WARNING" : asked.toUpperCase()
    if (!Object.hasOwn(levels, word))
      throw inputInvalid(`level: it is one of ${Object.keys(levels).join(", ")}.`)
    const level = levels[word as LevelWord]
    checkBinary(which.binary)
    if (!isMeant(which.prefix))
      throw inputInvalid(`prefix: each process has one level, which is that of ${logger}; leave prefix out.`)
    if (binariesOf(ctx, which).length > 0) {
      ctx.log.level = level
      await ctx.bus.publish(topic, level)
    }
    await askHosts(ctx, which, level)
  },
})

export const showLogLevels = operation({
  name: "block_storage.log_level.list",
  input: Type.Object(Which),
  faults: [inputInvalid],
  rule: "volume_extension:services:update",
  run: async (ctx, which): Promise<ShownLevel[]> => {
    checkBinary(which.binary)
    const shown = (level: string): Record<string, string> =>
      isMeant(which.prefix) ? { [logger]: wordOf(level) } : {}
    const here = binariesOf(ctx, which).map((binary) => ({
      ...{ binary, host: ctx.config.host, levels: shown(ctx.log.level) },
    }))
    const hosts = await askHosts(ctx, which, null)
    return [...here, ...hosts.map(({ host, level }) => ({ binary: ofHosts, host, levels: shown(level) }))]
  },
})

/** Of each process: until what it returns is disposed of. */
export async function followLogLevel({ bus, log }: Platform): Promise<AsyncDisposable> {
  return await bus.subscribe(topic, (level) => {
    const known = Object.values(levels).find((each) => each === level)
    if (known) log.level = known
  })
}

const isMeant = (prefix: string) => logger.startsWith(prefix) || prefix === "cinder"

const isAny = (binary: string) => binary === "" || binary === "*"

function checkBinary(binary: string): void {
  const known: readonly string[] = [...control, ofHosts]
  if (!isAny(binary) && !known.includes(binary))
    throw inputInvalid(`binary: it is one of ${known.join(", ")}, or *.`)
}

function binariesOf(ctx: Ctx, { binary, server }: { binary: string; server: string }): string[] {
  if (server !== "" && server !== ctx.config.host) return []
  return control.filter((name) => isAny(binary) || name === binary)
}

/** Those that answer. Null: they only say. */
async function askHosts(
  ctx: Ctx,
  { binary, server }: { binary: string; server: string },
  level: string | null,
): Promise<{ host: string; level: string }[]> {
  if (!isAny(binary) && binary !== ofHosts) return []
  const found = await ctx.db
    .selectFrom("block_storage.pool")
    .select("host")
    .distinct()
    .where("reported_at", ">", upSince(ctx))
    .orderBy("host")
    .execute()
  const asked = found.map(({ host }) => host).filter((host) => server === "" || server.split("@")[0] === host)
  const answers: { host: string; level: string }[] = []
  await inParallel(asked, hostsAtOnce, async (host) => {
    try {
      const told = await sendToAgent(ctx, host, "host.log_level", { level }, { timeoutMs: askTimeoutMs })
      answers.push({ host, level: told.level })
    } catch (error) {
      ctx.log.warn({ host, err: describeError(error) }, "a host does not say how much it logs")
    }
  })
  return answers.sort((a, b) => a.host.localeCompare(b.host))
}
