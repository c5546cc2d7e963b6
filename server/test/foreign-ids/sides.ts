// Two projects in two domains, each with a user who manages both, and one of everything.
import assert from "node:assert/strict"
import type { ServerCloud } from "../server-cloud.ts"
import { passwordOf, type ServiceFixture, type Side, secretName, type World } from "./fixture.ts"

export function worldOf(cloud: ServerCloud): World {
  const world: World = {
    cloud,
    admin: cloud.admin,
    make: async (token, method, path, body, headers = {}) => {
      const reply = await cloud.cloud.request(method, path, {
        token,
        headers,
        ...(body === undefined ? {} : { body }),
      })
      assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
      return reply.body
    },
    send: (token, method, path, body) =>
      cloud.cloud.request(method, path, { token, ...(body === undefined ? {} : { body }) }),
  }
  return world
}

export async function makeSide(name: Side["name"], world: World): Promise<Side> {
  const text = secretName({ name })
  const password = passwordOf({ name })
  const identity = async (method: string, path: string, body?: unknown) =>
    await world.make(world.admin, method, `/identity/v3${path}`, body)
  const domain = (await identity("POST", "/domains", { domain: { name: text } })).domain.id
  const project = (await identity("POST", "/projects", { project: { name: text, domain_id: domain } }))
    .project.id
  const owner = { name: text, password, domain_id: domain, default_project_id: project }
  const user = (await identity("POST", "/users", { user: owner })).user.id
  const { roles } = await identity("GET", "/roles")
  const role = (word: string) => roles.find((each: { name: string }) => each.name === word).id
  await identity("PUT", `/projects/${project}/users/${user}/roles/${role("manager")}`)
  await identity("PUT", `/domains/${domain}/users/${user}/roles/${role("manager")}`)
  const login = async (scope: unknown) => {
    const methods = { methods: ["password"], password: { user: { id: user, password } } }
    const reply = await world.cloud.cloud.request("POST", "/identity/v3/auth/tokens", {
      body: { auth: { identity: methods, scope } },
    })
    assert.equal(reply.status, 201, JSON.stringify(reply.body))
    return reply.headers.get("x-subject-token") ?? ""
  }
  return {
    name,
    domainId: domain,
    projectId: project,
    userId: user,
    token: await login({ project: { id: project } }),
    domainToken: await login({ domain: { id: domain } }),
    things: new Map([
      ["domain", domain],
      ["project", project],
      ["user", user],
      ["name", text],
    ]),
  }
}

export async function makeThings(
  side: Side,
  world: World,
  fixtures: readonly ServiceFixture[],
): Promise<void> {
  for (const fixture of fixtures) await fixture.make(side, world)
}
