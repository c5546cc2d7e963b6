import type { Ctx } from "../../platform/context/context.ts"
import type { WireRequest } from "../../platform/http/wire.ts"
import type { ProjectRow } from "../index.ts"
import { linkTo } from "./view.ts"

export function viewProject(ctx: Ctx, req: WireRequest, row: ProjectRow): Record<string, unknown> {
  return {
    ...row.extra,
    id: row.id,
    name: row.name,
    domain_id: row.domain_id,
    description: row.description,
    enabled: row.is_enabled,
    parent_id: row.parent_id,
    is_domain: row.is_domain,
    tags: row.tags,
    options: row.options,
    links: linkTo(ctx, req, `projects/${row.id}`),
  }
}

export function viewDomain(ctx: Ctx, req: WireRequest, row: ProjectRow): Record<string, unknown> {
  return {
    ...row.extra,
    id: row.id,
    name: row.name,
    description: row.description,
    enabled: row.is_enabled,
    tags: row.tags,
    options: row.options,
    links: linkTo(ctx, req, `domains/${row.id}`),
  }
}
