// Address scopes: pools in one scope have no address twice.
import { sql } from "kysely"
import { type Static, Type } from "typebox"
import { type DbOrTx, violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { addressScopeInUse, addressScopeNotFound, badRequest } from "../faults.ts"
import { grantAccess } from "../rbac/grant.ts"
import { column, findRow, listed, listRows, type Source, standardColumns } from "../resource/list.ts"
import { listOperation } from "../resource/list-operation.ts"
import {
  attributeRules,
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

export interface AddressScope extends Standard {
  name: string
  ipVersion: 4 | 6
  shared: boolean
}

export const AddressScopeInput = Type.Object({
  projectId: ProjectInput,
  name: Type.Optional(Type.String({ maxLength: 255 })),
  ipVersion: Type.Union([Type.Literal(4), Type.Literal(6)]),
  shared: Type.Optional(Type.Boolean()),
})
export type AddressScopeInput = Static<typeof AddressScopeInput>

export function addressScopeSource(viewer: Viewer): Source {
  const shared = sharedWith(viewer, "address_scope", sql`s.id`)
  return {
    table: sql`network.address_scope`,
    alias: "s",
    columns: {
      ...standardColumns("s", { tags: false, description: false }),
      name: column("text", sql`s.name`),
      ipVersion: column("integer", sql`s.ip_version`),
      shared: column("boolean", shared),
    },
    visible: visibleTo(viewer, {
      owner: sql`s.project_id`,
      shared: { objectType: "address_scope", objectId: sql`s.id` },
    }),
    markerFault: addressScopeNotFound,
  }
}

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
  const scope = await findRow<AddressScope>(db, addressScopeSource(viewer), id)
  if (!scope) throw addressScopeNotFound(id)
  return scope
}

export const getAddressScope = operation({
  name: "network.address_scope.get",
  input: Type.Object({ addressScopeId: Type.String() }),
  faults: [addressScopeNotFound],
  load: (ctx, { addressScopeId }) => loadAddressScope(ctx.db, addressScopeId, viewerOf(ctx)),
  rule: "get_address_scope",
  target: (_ctx, _input, scope) => target(scope),
  run: async (_ctx, _input, scope) => scope,
})

export const listAddressScopes = listOperation<AddressScope>({
  name: "network.address_scope.list",
  rule: "get_address_scope",
  run: async (ctx, query) => {
    const scopes = await listRows<AddressScope>(ctx.db, addressScopeSource(viewerOf(ctx)), query)
    return listed(ctx, "get_address_scope", scopes, target)
  },
})

export const createAddressScopes = operation({
  name: "network.address_scope.create",
  input: Type.Object({ addressScopes: Type.Array(AddressScopeInput) }),
  rules: ["create_address_scope"],
  authorize: (ctx, { addressScopes }) =>
    addressScopes.flatMap((input) => {
      const own = target({ projectId: ownerOf(ctx, input.projectId), shared: false })
      return [
        ["create_address_scope", own] as const,
        ...attributeRules(
          "create_address_scope",
          own,
          { shared: input.shared || undefined },
          { shared: "shared" },
        ),
      ]
    }),
  run: async (ctx, { addressScopes }) =>
    await change(ctx, async (tx) => {
      const made: AddressScope[] = []
      for (const input of addressScopes) {
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
    addressScopeId: Type.String(),
    expectedRevision: RevisionInput,
    changes: Type.Pick(AddressScopeInput, ["name", "shared"]),
  }),
  faults: [addressScopeNotFound, badRequest],
  load: (ctx, { addressScopeId }) => loadAddressScope(ctx.db, addressScopeId, viewerOf(ctx)),
  rules: ["update_address_scope"],
  authorize: (_ctx, { changes }, scope) => [
    ["update_address_scope", target(scope)],
    ...attributeRules("update_address_scope", target(scope), changes, { shared: "shared" }),
  ],
  run: async (ctx, { addressScopeId, expectedRevision, changes }, scope) =>
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
  input: Type.Object({ addressScopeId: Type.String(), expectedRevision: RevisionInput }),
  faults: [addressScopeNotFound, addressScopeInUse],
  load: (ctx, { addressScopeId }) => loadAddressScope(ctx.db, addressScopeId, viewerOf(ctx)),
  rule: "delete_address_scope",
  target: (_ctx, _input, scope) => target(scope),
  run: async (ctx, { addressScopeId, expectedRevision }) => {
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
