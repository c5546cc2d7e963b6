// Tags of the nouns that have them. A tag is a word of the user's; the list has each once, in the order given.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import type { FaultDefinition } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import {
  badRequest,
  floatingIpNotFound,
  networkNotFound,
  portNotFound,
  routerNotFound,
  securityGroupNotFound,
  subnetNotFound,
  subnetPoolNotFound,
  tagNotFound,
} from "../faults.ts"
import { floatingIpTarget } from "../floating-ip/floating-ip.ts"
import { loadFloatingIp } from "../floating-ip/read.ts"
import { networkTarget } from "../network/network.ts"
import { loadNetwork } from "../network/read.ts"
import { portTarget } from "../port/port.ts"
import { loadPort } from "../port/read.ts"
import { qosPolicyNotFound } from "../qos/faults.ts"
import { loadQosPolicy, qosPolicyTarget } from "../qos/qos-policy.ts"
import { change, lockRow, type Table, updateRow } from "../resource/standard.ts"
import { type Viewer, viewerOf } from "../resource/viewer.ts"
import { loadRouter } from "../router/read.ts"
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
  /** In the names of its operations. */
  name: string
  /** In the names of its rules. */
  rule: string
  load: (db: DbOrTx, id: string, viewer: Viewer) => Promise<Taggable>
  /** Of `load`. */
  notFound: NotFound
}

type NotFound = FaultDefinition<[id: string]>

function noun<T extends { tags: string[] }>(
  table: Table,
  name: string,
  rule: string,
  load: (db: DbOrTx, id: string, viewer: Viewer) => Promise<T>,
  target: (thing: T) => PolicyTarget,
  notFound: NotFound,
): TaggedNoun {
  return {
    table,
    name,
    rule,
    notFound,
    load: async (db, id, viewer) => {
      const thing = await load(db, id, viewer)
      return { tags: thing.tags, target: target(thing) }
    },
  }
}

/** Tags of a thing at the most: each list shows them all. */
const tagsMax = 50
const tagLengthMax = 255

const Subject = { id: Type.String() }
const WithTag = Type.Object({ ...Subject, tag: Type.String() })
const WithTags = Type.Object({ ...Subject, tags: Type.Array(Type.String()) })

function tagVerbsOf({ name, rule, table, load: loadThing, notFound }: TaggedNoun) {
  const load = (ctx: Ctx, { id }: { id: string }) => loadThing(ctx.db, id, viewerOf(ctx))
  const target = (_ctx: Ctx, _input: unknown, thing: Taggable) => thing.target
  const write = async (ctx: Ctx, id: string, next: (tags: string[]) => string[]): Promise<string[]> =>
    await change(ctx, async (tx) => {
      await lockRow(tx, table, id, tagNotFound)
      const { tags: current } = await loadThing(tx, id, viewerOf(ctx))
      const tags = [...new Set(next(current))]
      checkTags(tags)
      await updateRow(tx, table, id, { tags: sql`${tags}::text[]` })
      return tags
    })
  return {
    list: operation({
      name: `network.${name}.list_tags`,
      input: Type.Object(Subject),
      faults: [notFound],
      load,
      rule: `get_${rule}`,
      target,
      run: async (_ctx, _input, thing) => thing.tags,
    }),
    check: operation({
      name: `network.${name}.check_tag`,
      input: WithTag,
      faults: [notFound, tagNotFound],
      load,
      rule: `get_${rule}`,
      target,
      run: async (_ctx, { tag }, thing) => {
        if (!thing.tags.includes(tag)) throw tagNotFound(tag)
      },
    }),
    /** Sets the whole list. */
    replace: operation({
      name: `network.${name}.replace_tags`,
      input: WithTags,
      faults: [notFound, badRequest],
      load,
      rule: `update_${rule}:tags`,
      target,
      run: async (ctx, { id, tags }) => await write(ctx, id, () => tags),
    }),
    /** Adds those that are not there yet. */
    create: operation({
      name: `network.${name}.create_tags`,
      input: WithTags,
      faults: [notFound, badRequest],
      load,
      rule: `create_${rule}:tags`,
      target,
      run: async (ctx, { id, tags }) => await write(ctx, id, (current) => [...current, ...tags]),
    }),
    add: operation({
      name: `network.${name}.add_tag`,
      input: WithTag,
      faults: [notFound, badRequest],
      load,
      rule: `update_${rule}:tags`,
      target,
      run: async (ctx, { id, tag }) => await write(ctx, id, (current) => [...current, tag]),
    }),
    remove: operation({
      name: `network.${name}.remove_tag`,
      input: WithTag,
      faults: [notFound, tagNotFound],
      load,
      rule: `delete_${rule}:tags`,
      target,
      run: async (ctx, { id, tag }) =>
        await write(ctx, id, (current) => {
          if (!current.includes(tag)) throw tagNotFound(tag)
          return current.filter((one) => one !== tag)
        }),
    }),
    clear: operation({
      name: `network.${name}.clear_tags`,
      input: Type.Object(Subject),
      faults: [notFound],
      load,
      rule: `delete_${rule}:tags`,
      target,
      run: async (ctx, { id }) => await write(ctx, id, () => []),
    }),
  }
}

/** What can be done with the tags of each noun. */
export const tagVerbs = {
  network: tagVerbsOf(noun("network", "network", "network", loadNetwork, networkTarget, networkNotFound)),
  subnet: tagVerbsOf(noun("subnet", "subnet", "subnet", loadSubnet, subnetTarget, subnetNotFound)),
  port: tagVerbsOf(noun("port", "port", "port", loadPort, portTarget, portNotFound)),
  router: tagVerbsOf(noun("router", "router", "router", loadRouter, routerTarget, routerNotFound)),
  floatingIp: tagVerbsOf(
    noun("floatingIp", "floating_ip", "floatingip", loadFloatingIp, floatingIpTarget, floatingIpNotFound),
  ),
  securityGroup: tagVerbsOf(
    noun(
      "securityGroup",
      "security_group",
      "security_group",
      loadSecurityGroup,
      securityGroupTarget,
      securityGroupNotFound,
    ),
  ),
  qosPolicy: tagVerbsOf(
    noun("qosPolicy", "qos_policy", "policy", loadQosPolicy, qosPolicyTarget, qosPolicyNotFound),
  ),
  subnetPool: tagVerbsOf(
    noun("subnetPool", "subnet_pool", "subnetpool", loadSubnetPool, subnetPoolTarget, subnetPoolNotFound),
  ),
}

function checkTags(tags: readonly string[]): void {
  if (tags.length > tagsMax)
    throw badRequest(`Bad tags request: The number of tags exceeds the per-resource limit of ${tagsMax}.`)
  for (const tag of tags) {
    if (tag.trim() === "" || [...tag].length > tagLengthMax)
      throw badRequest(`Invalid input for operation: tag '${tag}' must have 1 to ${tagLengthMax} characters.`)
  }
}
