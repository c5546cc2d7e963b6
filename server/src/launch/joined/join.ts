// A host joins its cloud: makes a key, shows the token at the door, and keeps what it is given.
import { existsSync } from "node:fs"
import { networkInterfaces } from "node:os"
import { join } from "node:path"
import { hostNameWords, isHostName } from "../../agent/door-protocol.ts"
import { isKey, makeKey, makeRequest } from "../../platform/authority/authority.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { isReachable } from "../../platform/net/address.ts"
import type { BridgeMappings } from "../../platform/net/bridge-mappings.ts"
import { isLinkLocal } from "../address.ts"
import { openCloudDir } from "../cloud-dir.ts"
import { dataWords } from "../options.ts"
import { askToJoin } from "./door-client.ts"
import {
  type Membership,
  memberFiles,
  prepareMemberDirectory,
  readMembership,
  writeMembership,
} from "./membership.ts"

export interface JoinOptions {
  dataDir: string
  /** As `kumoi host token` printed it. */
  url: string
  token: string
  name: string
  /** Where other hosts reach this one; null: the address from which it reaches the door. */
  address: string | null
  hypervisor?: Membership["hypervisor"]
  /** It has a way to the public network. */
  isPublic?: boolean
  /** By which bridges of the machine it reaches physical networks. */
  bridgeMappings?: BridgeMappings
  /** By a token of that kind. */
  isControl?: boolean
}

/** Repeatable: when the answer was lost, the same key asks again. */
export async function joinCloud(options: JoinOptions): Promise<Membership> {
  const {
    dataDir,
    token,
    name,
    address,
    hypervisor = "auto",
    isPublic = false,
    bridgeMappings = {},
    isControl = false,
  } = options
  const door = readDoor(options.url)
  checkOwnName(name)
  if (address !== null) checkOwnAddress(address)
  const joined = readMembership(dataDir)
  if (joined) {
    const words = dataWords(dataDir)
    const message =
      `${dataDir} is the host ${joined.name} of the cloud at ${joined.door} already. ` +
      `Start it with: ./kumoi up${words}; if its cloud removed it, first: ./kumoi down --purge${words}`
    throw new Fault("conflict", "cli.join.joined", message)
  }
  if (existsSync(join(dataDir, "endpoint.json"))) {
    const message = `${dataDir} is a cloud of its own. Choose another directory for the host: --data DIR`
    throw new Fault("conflict", "cli.join.is_cloud", message)
  }
  // First, so that all that follows counts as its own: `down --purge` removes it.
  openCloudDir(dataDir, { canPostgresReach: () => true })
  prepareMemberDirectory(dataDir)
  const { keyFile } = memberFiles(dataDir)
  if (!isKey(keyFile)) await makeKey(keyFile)
  const request = await makeRequest(keyFile)
  const { answer, address: own } = await askToJoin(door, { token, name, address, request, isControl })
  const { name: ownName, id } = answer
  const how = { hypervisor, isPublic, bridgeMappings, isControl }
  const membership = { door: door.origin, name: ownName, id, address: own, ...how }
  writeMembership(dataDir, membership, answer)
  return membership
}

function checkOwnName(name: string): void {
  if (isHostName(name)) return
  throw new Fault("invalid", "cli.option.invalid", `--name ${name}: ${hostNameWords}`)
}

/** A token is used up by a join, and a host that cannot be reached could only be removed again. */
function checkOwnAddress(address: string): void {
  const own = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  if (isReachable(address) && own.some((each) => each.address === address)) return
  const most = own.flatMap(({ internal, address: each }) => (internal || isLinkLocal(each) ? [] : [each]))
  const message = `--address ${address}: use an IP address of this machine that other hosts reach: ${most.join(", ")}.`
  throw new Fault("invalid", "cli.option.invalid", message)
}

function readDoor(text: string): URL {
  const url = URL.parse(text)
  if (url?.protocol === "https:" && !url.username && /^\/?$/.test(url.pathname)) return url
  const message = `${text}: write the address as ./kumoi host token printed it, such as https://10.0.0.1:5443.`
  throw new Fault("invalid", "cli.option.invalid", message)
}
