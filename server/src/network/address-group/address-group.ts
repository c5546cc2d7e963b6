// Address groups: prefixes under one name, for rules of security groups.
import { sql } from "kysely"
import { Type } from "typebox"
import { type DbOrTx, violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { formatPrefix, parsePrefix } from "../../platform/net/address.ts"
import { boolean, text, texts } from "../../platform/noun/field.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  addressGroupInUse,
  addressGroupNotFound,
  badRequest,
  forbiddenProject,
  groupHasAddresses,
  groupLacksAddresses,
  revisionMismatch,
} from "../faults.ts"
import { change, lockRow, ownedFields, ownerOf, RevisionInput, updateRow } from "../resource/standard.ts"
import { everything, sharedWith, type Viewer, viewerOf } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"

export const addressGroupNoun = noun({
  name: "network.address_group",
  table: sql`network.address_group`,
  alias: "a",
  fields: {
    ...ownedFields("a"),
    description: text(sql`a.description`, {
      max: 1024,
      create: true,
      update: true,
      filter: true,
      sort: true,
    }),
    name: text(sql`a.name`, { create: true, update: true, filter: true, sort: true }),
    addresses: texts(sql`a.addresses::text[]`, { create: true }),
    shared: boolean((viewer: Viewer) => sharedWith(viewer, "address_group", sql`a.id`), { filter: true }),
  },
  visible: (viewer: Viewer) =>
    visibleTo(viewer, {
      owner: sql`a.project_id`,
      shared: { objectType: "address_group", objectId: sql`a.id` },
    }),
  notFound: addressGroupNotFound,
})

export type AddressGroup = Thing<typeof addressGroupNoun>

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
  return await loadThing(db, addressGroupNoun, viewer, id)
}

const asked = { viewer: viewerOf, rule: "get_address_group", target }

export const getAddressGroup = getOf(addressGroupNoun, asked)
export const listAddressGroups = listOf(addressGroupNoun, asked)

export const createAddressGroups = operation({
  name: "network.address_group.create",
  input: Type.Object({ items: Type.Array(addressGroupNoun.create) }),
  faults: [badRequest, forbiddenProject],
  rules: ["create_address_group"],
  authorize: (ctx, { items }) =>
    items.map((input) => [
      "create_address_group",
      target({ projectId: ownerOf(ctx, input.projectId), shared: false }),
    ]),
  run: async (ctx, { items }) =>
    await change(ctx, async (tx) => {
      const made: AddressGroup[] = []
      for (const input of items) {
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
    id: Type.String(),
    expectedRevision: RevisionInput,
    changes: addressGroupNoun.changes,
  }),
  faults: [addressGroupNotFound, revisionMismatch],
  load: (ctx, { id }) => loadAddressGroup(ctx.db, id, viewerOf(ctx)),
  rule: "update_address_group",
  target: (_ctx, _input, group) => target(group),
  run: async (ctx, { id: addressGroupId, expectedRevision, changes }) =>
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
  input: Type.Object({ id: Type.String(), expectedRevision: RevisionInput }),
  faults: [addressGroupNotFound, addressGroupInUse, revisionMismatch],
  load: (ctx, { id }) => loadAddressGroup(ctx.db, id, viewerOf(ctx)),
  rule: "delete_address_group",
  target: (_ctx, _input, group) => target(group),
  run: async (ctx, { id: addressGroupId, expectedRevision }) => {
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
