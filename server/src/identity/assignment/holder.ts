// Who holds a role, and where.
import { type Static, Type } from "typebox"

export const GrantHolder = Type.Object({
  actorKind: Type.Union([Type.Literal("user"), Type.Literal("group")]),
  actorId: Type.String(),
  targetKind: Type.Union([Type.Literal("project"), Type.Literal("domain"), Type.Literal("system")]),
  /** Null for the system. */
  targetId: Type.Union([Type.String(), Type.Null()]),
  isInherited: Type.Boolean(),
})
export type GrantHolder = Static<typeof GrantHolder>

export const Grant = Type.Object({ ...GrantHolder.properties, roleId: Type.String() })
export type Grant = Static<typeof Grant>
