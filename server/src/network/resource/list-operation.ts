// The list of a noun as an operation: what the viewer may see, without what the noun's rule hides of it.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Operation, operation } from "../../platform/operation/operation.ts"
import type { Listed, ListQuery } from "./list.ts"

const ListInput = Type.Unsafe<ListQuery>(
  Type.Object({
    filters: Type.Optional(Type.Record(Type.String(), Type.Array(Type.String()))),
    page: Type.Optional(
      Type.Object({
        limit: Type.Optional(Type.Union([Type.Integer({ minimum: 0 }), Type.Null()])),
        marker: Type.Optional(Type.Union([Type.String(), Type.Null()])),
        sorts: Type.Optional(
          Type.Array(
            Type.Object({
              key: Type.String(),
              direction: Type.Union([Type.Literal("asc"), Type.Literal("desc")]),
            }),
          ),
        ),
        isReverse: Type.Optional(Type.Boolean()),
      }),
    ),
  }),
)

export function listOperation<T>(list: {
  /** `network.port.list` */
  name: string
  /** Asked of each thing: `get_port`. */
  rule: string
  run: (ctx: Ctx, query: ListQuery) => Promise<Listed<T>>
}): Operation<ListQuery, Listed<T>> {
  return operation({ name: list.name, input: ListInput, rowRule: list.rule, run: list.run })
}
