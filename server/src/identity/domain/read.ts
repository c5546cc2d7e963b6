import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { asListed, ruleFirst } from "../read.ts"
import { domainNoun, domainTarget } from "./domain.ts"

export const getDomain = getOf(domainNoun, {
  ...ruleFirst,
  rule: "identity:get_domain",
  target: domainTarget,
})
export const listDomains = listOf(domainNoun, {
  ...asListed,
  rule: "identity:list_domains",
  about: ({ caller }) => ({ "target.domain.id": caller.domainId }),
})
