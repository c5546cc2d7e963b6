// What a port is asked to be, checked before any row is written.
import type { Ctx } from "../../platform/context/context.ts"
import { canonicalMac, formatPrefix, parsePrefix } from "../../platform/net/address.ts"
import {
  badRequest,
  deviceReserved,
  groupsNeedPortSecurity,
  pairsNeedPortSecurity,
  tooManyAddressPairs,
} from "../faults.ts"
import { isCloudOwned, isReservedOwner } from "./port.ts"

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
  deviceOwner?: string | undefined
  portSecurityEnabled?: boolean | undefined
  securityGroups?: readonly string[] | undefined
  fixedIps?: readonly unknown[] | undefined
  allowedAddressPairs?: readonly { ipAddress: string; macAddress?: string | undefined }[] | undefined
}

export function checkPortPlan(
  ctx: Ctx,
  request: PortRequest,
  network: { portSecurityEnabled: boolean },
): PortPlan {
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
  return {
    macAddress: macOf(request.macAddress),
    portSecurityEnabled,
    allowedAddressPairs: pairs,
    wantsDefaultGroup: portSecurityEnabled && !isCloud,
  }
}

/** "" asks for a new one. */
function macOf(asked: string | undefined): string | undefined {
  return asked === undefined || asked === "" ? asked : checkMac(asked)
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
    if (isMulticast(pair.ipAddress)) {
      throw badRequest(
        `Invalid input for allowed_address_pairs. Reason: '${pair.ipAddress}' is a multicast address.`,
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

/** 224.0.0.0/4 and ff00::/8: nothing sends from them. */
function isMulticast(text: string): boolean {
  const [first = ""] = text.split(/[.:]/)
  return text.includes(":") ? /^ff/i.test(first) : Number(first) >= 224 && Number(first) <= 239
}

/** No port may pose as the cloud's own, nor one of those as another's: the engine reads what they are part of. */
export function checkDevice(
  wanted: { deviceId?: string | undefined; deviceOwner?: string | undefined },
  current: { deviceId: string; deviceOwner: string },
): void {
  const { deviceId = current.deviceId, deviceOwner = current.deviceOwner } = wanted
  if (deviceId === current.deviceId && deviceOwner === current.deviceOwner) return
  for (const owner of [current.deviceOwner, deviceOwner])
    if (isReservedOwner(owner)) throw deviceReserved(owner)
}
