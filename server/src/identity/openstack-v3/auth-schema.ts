import { type Static, type TProperties, Type } from "typebox"
import { keyed, object } from "../../platform/schema/make.ts"
import { idOrName, text } from "./schema.ts"

const named = object({ id: text, name: text }, [], idOrName)
const place = object({ id: text, name: text, domain: named }, [], idOrName)
const scopes = object({
  project: place,
  domain: named,
  system: object({ all: Type.Boolean() }),
  "OS-TRUST:trust": keyed("id", text),
})
const scope = Type.Unsafe<Static<typeof scopes> | string>({ ...scopes, type: ["object", "string"] })

/** Payloads of methods are looked at by the methods themselves: which are known is not this wire's to say. */
const identity = keyed("methods", Type.Array(text))

export const authRequest = keyed("auth", object({ identity, scope }, ["identity"]))
const user = { id: text, name: text, domain: named }
const withUser = (more: TProperties) => object({ user: object({ ...user, ...more }, [], idOrName) }, ["user"])

/** For documents: what each method takes of its payload. */
export const toldAuthRequest = keyed(
  "auth",
  object(
    {
      identity: object(
        {
          methods: Type.Array(text),
          password: withUser({ password: text }),
          totp: withUser({ passcode: text }),
          token: keyed("id", text),
          application_credential: object({ id: text, name: text, secret: text, user: object(user) }, [
            "secret",
          ]),
          oauth1: object({}),
        },
        ["methods"],
      ),
      scope,
    },
    ["identity"],
  ),
)
export type AuthRequest = Static<typeof authRequest>
