// What a port is asked to be, checked before any row is written.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { isAdmin } from "../admin.ts"
import {
  badRequest,
  deviceNotOwned,
  groupsNeedPortSecurity,
  pairsNeedPortSecurity,
  tooManyAddressPairs,
} from "../faults.ts"
import { canonicalMac, formatPrefix, parsePrefix } from "../ipam/address.ts"
import { isCloudOwned } from "./port.ts"

export interface PortPlan {
  macAddress: string | undefined
  portSecurityEnabled: boolean
  allowedAddressPairs: { ipAddress: string; macAddress?: string }[]
  /** Whether it gets the project's default group when none is named. */
  wantsDefaultGroup: boolean
}

export interface PortRequest {
  projectId: string
  macAddress?: string | undefined
  deviceId?: string | undefined
  deviceOwner?: string | undefined
  portSecurityEnabled?: boolean | undefined
  securityGroups?: readonly string[] | undefined
  fixedIps?: readonly unknown[] | undefined
  allowedAddressPairs?: readonly { ipAddress: string; macAddress?: string | undefined }[] | undefined
}

export async function checkPortPlan(
  ctx: Ctx,
  db: DbOrTx,
  request: PortRequest,
  network: { portSecurityEnabled: boolean },
): Promise<PortPlan> {
  const config = ctx.config.network
  const deviceOwner = request.deviceOwner ?? ""
  const isCloud = isCloudOwned(deviceOwner)
  const portSecurityEnabled = request.portSecurityEnabled ?? (isCloud ? false : network.portSecurityEnabled)
  if ((request.fixedIps?.length ?? 0) > config.fixedIpsMax) {
    throw badRequest(
      `Invalid input for fixed_ips. Reason: at most ${config.fixedIpsMax} fixed IPs are possible.`,
    )
  }
  if (!portSecurityEnabled && (request.securityGroups?.length ?? 0) > 0) throw groupsNeedPortSecurity()
  const pairs = checkPairs(request.allowedAddressPairs ?? [], config.addressPairsMax)
  if (pairs.length > 0 && !portSecurityEnabled) throw pairsNeedPortSecurity()
  await checkDevice(ctx, db, request)
  return {
    macAddress: request.macAddress === undefined ? undefined : checkMac(request.macAddress),
    portSecurityEnabled,
    allowedAddressPairs: pairs,
    wantsDefaultGroup: portSecurityEnabled && !isCloud,
  }
}

export function checkMac(text: string): string {
  const mac = canonicalMac(text)
  if (!mac || mac === "00:00:00:00:00:00")
    throw badRequest(`Invalid input for mac_address. Reason: '${text}' is not a valid MAC address.`)
  return mac
}

export function checkPairs(
  pairs: readonly { ipAddress: string; macAddress?: string | undefined }[],
  max: number,
): { ipAddress: string; macAddress?: string }[] {
  if (pairs.length > max) throw tooManyAddressPairs(max)
  const seen = new Set<string>()
  return pairs.map((pair) => {
    const prefix = parsePrefix(pair.ipAddress)
    if (!prefix) {
      throw badRequest(
        `Invalid input for allowed_address_pairs. Reason: '${pair.ipAddress}' is not a valid IP address or subnet.`,
      )
    }
    const macAddress = pair.macAddress === undefined ? undefined : checkMac(pair.macAddress)
    const ipAddress = pair.ipAddress.includes("/")
      ? formatPrefix(prefix)
      : formatPrefix(prefix).replace(/\/\d+$/, "")
    const key = `${macAddress} ${ipAddress}`
    if (seen.has(key)) {
      throw badRequest(
        `Request contains duplicate address pair: mac_address ${macAddress} ip_address ${ipAddress}.`,
      )
    }
    seen.add(key)
    return { ipAddress, ...(macAddress ? { macAddress } : {}) }
  })
}

/** A port may not pose as the interface of someone else's router. */
async function checkDevice(ctx: Ctx, db: DbOrTx, request: PortRequest): Promise<void> {
  const { deviceId = "", deviceOwner = "" } = request
  if (!deviceOwner.startsWith("network:router_") || isAdmin(ctx)) return
  if (!isUuid(deviceId)) return
  const { rows } = await sql<{ projectId: string }>`select project_id as "projectId" from network.router
    where id = ${deviceId}`.execute(db)
  if (rows[0] && rows[0].projectId !== request.projectId) throw deviceNotOwned(deviceId)
}
