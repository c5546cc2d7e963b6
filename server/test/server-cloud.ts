// A test cloud with an image to boot, and the few calls that tests of servers make again and again.
import assert from "node:assert/strict"
import { eventually } from "../src/platform/clock/clock.ts"
import { startTestCloud, type TestCloud, type TestCloudOptions, type TestReply } from "./cloud.ts"

export interface ServerCloud extends AsyncDisposable {
  readonly cloud: TestCloud
  readonly imageId: string
  readonly flavorId: string
  readonly demo: string
  readonly admin: string
  /** Below /compute/v2.1, as demo at the newest microversion unless told otherwise. */
  call(
    method: string,
    path: string,
    body?: unknown,
    how?: { version?: string; token?: string },
  ): Promise<TestReply>
  act(serverId: string, action: unknown, how?: { version?: string; token?: string }): Promise<TestReply>
  /** Creates a server (or several) and says the id. */
  create(attributes?: Record<string, unknown>, how?: { version?: string; token?: string }): Promise<string>
  // biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
  show(serverId: string, how?: { version?: string; token?: string }): Promise<any>
  /** Waits until the server has the status and no task; fails at once on ERROR. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  reaches(serverId: string, status: string): Promise<any>
  isGone(serverId: string): Promise<void>
}

export const nano = "42"

export async function startServerCloud(options: TestCloudOptions = {}): Promise<ServerCloud> {
  const cloud = await startTestCloud(options)
  const demo = await cloud.token({ user: "demo" })
  const admin = await cloud.token()
  const call: ServerCloud["call"] = (method, path, body, how = {}) =>
    cloud.request(method, `/compute/v2.1${path}`, {
      token: how.token ?? demo,
      headers: { "openstack-api-version": `compute ${how.version ?? "2.96"}` },
      ...(body === undefined ? {} : { body }),
    })
  const imageId = options.continueFrom ? "" : await makeImage(cloud, admin)
  await eventually("the host", async () => {
    const { body } = await call("GET", "/os-services?binary=nova-compute", undefined, { token: admin })
    return body.services?.[0]?.state === "up"
  })
  const show: ServerCloud["show"] = async (serverId, how) =>
    (await call("GET", `/servers/${serverId}`, undefined, how)).body.server
  return {
    cloud,
    imageId,
    flavorId: nano,
    demo,
    admin,
    call,
    show,
    act: (serverId, action, how) => call("POST", `/servers/${serverId}/action`, action, how),
    create: async (attributes = {}, how = {}) => {
      const server = { name: "vm", imageRef: imageId, flavorRef: nano, networks: "auto", ...attributes }
      const reply = await call("POST", "/servers", { server }, how)
      assert.equal(reply.status, 202, JSON.stringify(reply.body))
      return reply.body.server.id
    },
    reaches: (serverId, status) =>
      eventually(`${serverId} to be ${status}`, async () => {
        const server = await show(serverId, { token: admin })
        if (server.status === "ERROR" && status !== "ERROR") assert.fail(JSON.stringify(server.fault))
        return server.status === status && server["OS-EXT-STS:task_state"] === null && server
      }),
    isGone: async (serverId) => {
      await eventually(
        `${serverId} to be gone`,
        async () => (await call("GET", `/servers/${serverId}`)).status === 404,
      )
    },
    [Symbol.asyncDispose]: () => cloud[Symbol.asyncDispose](),
  }
}

async function makeImage(cloud: TestCloud, token: string): Promise<string> {
  const made = await cloud.request("POST", "/image/v2/images", {
    token,
    body: { name: "small", disk_format: "raw", container_format: "bare", visibility: "public" },
  })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const put = await fetch(`${cloud.baseUrl}/image/v2/images/${made.body.id}/file`, {
    method: "PUT",
    headers: { "x-auth-token": token, "content-type": "application/octet-stream" },
    body: "the data of a disk",
  })
  assert.equal(put.status, 204)
  return made.body.id
}
