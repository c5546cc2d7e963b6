// A host joins its cloud: makes a key, shows the token at the door, and keeps what it is given.
import { existsSync } from "node:fs"
import { join } from "node:path"
import { makeKey, makeRequest } from "../../platform/authority/authority.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { openCloudDir } from "../cloud-dir.ts"
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
}

/** Repeatable: when the answer was lost, the same key asks again. */
export async function joinCloud(options: JoinOptions): Promise<Membership> {
  const { dataDir, token, name, address, hypervisor = "auto" } = options
  const door = readDoor(options.url)
  const joined = readMembership(dataDir)
  if (joined) {
    const message = `${dataDir} is the host ${joined.name} of the cloud at ${joined.door} already. Start it with: ./kumoi up`
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
  if (!existsSync(keyFile)) await makeKey(keyFile)
  const request = await makeRequest(keyFile)
  const { answer, address: own } = await askToJoin(door, { token, name, address, request })
  const membership = { door: door.origin, name: answer.name, id: answer.id, address: own, hypervisor }
  writeMembership(dataDir, membership, answer)
  return membership
}

function readDoor(text: string): URL {
  const url = URL.parse(text)
  if (url?.protocol === "https:" && !url.username && /^\/?$/.test(url.pathname)) return url
  const message = `${text}: write the address as ./kumoi host token printed it, such as https://10.0.0.1:5443.`
  throw new Fault("invalid", "cli.option.invalid", message)
}
