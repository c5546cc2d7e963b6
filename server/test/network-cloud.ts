// A test cloud and the few calls that tests of the network API make again and again.
import assert from "node:assert/strict"
import { startTestCloud, type TestCloud, type TestReply } from "./cloud.ts"

export interface NetworkCloud extends AsyncDisposable {
  readonly cloud: TestCloud
  readonly demo: string
  readonly admin: string
  call(
    method: string,
    path: string,
    body?: unknown,
    options?: { token?: string; headers?: Record<string, string> },
  ): Promise<TestReply>
  // biome-ignore lint/suspicious/noExplicitAny: the test looks where it likes and fails when it is not there
  make(noun: string, values: Record<string, unknown>, token?: string): Promise<any>
  /** The message, when it is refused like that. */
  refused(reply: Promise<TestReply>, status: number, type: string): Promise<string>
}

export async function startNetworkCloud(): Promise<NetworkCloud> {
  const cloud = await startTestCloud()
  const [demo, admin] = [await cloud.token({ user: "demo" }), await cloud.token()]
  const call: NetworkCloud["call"] = async (method, path, body, { token = demo, headers } = {}) =>
    await cloud.request(method, `/network/v2.0${path}`, {
      token,
      ...(body === undefined ? {} : { body }),
      ...(headers ? { headers } : {}),
    })
  return {
    cloud,
    demo,
    admin,
    call,
    make: async (noun, values, token = demo) => {
      const reply = await call("POST", `/${noun.replaceAll("_", "-")}s`, { [noun]: values }, { token })
      assert.equal(reply.status, 201, JSON.stringify(reply.body))
      return reply.body[noun]
    },
    refused: async (reply, status, type) => {
      const { status: got, body } = await reply
      assert.deepEqual([got, body.NeutronError?.type], [status, type], JSON.stringify(body))
      return body.NeutronError.message
    },
    [Symbol.asyncDispose]: async () => await cloud[Symbol.asyncDispose](),
  }
}
