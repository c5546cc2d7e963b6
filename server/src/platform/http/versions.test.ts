import assert from "node:assert/strict"
import { test } from "node:test"
import { Type } from "typebox"
import { closed, nullable, word } from "../schema/make.ts"
import { type BodyOf, schemaFor, versions } from "./versions.ts"
import { route } from "./wire.ts"

const network = { uuid: Type.String() }
const first = closed({ networks: Type.Array(closed(network, ["uuid"])) })
const tagged = Type.Array(closed({ ...network, tag: Type.String() }))
const second = closed({ networks: Type.Union([tagged, word(["auto", "none"])]), host: Type.String() }, [
  "networks",
])
const byVersion = versions({ "2.1": first, "2.37": second })

test("the last schema that is not above the version holds", () => {
  const asked = (minor: number) => schemaFor(byVersion, { major: 2, minor })
  assert.equal(asked(0), undefined)
  assert.equal(asked(1), first)
  assert.equal(asked(36), first)
  assert.equal(asked(37), second)
  assert.equal(asked(99), second)
  assert.equal(schemaFor(first, { major: 0, minor: 0 }), first)
  assert.throws(() => versions({ latest: first }), /latest is no microversion/)
})

test("a handler reads what any version may bring, and nothing else", () => {
  const body: BodyOf<typeof byVersion> = {}
  const networks: { uuid?: string; tag?: string }[] | "auto" | "none" | undefined = body.networks
  const host: string | undefined = body.host
  assert.deepEqual([networks, host], [undefined, undefined])
  route({
    method: "POST",
    path: "/things",
    policy: "public",
    body: closed({ name: Type.String(), note: nullable(Type.String()) }, ["name"]),
    handler: async (_ctx, { body }) => {
      const { name, note }: { name: string; note?: string | null } = body
      // @ts-expect-error nobody said so
      return [name, note, body.other]
    },
  })
  // @ts-expect-error what is not there cannot be required
  closed({ name: Type.String() }, ["names"])
})
