import { Type } from "typebox"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { ruledFields } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { asksOf, enforceQuotaOfMade } from "../../quota/index.ts"
import {
  addressesBusy,
  addressInUse,
  badRequest,
  forbiddenProject,
  networkNotFound,
  noAddressLeft,
} from "../faults.ts"
import { policyFaults } from "../qos/use.ts"
import { networkQuota } from "../quota.ts"
import { notify } from "../resource/notify.ts"
import { attributeRules, change, ownerOf } from "../resource/standard.ts"
import { everything } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import { gatewayRules, setGateway } from "./gateway.ts"
import { loadRouter } from "./read.ts"
import { type Router, routerNoun, routerTarget } from "./router.ts"

const ruled = ruledFields(routerNoun.fields, "write")

export const createRouters = operation({
  name: "network.router.create",
  input: Type.Object({ items: Type.Array(routerNoun.create) }),
  faults: [
    networkNotFound,
    badRequest,
    noAddressLeft,
    addressInUse,
    addressesBusy,
    forbiddenProject,
    ...policyFaults,
  ],
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
          await setGateway(ctx, tx, { id, gateway: null, enableSnat: true }, externalGatewayInfo)
        made.push(externalGatewayInfo ? await loadRouter(tx, id) : router)
      }
      await notify(ctx, tx, "router", "create", made)
      const owners = items.map((input) => ownerOf(ctx, input.projectId))
      await enforceQuotaOfMade(ctx, tx, networkQuota, asksOf(owners, { router: 1 }))
      return made
    }),
})
