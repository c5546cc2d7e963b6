// Address scopes: pools in one scope have no address twice.
import { sql } from "kysely"
import { Type } from "typebox"
import { type DbOrTx, violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { boolean, field, text } from "../../platform/noun/field.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { noun, ruledFields, type Thing } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  addressScopeInUse,
  addressScopeNotFound,
  badRequest,
  forbiddenProject,
  revisionMismatch,
} from "../faults.ts"
import { grantAccess } from "../rbac/grant.ts"
import {
  attributeRules,
  change,
  lockRow,
  ownedFields,
  ownerOf,
  RevisionInput,
  updateRow,
} from "../resource/standard.ts"
import { everything, sharedWith, type Viewer, viewerOf } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"
import { IpVersion } from "../subnet/subnet.ts"

export const addressScopeNoun = noun({
  name: "network.address_scope",
  table: sql`network.address_scope`,
  alias: "s",
  fields: {
    ...ownedFields("s"),
    name: text(sql`s.name`, { create: true, update: true, filter: true, sort: true }),
    ipVersion: field("integer", IpVersion, sql`s.ip_version`, {
      create: "required",
      filter: true,
      sort: true,
    }),
    shared: boolean((viewer: Viewer) => sharedWith(viewer, "address_scope", sql`s.id`), {
      create: true,
      update: true,
      filter: true,
      rule: "write",
    }),
  },
  visible: (viewer: Viewer) =>
    visibleTo(viewer, {
      owner: sql`s.project_id`,
      shared: { objectType: "address_scope", objectId: sql`s.id` },
    }),
  notFound: addressScopeNotFound,
})

export type AddressScope = Thing<typeof addressScopeNoun>

const target = (scope: { projectId: string; shared: boolean }) => ({
  project_id: scope.projectId,
  tenant_id: scope.projectId,
  shared: scope.shared,
})

export async function loadAddressScope(
  db: DbOrTx,
  id: string,
  viewer: Viewer = everything,
): Promise<AddressScope> {
  return await loadThing(db, addressScopeNoun, viewer, id)
}

const asked = { viewer: viewerOf, rule: "get_address_scope", target }

export const getAddressScope = getOf(addressScopeNoun, asked)
export const listAddressScopes = listOf(addressScopeNoun, asked)

const ruled = ruledFields(addressScopeNoun.fields, "write")

export const createAddressScopes = operation({
  name: "network.address_scope.create",
  input: Type.Object({ items: Type.Array(addressScopeNoun.create) }),
  faults: [forbiddenProject],
  rules: ["create_address_scope"],
  authorize: (ctx, { items }) =>
    items.flatMap((input) => {
      const own = target({ projectId: ownerOf(ctx, input.projectId), shared: false })
      return [
        ["create_address_scope", own] as const,
        ...attributeRules("create_address_scope", own, { shared: input.shared || undefined }, ruled),
      ]
    }),
  run: async (ctx, { items }) =>
    await change(ctx, async (tx) => {
      const made: AddressScope[] = []
      for (const input of items) {
        const id = newUuid()
        const projectId = ownerOf(ctx, input.projectId)
        await tx
          .insertInto("network.address_scope")
          .values({ id, project_id: projectId, name: input.name ?? "", ip_version: input.ipVersion })
          .execute()
        if (input.shared)
          await grantAccess(tx, {
            projectId,
            objectType: "address_scope",
            objectId: id,
            action: "access_as_shared",
          })
        made.push(await loadAddressScope(tx, id, { ...viewerOf(ctx), seesAll: true }))
      }
      return made
    }),
})

export const updateAddressScope = operation({
  name: "network.address_scope.update",
  input: Type.Object({
    id: Type.String(),
    expectedRevision: RevisionInput,
    changes: addressScopeNoun.changes,
  }),
  faults: [addressScopeNotFound, badRequest, revisionMismatch],
  load: (ctx, { id }) => loadAddressScope(ctx.db, id, viewerOf(ctx)),
  rules: ["update_address_scope"],
  authorize: (_ctx, { changes }, scope) => [
    ["update_address_scope", target(scope)],
    ...attributeRules("update_address_scope", target(scope), changes, ruled),
  ],
  run: async (ctx, { id: addressScopeId, expectedRevision, changes }, scope) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "addressScope", addressScopeId, addressScopeNotFound, expectedRevision)
      // Others have pools in it by now.
      if (changes.shared === false && scope.shared)
        throw badRequest(
          `Unable to update address scope ${addressScopeId}: Shared address scope can't be unshared.`,
        )
      await updateRow(tx, "addressScope", addressScopeId, { name: changes.name })
      const grant = {
        projectId: scope.projectId,
        objectType: "address_scope",
        objectId: addressScopeId,
        action: "access_as_shared",
      } as const
      if (changes.shared === true) await grantAccess(tx, grant)
      return await loadAddressScope(tx, addressScopeId, { ...viewerOf(ctx), seesAll: true })
    }),
})

export const deleteAddressScope = operation({
  name: "network.address_scope.delete",
  input: Type.Object({ id: Type.String(), expectedRevision: RevisionInput }),
  faults: [addressScopeNotFound, addressScopeInUse, revisionMismatch],
  load: (ctx, { id }) => loadAddressScope(ctx.db, id, viewerOf(ctx)),
  rule: "delete_address_scope",
  target: (_ctx, _input, scope) => target(scope),
  run: async (ctx, { id: addressScopeId, expectedRevision }) => {
    try {
      await change(ctx, async (tx) => {
        await lockRow(tx, "addressScope", addressScopeId, addressScopeNotFound, expectedRevision)
        await sql`delete from network.rbac_policy where object_id = ${addressScopeId}`.execute(tx)
        await sql`delete from network.address_scope where id = ${addressScopeId}`.execute(tx)
      })
    } catch (error) {
      if (violatedConstraint(error)) throw addressScopeInUse(addressScopeId)
      throw error
    }
  },
})
