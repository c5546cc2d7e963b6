// Which hints of the scheduler there are, as Nova tells them. Others are taken, for filters of one's own.
import { type TSchema, Type } from "typebox"

interface Hint {
  schema: TSchema
  /** Why it is taken although nothing here reads it. */
  unused?: string
}

const serverId = Type.String({ format: "uuid" })
const serverIds = Type.Union([serverId, Type.Array(serverId)])
const ofCells = "of Nova's first cells, which are no more there either"

export const schedulerHints: Readonly<Record<string, Hint>> = {
  group: { schema: serverIds },
  different_host: { schema: serverIds },
  same_host: { schema: serverIds },
  query: { schema: Type.Union([Type.String(), Type.Object({})]) },
  target_cell: { schema: Type.String(), unused: ofCells },
  different_cell: { schema: Type.Union([Type.String(), Type.Array(Type.String())]), unused: ofCells },
  build_near_host_ip: {
    schema: Type.Union([Type.String({ format: "ipv4" }), Type.String({ format: "ipv6" })]),
  },
  cidr: { schema: Type.String({ pattern: "^/[0-9a-f.:]+$" }) },
}
