import type { Ctx } from "../../platform/context/context.ts"
import type { WireRequest } from "../../platform/http/wire.ts"
import type { GroupRow } from "../index.ts"
import { linkTo } from "./view.ts"

export function viewGroup(ctx: Ctx, req: WireRequest, row: GroupRow): Record<string, unknown> {
  return {
    ...row.extra,
    id: row.id,
    name: row.name,
    domain_id: row.domain_id,
    description: row.description,
    links: linkTo(ctx, req, `groups/${row.id}`),
  }
}
