import { sql } from "kysely"
import { Type } from "typebox"
import { type DbOrTx, violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing, loadThing } from "../../platform/noun/list.ts"
import { ruledFields } from "../../platform/noun/noun.ts"
import { type Authorization, operation } from "../../platform/operation/operation.ts"
import { asksOf, enforceQuotaOfMade } from "../../quota/index.ts"
import {
  addressesBusy,
  addressInUse,
  badRequest,
  badRoutes,
  forbiddenProject,
  gatewayNeededByFloatingIp,
  networkNotFound,
  noAddressLeft,
  revisionMismatch,
  routerInUse,
  routerNotFound,
  tooManyRoutes,
} from "../faults.ts"
import { networkQuota } from "../quota.ts"
import { notify } from "../resource/notify.ts"
import { attributeRules, change, lockRow, ownerOf, RevisionInput, updateRow } from "../resource/standard.ts"
import { getOf, listOf } from "../resource/verbs.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { HostRoute } from "../subnet/subnet.ts"
import { noteChanged } from "../sync/changes.ts"
import { type GatewayRequest, setGateway } from "./gateway.ts"
import { type Router, routerNoun, routerTarget } from "./router.ts"
import { checkRoutes } from "./routes.ts"

export async function loadRouter(db: DbOrTx, id: string, viewer: Viewer = everything): Promise<Router> {
  return await loadThing(db, routerNoun, viewer, id)
}

const asked = { rule: "get_router", target: routerTarget }

export const getRouter = getOf(routerNoun, asked)
export const listRouters = listOf(routerNoun, asked)

const ruled = ruledFields(routerNoun.fields, "write")

function gatewayRules(
  action: string,
  target: Authorization[1],
  info: GatewayRequest | null | undefined,
): Authorization[] {
  if (info === undefined) return []
  const rule = `${action}:external_gateway_info`
  return [
    [rule, target],
    ...attributeRules(
      rule,
      target,
      { ...info },
      {
        networkId: "network_id",
        enableSnat: "enable_snat",
        externalFixedIps: "external_fixed_ips",
      },
    ),
  ]
}

export const createRouters = operation({
  name: "network.router.create",
  input: Type.Object({ items: Type.Array(routerNoun.create) }),
  faults: [networkNotFound, badRequest, noAddressLeft, addressInUse, addressesBusy, forbiddenProject],
  rules: ["create_router"],
  authorize: (ctx, { items }) =>
    items.flatMap((input) => {
      const target = routerTarget({ projectId: ownerOf(ctx, input.projectId) })
      const info = input.externalGatewayInfo ?? undefined
      return [
        ["create_router", target] as const,
        ...gatewayRules("create_router", target, info),
        ...attributeRules("create_router", target, input, ruled),
      ]
    }),
  run: async (ctx, { items }) =>
    await change(ctx, async (tx) => {
      const made: Router[] = []
      for (const input of items) {
        const unknownZone = input.availabilityZoneHints?.find(
          (z) => z !== ctx.config.network.availabilityZone,
        )
        if (unknownZone !== undefined) throw badRequest(`AvailabilityZone ${unknownZone} could not be found.`)
        const id = newUuid()
        const router = await insertThing(tx, routerNoun, everything, {
          values: {
            id,
            project_id: ownerOf(ctx, input.projectId),
            name: input.name ?? "",
            description: input.description ?? "",
            is_admin_up: input.adminStateUp ?? true,
            availability_zone_hints: input.availabilityZoneHints ?? [],
            routes: "[]",
            tags: [...new Set(input.tags ?? [])],
          },
        })
        if (!router) throw new Error(`there is a router ${id} already`)
        noteChanged(tx, { routers: [id] })
        const { externalGatewayInfo } = input
        if (externalGatewayInfo)
          await setGateway(tx, { id, gateway: null, enableSnat: true }, externalGatewayInfo, viewerOf(ctx))
        made.push(externalGatewayInfo ? await loadRouter(tx, id) : router)
      }
      await notify(ctx, tx, "router", "create", made)
      const owners = items.map((input) => ownerOf(ctx, input.projectId))
      await enforceQuotaOfMade(ctx, tx, networkQuota, asksOf(owners, { router: 1 }))
      return made
    }),
})

export const updateRouter = operation({
  name: "network.router.update",
  input: Type.Object({
    id: Type.String(),
    expectedRevision: RevisionInput,
    changes: routerNoun.changes,
  }),
  faults: [
    routerNotFound,
    networkNotFound,
    badRequest,
    badRoutes,
    tooManyRoutes,
    gatewayNeededByFloatingIp,
    revisionMismatch,
  ],
  load: (ctx, { id }) => loadRouter(ctx.db, id, viewerOf(ctx)),
  rules: ["update_router"],
  authorize: (_ctx, { changes }, router) => [
    ["update_router", routerTarget(router)],
    ...gatewayRules("update_router", routerTarget(router), changes.externalGatewayInfo),
  ],
  run: async (ctx, { id: routerId, expectedRevision, changes }) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "router", routerId, routerNotFound, expectedRevision)
      const router = await loadRouter(tx, routerId)
      if (changes.externalGatewayInfo !== undefined)
        await setGateway(tx, router, changes.externalGatewayInfo, viewerOf(ctx))
      const routes =
        changes.routes && (await checkRoutes(tx, routerId, changes.routes, ctx.config.network.routesMax))
      await updateRow(tx, "router", routerId, {
        name: changes.name,
        description: changes.description,
        is_admin_up: changes.adminStateUp,
        routes: routes && JSON.stringify(routes),
      })
      const changed = await loadRouter(tx, routerId)
      await notify(ctx, tx, "router", "update", [changed])
      return changed
    }),
})

export const deleteRouter = operation({
  name: "network.router.delete",
  input: Type.Object({ id: Type.String(), expectedRevision: RevisionInput }),
  faults: [routerNotFound, routerInUse, revisionMismatch],
  load: (ctx, { id }) => loadRouter(ctx.db, id, viewerOf(ctx)),
  rule: "delete_router",
  target: (_ctx, _input, router) => routerTarget(router),
  run: async (ctx, { id: routerId, expectedRevision }, router) => {
    try {
      await change(ctx, async (tx) => {
        await lockRow(tx, "router", routerId, routerNotFound, expectedRevision)
        const { rows } =
          await sql`select from network.router_interface where router_id = ${routerId} limit 1`.execute(tx)
        if (rows.length > 0) throw routerInUse(routerId)
        await sql`delete from network.port where device_id = ${routerId} and device_owner = 'network:router_gateway'`.execute(
          tx,
        )
        await sql`delete from network.router where id = ${routerId}`.execute(tx)
        await notify(ctx, tx, "router", "delete", [router])
      })
    } catch (error) {
      if (violatedConstraint(error)) throw routerInUse(routerId)
      throw error
    }
  },
})

/** Adds or removes some of a router's routes; those that are there (or not there) already are no matter. */
function extraRoutesVerb(how: "add" | "remove") {
  return operation({
    name: `network.router.${how}_extra_routes`,
    input: Type.Object({
      routerId: Type.String(),
      routes: Type.Array(HostRoute),
    }),
    faults: [routerNotFound, badRoutes, tooManyRoutes],
    load: (ctx, { routerId }) => loadRouter(ctx.db, routerId, viewerOf(ctx)),
    rule: `${how}_extraroutes`,
    target: (_ctx, _input, router) => routerTarget(router),
    run: async (ctx, { routerId, routes }) =>
      await change(ctx, async (tx) => {
        await lockRow(tx, "router", routerId, routerNotFound)
        const router = await loadRouter(tx, routerId)
        const key = (r: { destination: string; nexthop: string }) => `${r.destination} ${r.nexthop}`
        const named = new Set(routes.map(key))
        const others = router.routes.filter((r) => !named.has(key(r)))
        const wanted = how === "add" ? [...others, ...routes] : others
        const checked = await checkRoutes(tx, routerId, wanted, ctx.config.network.routesMax)
        await updateRow(tx, "router", routerId, { routes: JSON.stringify(checked) })
        return await loadRouter(tx, routerId)
      }),
  })
}

export const addExtraRoutes = extraRoutesVerb("add")
export const removeExtraRoutes = extraRoutesVerb("remove")
