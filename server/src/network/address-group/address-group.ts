// Address groups: prefixes under one name, for rules of security groups.
import { sql } from "kysely"
import { type Static, Type } from "typebox"
import { type DbOrTx, violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { formatPrefix, parsePrefix } from "../../platform/net/address.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  addressGroupInUse,
  addressGroupNotFound,
  badRequest,
  groupHasAddresses,
  groupLacksAddresses,
} from "../faults.ts"
import { column, findRow, listed, listRows, type Source, standardColumns } from "../resource/list.ts"
import { listOperation } from "../resource/list-operation.ts"
import {
  change,
  lockRow,
  ownerOf,
  ProjectInput,
  RevisionInput,
  type Standard,
  updateRow,
} from "../resource/standard.ts"
import { everything, sharedWith, type Viewer, viewerOf } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"

export interface AddressGroup extends Standard {
  name: string
  description: string
  addresses: string[]
  shared: boolean
}

export const AddressGroupInput = Type.Object({
  projectId: ProjectInput,
  name: Type.Optional(Type.String({ maxLength: 255 })),
  description: Type.Optional(Type.String({ maxLength: 1024 })),
  addresses: Type.Optional(Type.Array(Type.String())),
})
export type AddressGroupInput = Static<typeof AddressGroupInput>

export function addressGroupSource(viewer: Viewer): Source {
  const shared = sharedWith(viewer, "address_group", sql`a.id`)
  return {
    table: sql`network.address_group`,
    alias: "a",
    columns: {
      ...standardColumns("a", { tags: false }),
      name: column("text", sql`a.name`),
      addresses: column("other", sql`a.addresses::text[]`),
      shared: column("boolean", shared),
    },
    visible: visibleTo(viewer, {
      owner: sql`a.project_id`,
      shared: { objectType: "address_group", objectId: sql`a.id` },
    }),
    markerFault: addressGroupNotFound,
  }
}

const target = (group: { projectId: string; shared: boolean }) => ({
  project_id: group.projectId,
  tenant_id: group.projectId,
  shared: group.shared,
})

function readAddresses(texts: readonly string[]): string[] {
  const prefixes = texts.map((text) => {
    const prefix = text.includes("/") ? parsePrefix(text) : null
    if (!prefix)
      throw badRequest(
        `Invalid input for addresses. Reason: '${text}' is not a valid IP subnet; write one address as ${text.includes(":") ? `${text}/128` : `${text}/32`}.`,
      )
    return formatPrefix(prefix)
  })
  return [...new Set(prefixes)]
}

export async function loadAddressGroup(
  db: DbOrTx,
  id: string,
  viewer: Viewer = everything,
): Promise<AddressGroup> {
  const group = await findRow<AddressGroup>(db, addressGroupSource(viewer), id)
  if (!group) throw addressGroupNotFound(id)
  return group
}

export const getAddressGroup = operation({
  name: "network.address_group.get",
  input: Type.Object({ addressGroupId: Type.String() }),
  faults: [addressGroupNotFound],
  load: (ctx, { addressGroupId }) => loadAddressGroup(ctx.db, addressGroupId, viewerOf(ctx)),
  rule: "get_address_group",
  target: (_ctx, _input, group) => target(group),
  run: async (_ctx, _input, group) => group,
})

export const listAddressGroups = listOperation<AddressGroup>({
  name: "network.address_group.list",
  rule: "get_address_group",
  run: async (ctx, query) => {
    const groups = await listRows<AddressGroup>(ctx.db, addressGroupSource(viewerOf(ctx)), query)
    return listed(ctx, "get_address_group", groups, target)
  },
})

export const createAddressGroups = operation({
  name: "network.address_group.create",
  input: Type.Object({ addressGroups: Type.Array(AddressGroupInput) }),
  faults: [badRequest],
  rules: ["create_address_group"],
  authorize: (ctx, { addressGroups }) =>
    addressGroups.map((input) => [
      "create_address_group",
      target({ projectId: ownerOf(ctx, input.projectId), shared: false }),
    ]),
  run: async (ctx, { addressGroups }) =>
    await change(ctx, async (tx) => {
      const made: AddressGroup[] = []
      for (const input of addressGroups) {
        const id = newUuid()
        await tx
          .insertInto("network.address_group")
          .values({
            id,
            project_id: ownerOf(ctx, input.projectId),
            name: input.name ?? "",
            description: input.description ?? "",
            addresses: readAddresses(input.addresses ?? []),
          })
          .execute()
        made.push(await loadAddressGroup(tx, id))
      }
      return made
    }),
})

export const updateAddressGroup = operation({
  name: "network.address_group.update",
  input: Type.Object({
    addressGroupId: Type.String(),
    expectedRevision: RevisionInput,
    changes: Type.Pick(AddressGroupInput, ["name", "description"]),
  }),
  faults: [addressGroupNotFound],
  load: (ctx, { addressGroupId }) => loadAddressGroup(ctx.db, addressGroupId, viewerOf(ctx)),
  rule: "update_address_group",
  target: (_ctx, _input, group) => target(group),
  run: async (ctx, { addressGroupId, expectedRevision, changes }) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "addressGroup", addressGroupId, addressGroupNotFound, expectedRevision)
      await updateRow(tx, "addressGroup", addressGroupId, {
        name: changes.name,
        description: changes.description,
      })
      return await loadAddressGroup(tx, addressGroupId)
    }),
})

/** Adds addresses to the group or takes some out: all of them or none. */
export const changeGroupAddresses = operation({
  name: "network.address_group.change_addresses",
  input: Type.Object({
    addressGroupId: Type.String(),
    how: Type.Union([Type.Literal("add"), Type.Literal("remove")]),
    addresses: Type.Array(Type.String()),
  }),
  faults: [addressGroupNotFound, badRequest, groupHasAddresses, groupLacksAddresses],
  load: (ctx, { addressGroupId }) => loadAddressGroup(ctx.db, addressGroupId, viewerOf(ctx)),
  rule: "update_address_group",
  target: (_ctx, _input, group) => target(group),
  run: async (ctx, { addressGroupId, how, addresses }) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "addressGroup", addressGroupId, addressGroupNotFound)
      const group = await loadAddressGroup(tx, addressGroupId)
      const named = readAddresses(addresses)
      const wrong = named.filter((address) => group.addresses.includes(address) === (how === "add"))
      if (wrong.length > 0)
        throw how === "add"
          ? groupHasAddresses(wrong, addressGroupId)
          : groupLacksAddresses(wrong, addressGroupId)
      const next =
        how === "add"
          ? [...group.addresses, ...named]
          : group.addresses.filter((address) => !named.includes(address))
      await updateRow(tx, "addressGroup", addressGroupId, { addresses: sql`${next}::cidr[]` })
      return await loadAddressGroup(tx, addressGroupId)
    }),
})

export const deleteAddressGroup = operation({
  name: "network.address_group.delete",
  input: Type.Object({ addressGroupId: Type.String(), expectedRevision: RevisionInput }),
  faults: [addressGroupNotFound, addressGroupInUse],
  load: (ctx, { addressGroupId }) => loadAddressGroup(ctx.db, addressGroupId, viewerOf(ctx)),
  rule: "delete_address_group",
  target: (_ctx, _input, group) => target(group),
  run: async (ctx, { addressGroupId, expectedRevision }) => {
    try {
      await change(ctx, async (tx) => {
        await lockRow(tx, "addressGroup", addressGroupId, addressGroupNotFound, expectedRevision)
        await sql`delete from network.rbac_policy where object_id = ${addressGroupId}`.execute(tx)
        await sql`delete from network.address_group where id = ${addressGroupId}`.execute(tx)
      })
    } catch (error) {
      if (violatedConstraint(error)) throw addressGroupInUse(addressGroupId)
      throw error
    }
  },
})
