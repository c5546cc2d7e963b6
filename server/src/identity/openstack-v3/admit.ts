// What Keystone decides before it looks at a body: whether the caller may, and whether what the path names is there.

import type { Ctx } from "../../platform/context/context.ts"
import type { WireRequest } from "../../platform/http/wire.ts"
import type { Operation } from "../../platform/operation/operation.ts"
import { notFound } from "../index.ts"

type Admit = (ctx: Ctx, req: WireRequest) => Promise<unknown>

/** To a change of the one thing that the path names: 403 or 404. */
export function admitToOne(
  change: Pick<Operation<{ id: string; changes: Record<never, never> }, unknown>, "admit">,
  noun: string,
): Admit {
  return async (ctx, req) => {
    const id = req.params[`${noun}_id`] ?? ""
    if ((await change.admit(ctx, { id, changes: {} })) === null) throw notFound(noun.replaceAll("_", " "), id)
  }
}

interface New {
  name: string
  domainId?: string
}

/** To the making of something in a domain, which the body names: 403. */
export function admitToNew(create: Pick<Operation<New, unknown>, "admit">, noun: string): Admit {
  return async (ctx, { body }) => {
    const facts = textIn(body, noun)
    const domainId = textIn(facts, "domain_id")
    await create.admit(ctx, { name: "", ...(typeof domainId === "string" ? { domainId } : {}) })
  }
}

/** Of a body that nobody has looked at yet. */
function textIn(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined
}
