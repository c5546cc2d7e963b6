// What identity and placement refuse of a body whose form is right.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { startTestCloud, type TestCloud } from "./cloud.ts"

let cloud: TestCloud
let admin: string
before(async () => {
  cloud = await startTestCloud()
  admin = await cloud.token()
})
after(async () => await cloud[Symbol.asyncDispose]())

const send = (method: string, path: string, body: object) =>
  cloud.request(method, path, { token: admin, body })

async function me(): Promise<{ userId: string; projectId: string }> {
  const { body } = await cloud.request("GET", "/identity/v3/auth/tokens", {
    token: admin,
    headers: { "x-subject-token": admin },
  })
  return { userId: body.token.user.id, projectId: body.token.project.id }
}

test("a credential does not become one for EC2 logins, nor stops to be one", async () => {
  const { userId: user_id, projectId: project_id } = await me()
  const make = async (type: string) => {
    const blob = JSON.stringify({ access: `access-${type}`, secret: "s" })
    const made = await send("POST", "/identity/v3/credentials", {
      credential: { user_id, project_id, type, blob },
    })
    assert.equal(made.status, 201)
    return `/identity/v3/credentials/${made.body.credential.id}`
  }
  const change = async (path: string, credential: object) =>
    (await send("PATCH", path, { credential })).status
  const [cert, ec2] = [await make("cert"), await make("ec2")]
  assert.equal(await change(cert, { type: "ec2", blob: "no JSON" }), 400)
  assert.equal(await change(ec2, { type: "cert" }), 400)
  assert.equal(await change(cert, { type: "totp" }), 200)
  assert.equal(await change(ec2, { type: "ec2" }), 200)
  const keys = await cloud.request("GET", `/identity/v3/users/${user_id}/credentials/OS-EC2`, {
    token: admin,
  })
  assert.equal(keys.status, 200)
})

test("a trust is used at the most as often as can be counted", async () => {
  const { userId, projectId } = await me()
  const trust = {
    trustor_user_id: userId,
    trustee_user_id: userId,
    project_id: projectId,
    impersonation: false,
    roles: [{ name: "admin" }],
  }
  const ask = (remaining_uses: number) =>
    send("POST", "/identity/v3/OS-TRUST/trusts", { trust: { ...trust, remaining_uses } })
  for (const uses of [2_147_483_648, 1e308]) assert.equal((await ask(uses)).status, 400)
  assert.equal((await ask(2_147_483_647)).status, 201)
})

test("a capacity that cannot be counted is refused", async () => {
  const made = await cloud.request("POST", "/placement/resource_providers", {
    token: admin,
    headers: { "openstack-api-version": "placement 1.20" },
    body: { name: "huge" },
  })
  assert.equal(made.status, 200)
  const inventories = `/placement/resource_providers/${made.body.uuid}/inventories`
  const VCPU = { total: 4, allocation_ratio: 1e19 }
  const answer = await send("PUT", inventories, { resource_provider_generation: 0, inventories: { VCPU } })
  assert.equal(answer.status, 400)
})
