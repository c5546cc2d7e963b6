import { type Static, type TProperties, Type } from "typebox"
import { each, flag, one, rare, textOrNull, texts } from "../../api/openstack/shape.ts"
import { anyObject, keyed, object } from "../../platform/schema/make.ts"
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
const thing = Type.Object({ id: text, name: text })
const inDomain = { ...thing.properties, domain: thing }
const id = Type.Object({ id: text })
const trust = Type.Object({ id: text, trustor_user: id, trustee_user: id, impersonation: flag })
const credential = Type.Object({
  id: text,
  name: text,
  restricted: flag,
  access_rules: rare(Type.Array(anyObject)),
})
const accessToken = Type.Object({ access_token_id: text, consumer_id: text })
const endpoint = Type.Object({ ...each("id interface url", text), ...each("region_id region", textOrNull) })
export const catalog = Type.Array(
  Type.Object(
    { id: text, type: text, name: text, endpoints: Type.Array(endpoint) },
    { title: "CatalogService" },
  ),
)
const token = Type.Object(
  {
    ...{ methods: texts, audit_ids: texts, expires_at: text, issued_at: text },
    user: Type.Object({ ...inDomain, password_expires_at: textOrNull }),
    system: rare(Type.Object({ all: flag })),
    domain: rare(thing),
    project: rare(Type.Object(inDomain)),
    is_domain: rare(flag),
    roles: rare(Type.Array(thing)),
    "OS-TRUST:trust": rare(trust),
    application_credential: rare(credential),
    "OS-OAUTH1": rare(accessToken),
    catalog: rare(catalog),
  },
  { title: "Token" },
)
/** What every login answers. */
export const toldToken = one("token", token)
export type AuthRequest = Static<typeof authRequest>
