// A control plane with types of volumes and of groups, and what tests of groups ask of it.
import assert from "node:assert/strict"
import { eventually } from "../src/platform/clock/clock.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { hasPool } from "./volume-cloud.ts"

export let c: ServerCloud
export let volumeType: string
export let otherType: string
/** Of groups whose snapshots are of one moment. */
export let consistent: string
export let plain: string

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
export type Body = any

/** Once in a test file. */
export async function startGroups(): Promise<void> {
  c = await startServerCloud({
    overrides: {
      "blockStorage.quota.volumes": -1,
      "blockStorage.quota.snapshots": -1,
      "blockStorage.quota.groups": 6,
      "blockStorage.defaultGroupType": "plain",
      "blockStorage.groupVolumesMost": 3,
    },
  })
  await hasPool(c)
  const typeOf = async (name: string) =>
    (await ok("POST", "/types", { volume_type: { name } }, c.admin)).volume_type.id
  volumeType = await typeOf("fast")
  otherType = await typeOf("slow")
  plain = await makeGroupType("plain", {})
  consistent = await makeGroupType("consistent", { consistent_group_snapshot_enabled: "<is> True" })
}

export async function call(method: string, path: string, body?: Body, token = c.demo, version = "3.70") {
  return await c.cloud.request(method, `/volume/v3${path}`, {
    token,
    headers: { "openstack-api-version": `volume ${version}` },
    ...(body === undefined ? {} : { body }),
  })
}

export async function ok(method: string, path: string, body?: Body, token = c.demo): Promise<Body> {
  const reply = await call(method, path, body, token)
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

export async function refused(
  method: string,
  path: string,
  body: Body,
  why: RegExp,
  token = c.demo,
): Promise<void> {
  const reply = await call(method, path, body, token)
  assert.equal(reply.status, 400, `${method} ${path}: ${JSON.stringify(reply.body)}`)
  assert.match(reply.body.badRequest.message, why)
}

export async function makeGroupType(
  name: string,
  specs: Record<string, string>,
  isPublic = true,
): Promise<string> {
  const group_type = { name, group_specs: specs, is_public: isPublic }
  return (await ok("POST", "/group_types", { group_type }, c.admin)).group_type.id
}

export type Kind = "volume" | "snapshot" | "group" | "group_snapshot"

export async function settled(kind: Kind, id: string, status = "available"): Promise<Body> {
  return await eventually(`${kind} to be ${status}`, async () => {
    const found = (await ok("GET", `/${kind}s/${id}`))[kind]
    return found.status === status && found
  })
}

export async function gone(kind: Kind, id: string): Promise<void> {
  await eventually(`${kind} to be gone`, async () => (await call("GET", `/${kind}s/${id}`)).status === 404)
}

export async function makeGroup(type = plain, wish: Body = {}): Promise<string> {
  const group = { name: "g", group_type: type, volume_types: [volumeType], ...wish }
  const made = await ok("POST", "/groups", { group })
  assert.deepEqual(Object.keys(made.group).sort(), ["id", "name"])
  await settled("group", made.group.id)
  return made.group.id
}

export async function makeVolume(groupId?: string, wish: Body = {}): Promise<string> {
  const of = groupId === undefined ? {} : { group_id: groupId }
  const { volume } = await ok("POST", "/volumes", {
    volume: { size: 1, volume_type: volumeType, ...of, ...wish },
  })
  assert.equal(volume.group_id, groupId ?? null)
  await settled("volume", volume.id)
  return volume.id
}

export async function removeGroup(id: string): Promise<void> {
  await ok("POST", `/groups/${id}/action`, { delete: { "delete-volumes": true } })
  await gone("group", id)
}

export async function takeSnapshot(groupId: string, name = "gs"): Promise<string> {
  const made = await ok("POST", "/group_snapshots", { group_snapshot: { group_id: groupId, name } })
  await settled("group_snapshot", made.group_snapshot.id)
  return made.group_snapshot.id
}

export async function removeSnapshot(id: string): Promise<void> {
  await ok("DELETE", `/group_snapshots/${id}`)
  await gone("group_snapshot", id)
}
