// Tags of the nouns that have them. A tag is a word of the user's; the list has each once, in the order given.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { badRequest, tagNotFound } from "../faults.ts"
import { loadFloatingIp } from "../floating-ip/crud.ts"
import { floatingIpTarget } from "../floating-ip/floating-ip.ts"
import { networkTarget } from "../network/network.ts"
import { loadNetwork } from "../network/read.ts"
import { portTarget } from "../port/port.ts"
import { loadPort } from "../port/read.ts"
import { change, lockRow, type Table, updateRow } from "../resource/standard.ts"
import { type Viewer, viewerOf } from "../resource/viewer.ts"
import { loadRouter } from "../router/crud.ts"
import { routerTarget } from "../router/router.ts"
import { loadSecurityGroup } from "../security-group/group.ts"
import { securityGroupTarget } from "../security-group/security-group.ts"
import { loadSubnet } from "../subnet/read.ts"
import { subnetTarget } from "../subnet/subnet.ts"
import { loadSubnetPool, subnetPoolTarget } from "../subnet-pool/subnet-pool.ts"

interface Taggable {
  tags: string[]
  target: PolicyTarget
}

interface TaggedNoun {
  table: Table
  /** In the names of its rules. */
  rule: string
  load: (db: DbOrTx, id: string, viewer: Viewer) => Promise<Taggable>
}

function noun<T extends { tags: string[] }>(
  table: Table,
  rule: string,
  load: (db: DbOrTx, id: string, viewer: Viewer) => Promise<T>,
  target: (thing: T) => PolicyTarget,
): TaggedNoun {
  return {
    table,
    rule,
    load: async (db, id, viewer) => {
      const thing = await load(db, id, viewer)
      return { tags: thing.tags, target: target(thing) }
    },
  }
}

const nouns = {
  network: noun("network", "network", loadNetwork, networkTarget),
  subnet: noun("subnet", "subnet", loadSubnet, subnetTarget),
  port: noun("port", "port", loadPort, portTarget),
  router: noun("router", "router", loadRouter, routerTarget),
  floatingIp: noun("floatingIp", "floatingip", loadFloatingIp, floatingIpTarget),
  securityGroup: noun("securityGroup", "security_group", loadSecurityGroup, securityGroupTarget),
  subnetPool: noun("subnetPool", "subnetpool", loadSubnetPool, subnetPoolTarget),
} as const satisfies Record<string, TaggedNoun>

export type TaggedNounName = keyof typeof nouns

/** Tags of a thing at the most: each list shows them all. */
const tagsMax = 50
const tagLengthMax = 255

const Subject = {
  noun: Type.Union([
    Type.Literal("network"),
    Type.Literal("subnet"),
    Type.Literal("port"),
    Type.Literal("router"),
    Type.Literal("floatingIp"),
    Type.Literal("securityGroup"),
    Type.Literal("subnetPool"),
  ]),
  id: Type.String(),
}

interface SubjectInput {
  noun: TaggedNounName
  id: string
}

const load = (ctx: Ctx, input: SubjectInput) => nouns[input.noun].load(ctx.db, input.id, viewerOf(ctx))

export const listTags = operation({
  name: "network.tag.list",
  input: Type.Object(Subject),
  load,
  authorize: (_ctx, input, thing) => [[`get_${nouns[input.noun].rule}`, thing.target]],
  run: async (_ctx, _input, thing) => thing.tags,
})

export const checkTag = operation({
  name: "network.tag.check",
  input: Type.Object({ ...Subject, tag: Type.String() }),
  faults: [tagNotFound],
  load,
  authorize: (_ctx, input, thing) => [[`get_${nouns[input.noun].rule}`, thing.target]],
  run: async (_ctx, { tag }, thing) => {
    if (!thing.tags.includes(tag)) throw tagNotFound(tag)
  },
})

/** Sets the whole list. */
export const replaceTags = operation({
  name: "network.tag.replace",
  input: Type.Object({ ...Subject, tags: Type.Array(Type.String()) }),
  faults: [badRequest],
  load,
  authorize: (_ctx, input, thing) => [[`update_${nouns[input.noun].rule}:tags`, thing.target]],
  run: async (ctx, input) => await writeTags(ctx, input, () => input.tags),
})

/** Adds those that are not there yet. */
export const createTags = operation({
  name: "network.tag.create",
  input: Type.Object({ ...Subject, tags: Type.Array(Type.String()) }),
  faults: [badRequest],
  load,
  authorize: (_ctx, input, thing) => [[`create_${nouns[input.noun].rule}:tags`, thing.target]],
  run: async (ctx, input) => await writeTags(ctx, input, (tags) => [...tags, ...input.tags]),
})

export const addTag = operation({
  name: "network.tag.add",
  input: Type.Object({ ...Subject, tag: Type.String() }),
  faults: [badRequest],
  load,
  authorize: (_ctx, input, thing) => [[`update_${nouns[input.noun].rule}:tags`, thing.target]],
  run: async (ctx, input) => await writeTags(ctx, input, (tags) => [...tags, input.tag]),
})

/** Takes one tag away, or all when none is named. */
export const removeTags = operation({
  name: "network.tag.remove",
  input: Type.Object({ ...Subject, tag: Type.Optional(Type.String()) }),
  faults: [tagNotFound],
  load,
  authorize: (_ctx, input, thing) => [[`delete_${nouns[input.noun].rule}:tags`, thing.target]],
  run: async (ctx, input) =>
    await writeTags(ctx, input, (tags) => {
      if (input.tag === undefined) return []
      if (!tags.includes(input.tag)) throw tagNotFound(input.tag)
      return tags.filter((tag) => tag !== input.tag)
    }),
})

async function writeTags(
  ctx: Ctx,
  input: SubjectInput,
  next: (tags: string[]) => string[],
): Promise<string[]> {
  const { table } = nouns[input.noun]
  return await change(ctx, async (tx) => {
    await lockRow(tx, table, input.id, tagNotFound)
    const { tags: current } = await nouns[input.noun].load(tx, input.id, viewerOf(ctx))
    const tags = [...new Set(next(current))]
    checkTags(tags)
    await updateRow(tx, table, input.id, { tags: sql`${tags}::text[]` })
    return tags
  })
}

function checkTags(tags: readonly string[]): void {
  if (tags.length > tagsMax)
    throw badRequest(`Bad tags request: The number of tags exceeds the per-resource limit of ${tagsMax}.`)
  for (const tag of tags) {
    if (tag.trim() === "" || [...tag].length > tagLengthMax)
      throw badRequest(`Invalid input for operation: tag '${tag}' must have 1 to ${tagLengthMax} characters.`)
  }
}
