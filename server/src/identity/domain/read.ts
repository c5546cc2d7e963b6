import { getOf, listOf } from "../read.ts"
import { domainNoun, domainTarget } from "./domain.ts"

export const getDomain = getOf(domainNoun, "identity:get_domain", domainTarget)
export const listDomains = listOf(domainNoun, "identity:list_domains", (ctx) => ({
  "target.domain.id": ctx.caller.domainId,
}))
