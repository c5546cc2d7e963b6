import { type Static, Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { resourceClassUnknown, traitUnknown } from "../faults.ts"
import { checkResourceClasses } from "../resource-class/resource-class.ts"
import { checkTraits } from "../trait/trait.ts"
import { findCandidates } from "./search.ts"
import type { Answer } from "./solve.ts"

const Texts = Type.Array(Type.String())

const RequestGroup = Type.Object({
  suffix: Type.String(),
  resources: Type.Record(Type.String(), Type.Integer()),
  requiredTraits: Type.Array(Texts),
  forbiddenTraits: Texts,
  memberOf: Type.Array(Texts),
  notMemberOf: Texts,
  inTreeOf: Type.Union([Type.String(), Type.Null()]),
})
export type RequestGroup = Static<typeof RequestGroup>

/** Ways to get what is asked for, each of which could be written as an allocation now. */
export const listAllocationCandidates = operation({
  name: "placement.allocation_candidate.list",
  input: Type.Object({
    groups: Type.Array(RequestGroup),
    isIsolated: Type.Boolean(),
    rootRequired: Texts,
    rootForbidden: Texts,
    sameSubtrees: Type.Array(Texts),
    knowsTrees: Type.Boolean(),
    limit: Type.Union([Type.Integer(), Type.Null()]),
  }),
  faults: [resourceClassUnknown, traitUnknown],
  rule: "placement:allocation_candidates:list",
  run: async (ctx, question): Promise<Answer> => {
    const { groups } = question
    await checkResourceClasses(
      ctx.db,
      groups.flatMap((group) => Object.keys(group.resources)),
      "Invalid resource class in resources parameter",
    )
    await checkTraits(ctx.db, [
      ...groups.flatMap((group) => [...group.requiredTraits.flat(), ...group.forbiddenTraits]),
      ...question.rootRequired,
      ...question.rootForbidden,
    ])
    return await findCandidates(ctx.db, question)
  },
})
