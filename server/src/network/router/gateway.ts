// The way out of a router: a port on an external network.

import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import type { Authorization } from "../../platform/operation/operation.ts"
import { badRequest, gatewayNeededByFloatingIp } from "../faults.ts"
import { releaseAddresses } from "../ipam/allocate.ts"
import type { FixedIpRequest } from "../ipam/choose.ts"
import { takePortAddresses } from "../ipam/choose.ts"
import type { Network } from "../network/network.ts"
import { loadNetwork } from "../network/read.ts"
import { insertPort } from "../port/insert.ts"
import { takeQosPolicy } from "../qos/use.ts"
import { attributeRules, bumpRevision, updateRow } from "../resource/standard.ts"
import { type Viewer, viewerOf } from "../resource/viewer.ts"
import type { Router } from "./router.ts"

export interface GatewayRequest {
  networkId: string
  enableSnat?: boolean | undefined
  externalFixedIps?: FixedIpRequest[] | undefined
  qosPolicyId?: string | null | undefined
}

/** Makes the router's gateway what is asked; null takes it away. The router's row is locked by the caller. */
export async function setGateway(
  ctx: Ctx,
  tx: Tx,
  router: Pick<Router, "id" | "gateway" | "enableSnat">,
  request: GatewayRequest | null,
  viewer: Viewer = viewerOf(ctx),
): Promise<void> {
  const current = router.gateway
  if (request === null) {
    if (current) await dropGateway(tx, router.id, current.portId, current.networkId)
    await sql`update network.router set is_snat_enabled = true where id = ${router.id}`.execute(tx)
    return
  }
  const network = await loadNetwork(tx, request.networkId, viewer)
  if (!network.routerExternal)
    throw badRequest(`Bad router request: Network ${network.id} is not an external network.`)
  const isSame = current?.networkId === network.id
  const taken = await takeQosPolicy(ctx, tx, {
    wanted: request.qosPolicyId,
    current: current?.qosPolicyId ?? null,
    user: { noun: "router", id: router.id },
  })
  const qosPolicyId = taken === undefined ? (current?.qosPolicyId ?? null) : taken
  if (current && !isSame) await dropGateway(tx, router.id, current.portId, current.networkId)
  if (current && isSame) await moveGateway(tx, current, request.externalFixedIps)
  else await addGateway(tx, router.id, network, { fixedIps: request.externalFixedIps, qosPolicyId })
  if (current && isSame && qosPolicyId !== current.qosPolicyId)
    await updateRow(tx, "port", current.portId, { qos_policy_id: qosPolicyId })
  const enableSnat = request.enableSnat ?? (isSame ? router.enableSnat : true)
  await sql`update network.router set is_snat_enabled = ${enableSnat} where id = ${router.id}`.execute(tx)
}

async function addGateway(
  tx: Tx,
  routerId: string,
  network: Network,
  { fixedIps, qosPolicyId }: { fixedIps: FixedIpRequest[] | undefined; qosPolicyId: string | null },
): Promise<void> {
  await checkOverlap(tx, routerId, network.id)
  await insertPort(tx, {
    networkId: network.id,
    // The cloud's own: its owner does not see it among the ports of the project.
    projectId: "",
    deviceId: routerId,
    deviceOwner: "network:router_gateway",
    portSecurityEnabled: false,
    qosPolicyId,
    ...(fixedIps && fixedIps.length > 0 ? { fixedIps } : {}),
  })
}

/** Inside and outside of a router must not have the same addresses. */
async function checkOverlap(tx: Tx, routerId: string, networkId: string): Promise<void> {
  const { rows } = await sql<{ inside: string; outside: string }>`
    select i.cidr::text as inside, o.cidr::text as outside
    from network.router_interface x join network.subnet i on i.id = x.subnet_id
    join network.subnet o on o.network_id = ${networkId} and o.cidr && i.cidr
    where x.router_id = ${routerId} limit 1`.execute(tx)
  if (rows[0]) {
    throw badRequest(
      `Bad router request: Cidr ${rows[0].inside} of subnet overlaps with cidr ${rows[0].outside} of the external network.`,
    )
  }
}

async function moveGateway(
  tx: Tx,
  current: NonNullable<Router["gateway"]>,
  fixedIps: FixedIpRequest[] | undefined,
): Promise<void> {
  if (!fixedIps) return
  const isAsItIs =
    fixedIps.length === current.externalFixedIps.length &&
    fixedIps.every((ask) =>
      current.externalFixedIps.some(
        (ip) =>
          (ask.ipAddress === undefined || ask.ipAddress === ip.ipAddress) &&
          (ask.subnetId === undefined || ask.subnetId === ip.subnetId),
      ),
    )
  if (isAsItIs) return
  await releaseAddresses(tx, current.portId)
  const { rows } = await sql<{ mac: string }>`select mac_address::text as mac from network.port
    where id = ${current.portId}`.execute(tx)
  await takePortAddresses(tx, {
    portId: current.portId,
    networkId: current.networkId,
    macAddress: rows[0]?.mac ?? "",
    deviceOwner: "network:router_gateway",
    fixedIps: fixedIps.length > 0 ? fixedIps : undefined,
  })
  await bumpRevision(tx, "port", [current.portId])
}

async function dropGateway(tx: Tx, routerId: string, portId: string, networkId: string): Promise<void> {
  const { rows } = await sql`select from network.floating_ip where router_id = ${routerId} limit 1`.execute(
    tx,
  )
  if (rows.length > 0) throw gatewayNeededByFloatingIp(routerId, networkId)
  await sql`delete from network.port where id = ${portId}`.execute(tx)
}

/** Which rules a request about the gateway must pass. */
export function gatewayRules(
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
